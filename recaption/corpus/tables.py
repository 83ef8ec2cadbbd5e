"""The data files of parts as Arrow tables, and which of their rejects stand."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from recaption import parquet, storage
from recaption.corpus.ledger import CommitRecord, Ledger, in_threads
from recaption.corpus.schema import CAPTIONS, REJECTS
from recaption.storage.shown import without_secrets

_SAMPLE_ID = pa.schema([CAPTIONS.field("sample_id")])


def read_captions(
    ledger: Ledger, records: Iterable[CommitRecord], schema: pa.Schema = CAPTIONS
) -> pa.Table:
    """Return the captions of these commits as one table: the columns of CAPTIONS, or some."""
    return _read(ledger, (r.captions_file for r in records), schema)


def captioned_samples(ledger: Ledger, records: Iterable[CommitRecord]) -> set[str]:
    """Return the ids of the samples that have a caption in these commits."""
    table = _read(ledger, (r.captions_file for r in records), _SAMPLE_ID)
    return set(table["sample_id"].to_pylist())


def standing_rejects(ledger: Ledger, records: Iterable[CommitRecord]) -> pa.Table:
    """Return the rejects that stand: a replay's take the place of its part's earlier ones.

    Of each part, `records` hold at least the newest one, and that last.
    """
    newest = {(r.shard, r.index): r.rejects_file for r in records}
    return _read(ledger, newest.values(), REJECTS)


def _read(ledger: Ledger, files: Iterable[str], schema: pa.Schema) -> pa.Table:
    """Read the columns of `schema` from data files; the file named '' is one without rows."""
    urls = [ledger.data_url(name) for name in files if name]
    tables = list(in_threads(lambda url: read_table(url, schema), urls))
    return pa.concat_tables(tables) if tables else schema.empty_table()


def read_table(url: str, schema: pa.Schema) -> pa.Table:
    """Read the columns of `schema` from a data file. Raises StorageError where it is damaged."""
    try:
        return parquet.read_table(url, schema)
    except parquet.DamagedFile as error:
        raise storage.StorageError(
            f"{without_secrets(url)}: a data file of the corpus that is truncated or damaged"
            f" ({error}); restore it, or delete its commit record in commits/ and run again, which"
            " captions its part anew"
        ) from error
