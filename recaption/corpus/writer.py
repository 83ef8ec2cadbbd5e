"""Writing a part: check its captions, write its two files, put its commit record, give a receipt."""

from __future__ import annotations

import io
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import safeguards, storage
from recaption.corpus.ledger import CommitRecord, Ledger
from recaption.corpus.schema import CAPTIONS, REJECTS
from recaption.parts import Answer, CaptionedPart, CaptionedSample, Receipt
from recaption.sample import FULL_IMAGE, Caption, Part, Rejection, Request


@dataclass(frozen=True, slots=True)
class Provenance:
    """What all captions of a run share, and each row tells."""

    corpus: str
    dataset: str
    model: str
    model_revision: str
    model_hash: str
    sampling: str
    fingerprint: str
    run_id: str


def commit_part(part: CaptionedPart, made_by: Provenance) -> Receipt:
    """Write a part's files, then its record; return what is committed.

    Where another attempt was first, its record stands and this one's files are removed again.
    A replay takes over the rejects of its part that it did not replay.
    """
    if part.fault:
        return Receipt(part.part, fault=part.fault, is_fatal=part.is_fatal)
    ledger = Ledger(made_by.corpus, made_by.fingerprint)
    rows = _Rows(part, made_by)
    if part.retry:
        rows.take_over(standing_rejects(ledger, part.part, part.retry))
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
        shard_url=part.shard.url,
        shard_size=part.shard.size,
        retry=part.retry,
        **rows.counts(),
    )
    is_ours = ledger.commit(record)
    if not is_ours:
        files = [f for f in (record.captions_file, record.rejects_file) if f]
        record = ledger.read(part.part, part.retry)
        storage.delete([ledger.data_url(f) for f in files if f not in _files(record)])
    return _receipt(record, rows.retried_requests, was_there=not is_ours)


def standing_rejects(ledger: Ledger, part: Part, before: int) -> list[dict[str, Any]]:
    """Return the rejects of a part as they stood before its replay number `before`."""
    name = ledger.read(part, before - 1).rejects_file
    if not name:
        return []
    table = pq.read_table(pa.BufferReader(storage.read_bytes(ledger.data_url(name))))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


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
        retried_requests=retried_requests,
        was_there=was_there,
        retry=record.retry,
    )


