"""A part without what no column holds: a value that cannot be written is its caption's fault.

Looked at only where a part could not be written as it is, so that it costs no other part anything.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from recaption.corpus.rows import PartRows, Provenance, Row
from recaption.corpus.schema import CAPTIONS, REJECTS
from recaption.parts import Answer, CaptionedPart, CaptionedSample, Judged, Outcome, PreparedSample
from recaption.sample import Caption, Reason, Rejection, Sample, Stage
from recaption.text import describe_error


def table_of(rows: list[Row], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; what UTF-8 cannot hold becomes `?`."""
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold and UTF-8 cannot
        return pa.Table.from_pylist([_encodable(row) for row in rows], schema=schema)


def sifted(part: CaptionedPart, made_by: Provenance) -> CaptionedPart:
    """Return a part in which a caption that cannot be written is a reject, or else its sample."""

    def why_not(sample: CaptionedSample) -> str:
        try:
            rows = PartRows(replace(part, samples=(sample,)), made_by)
            table_of(rows.captions, CAPTIONS)
            table_of(rows.rejects, REJECTS)
        except Exception as e:  # whatever value it is, and whoever cannot take it
            return describe_error(e)
        return ""

    def sift(sample: CaptionedSample) -> CaptionedSample:
        if not why_not(sample):
            return sample
        answers = []
        for answer in sample.answers:
            judged = tuple(
                _unwritten(one, why) if (why := why_not(_with_only(sample, answer, i))) else one
                for i, one in enumerate(answer.judged)
            )
            answers.append(replace(answer, judged=judged))
        mended = replace(sample, answers=tuple(answers))
        why = why_not(mended)
        return _rejected(sample, why) if why else mended

    return replace(part, samples=tuple(map(sift, part.samples)))


def _with_only(sample: CaptionedSample, answer: Answer, index: int) -> CaptionedSample:
    """Return a sample with one of its captions."""
    request = replace(answer.request, n=1)
    captions, judged = answer.captions[index : index + 1], answer.judged[index : index + 1]
    return replace(sample, answers=(Answer(request, captions, judged=judged),))


def _unwritten(judged: Judged, why: str) -> Judged:
    rejection = Rejection(Stage.CHECK, Reason.FAILED, f"it cannot be written: {why}")
    nothing = Caption("", 0, "", 0, 0, None)
    return Judged(judged.request, nothing, (), Outcome.REJECTED, rejection)


def _rejected(sample: CaptionedSample, why: str) -> CaptionedSample:
    """Return a sample of which nothing is left but who it is, and why."""
    found = sample.prepared.sample
    who = Sample(found.sample_id, found.key, found.ordinal, None, found.image_name)
    rejection = Rejection(Stage.CHECK, Reason.FAILED, f"it cannot be written: {why}")
    return CaptionedSample(PreparedSample(who, rejection=rejection))


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _encodable(one) for key, one in value.items()}
    return [_encodable(one) for one in value] if isinstance(value, list) else value
