"""Writing a part: its two files first, its commit record last; then a receipt."""

from __future__ import annotations

import io
import uuid
from contextlib import suppress
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import storage
from recaption.corpus.ledger import CommitRecord, Ledger
from recaption.corpus.rows import PartRows, Provenance, Row
from recaption.corpus.schema import CAPTIONS, REJECTS
from recaption.corpus.sift import sifted, table_of
from recaption.corpus.tables import captioned_samples, standing_rejects
from recaption.parts import HANDED_BACK, CaptionedPart, Receipt
from recaption.storage import StorageError, Trouble
from recaption.storage.shown import without_secrets

__all__ = ["Provenance", "commit_part"]

_PASSING = {Trouble.UNREACHABLE, Trouble.CHANGED, Trouble.MISSING, Trouble.OTHER}


def commit_part(part: CaptionedPart, made_by: Provenance) -> Receipt:
    """Write a part's files, then its record; return what is committed.

    Where another attempt was first, its record stands and this one's files are removed again.
    A replay takes over the rejects of its part that it did not replay. A value that no column
    holds rejects its caption. A store that cannot be written is a fault of the part: a fatal one
    where the next part would meet it too (a full disk).
    """
    if part.fault:
        return Receipt(part.part, fault=part.fault, is_fatal=part.is_fatal, retry=part.retry)
    try:
        try:
            return _commit(part, made_by)
        except (ValueError, TypeError, OverflowError):  # Arrow's, of a value that no column holds
            return _commit(sifted(part, made_by), made_by)
    except StorageError as e:
        is_fatal = e.trouble not in _PASSING
        fault = str(e) if is_fatal else HANDED_BACK + str(e)
        return Receipt(part.part, fault=fault, is_fatal=is_fatal, retry=part.retry)
    except ValueError as e:  # its counts do not add up
        return Receipt(part.part, fault=str(e), retry=part.retry)


def _commit(part: CaptionedPart, made_by: Provenance) -> Receipt:
    ledger = Ledger(made_by.corpus, made_by.fingerprint)
    rows = PartRows(part, made_by)
    if part.retry:
        before = ledger.chain(part.part, part.retry)
        rejects = standing_rejects(ledger, before).to_pylist()
        rows.take_over(rejects, captioned_samples(ledger, before))
    attempt = uuid.uuid4().hex[:12]
    record = CommitRecord(
        shard=part.part.shard,
        index=part.part.index,
        is_last=part.part.is_last,
        captions_file=_write(ledger, "captions", part, attempt, rows.captions, CAPTIONS),
        rejects_file=_write(ledger, "rejects", part, attempt, rows.rejects, REJECTS),
        attempt=attempt,
        run_id=made_by.run_id,
        fingerprint=made_by.fingerprint,
        committed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(part.seconds, 3),
        shard_url=without_secrets(part.shard.url),
        shard_size=part.shard.size,
        retry=part.retry,
        **rows.counts(),
    )
    is_ours = ledger.commit(record)
    if not is_ours:
        files = [f for f in (record.captions_file, record.rejects_file) if f]
        record = ledger.read(part.part, part.retry)
        with suppress(StorageError):  # what stays is garbage, and the part is committed
            storage.delete([ledger.data_url(f) for f in files if f not in _files(record)])
    return _receipt(record, rows.retried_requests, was_there=not is_ours)


def _files(record: CommitRecord) -> tuple[str, str]:
    return record.captions_file, record.rejects_file


def _receipt(record: CommitRecord, retried_requests: int, was_there: bool) -> Receipt:
    return Receipt(
        part=record.part,
        read=record.read,
        captioned=record.captioned,
        rejected=record.rejected,
        captions=record.captions,
        rejected_captions=record.rejected_captions,
        rejects=tuple(sorted(record.rejects.items())),
        outcomes=tuple(sorted(record.outcomes.items())),
        retried_requests=retried_requests,
        was_there=was_there,
        retry=record.retry,
    )


def _write(
    ledger: Ledger,
    folder: str,
    part: CaptionedPart,
    attempt: str,
    rows: list[Row],
    schema: pa.Schema,
) -> str:
    """Write rows as Parquet and return the file's name in the version's folder; '' for no rows."""
    if not rows:
        return ""
    buffer = io.BytesIO()
    pq.write_table(table_of(rows, schema), buffer, compression="zstd")
    name = f"{folder}/{part.part.name}.{attempt}.parquet"
    storage.write_bytes(ledger.data_url(name), buffer.getvalue())
    return name