def _write(
    ledger: Ledger,
    folder: str,
    part: CaptionedPart,
    attempt: str,
    rows: list[dict[str, Any]],
    schema: pa.Schema,
) -> str:
    """Write rows as Parquet and return the file's name in the version's folder; '' for no rows."""
    if not rows:
        return ""
    table = pa.Table.from_pylist(rows, schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    name = f"{folder}/{part.part.name}.{attempt}.parquet"
    storage.write_bytes(ledger.data_url(name), buffer.getvalue())
    return name


class _Rows:
    """The rows of a part's two tables, and their counts."""

    def __init__(self, part: CaptionedPart, made_by: Provenance) -> None:
        self.captions: list[dict[str, Any]] = []
        self.rejects: list[dict[str, Any]] = []
        self.reasons: Counter[str] = Counter()
        self.captioned = 0
        self.rejected_captions = 0
        self.retried_requests = 0
        self.recovered = 0
        self.read = len(part.samples)
        self._part = part
        self._made_by = {
            "engine": part.engine,
            "engine_version": part.engine_version,
            "model": made_by.model,
            "model_revision": made_by.model_revision,
            "model_hash": made_by.model_hash,
            "sampling": made_by.sampling,
            "fingerprint": made_by.fingerprint,
            "run_id": made_by.run_id,
        }
        self._dataset = made_by.dataset
        for sample in part.samples:
            self._add(sample)

    def counts(self) -> dict[str, Any]:
        """The counts of the commit record."""
        return {
            "read": self.read,
            "captioned": self.captioned,
            "rejected": self.read - self.captioned,
            "captions": len(self.captions),
            "rejected_captions": self.rejected_captions,
            "rejects": dict(sorted(self.reasons.items())),
            "recovered": self.recovered,
        }

    def take_over(self, before: list[dict[str, Any]]) -> None:
        """Keep the earlier rejects that this replay did not replay; count what it recovered."""
        replayed: set[tuple[str, str | None, int | None]] = set()
        for s in self._part.samples:
            sample_id = s.prepared.sample.sample_id
            replayed.add((sample_id, None, None))
            for r in (answer.request for answer in s.answers):
                slots = range(r.first_slot, r.first_slot + r.n)
                replayed |= {(sample_id, r.style, slot) for slot in slots}
        self.rejects += [
            row for row in before if (row["sample_id"], row["style"], row["slot"]) not in replayed
        ]
        were_whole = {row["sample_id"] for row in before if row["style"] is None}
        self.recovered = len(were_whole & {row["sample_id"] for row in self.captions})

    def _add(self, sample: CaptionedSample) -> None:
        common = self._sample_columns(sample)
        before = len(self.captions)
        if sample.prepared.rejection is not None:
            self._reject(common, sample.prepared.rejection, attempts=0)
        for answer in sample.answers:
            self.retried_requests += answer.attempts - 1
            self._add_answer(sample, common, answer)
        assert sample.answers or sample.prepared.rejection, sample.prepared.sample.sample_id
        self.captioned += len(self.captions) > before

    def _add_answer(self, sample: CaptionedSample, common: dict[str, Any], answer: Answer) -> None:
        if answer.rejection is not None:
            for i in range(answer.request.n):
                asked = _request_columns(answer.request, i, answer.request.seed + i)
                self._reject(common | asked, answer.rejection, answer.attempts)
        for i, caption in enumerate(answer.captions):
            asked = _request_columns(answer.request, i, caption.seed)
            rejection = safeguards.check(caption)
            if rejection is not None:
                self._reject(common | asked, rejection, answer.attempts)
            else:
                self.captions.append(common | asked | _caption_columns(sample, caption))

    def _reject(self, columns: dict[str, Any], rejection: Rejection, attempts: int) -> None:
        self.reasons[rejection.reason.value] += 1
        self.rejected_captions += "style" in columns
        self.rejects.append(
            columns
            | {
                "stage": rejection.stage.value,
                "reason": rejection.reason.value,
                "message": rejection.message,
                "attempts": attempts,
            }
        )

    def _sample_columns(self, captioned: CaptionedSample) -> dict[str, Any]:
        prepared = captioned.prepared
        sample, image = prepared.sample, prepared.image
        return self._made_by | {
            "dataset": self._dataset,
            "sample_id": sample.sample_id,
            "shard": self._part.part.shard,
            "part": self._part.part.index,
            "ordinal": sample.ordinal,
            "key": sample.key,
            "image_name": sample.image_name,
            "image_sha256": image.sha256 if image else None,
            "image_format": image.format if image else None,
            "width": image.original_width if image else None,
            "height": image.original_height if image else None,
            "alt_text": prepared.hints.alt_text,
            "class_names": list(prepared.hints.class_names),
        }


def _request_columns(request: Request, index: int, seed: int) -> dict[str, Any]:
    return {
        "region": request.region or FULL_IMAGE,
        "style": request.style,
        "slot": request.first_slot + index,
        "seed": seed,
        "template": request.template,
        "template_hash": request.template_hash,
        "prompt": request.prompt,
    }


def _caption_columns(sample: CaptionedSample, caption: Caption) -> dict[str, Any]:
    shown = sample.prepared.hints
    hints = [{"kind": "class", "text": name, "source": "dataset"} for name in shown.class_names]
    if shown.alt_text:
        hints.append({"kind": "alt_text", "text": shown.alt_text, "source": "dataset"})
    return {
        "caption": caption.text,
        "finish_reason": caption.finish_reason,
        "prompt_tokens": caption.prompt_tokens,
        "caption_tokens": caption.caption_tokens,
        "mean_logprob": caption.mean_logprob,
        "hints": hints,
        "verdicts": [{"check": "form.empty", "verdict": "accept", "score": None}],
    }
