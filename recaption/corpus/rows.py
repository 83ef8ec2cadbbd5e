"""The rows of a part: what its samples and their answers become in the corpus's two tables."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from recaption.config import Recipe
from recaption.corpus.schema import POLICY
from recaption.parts import Answer, CaptionedPart, CaptionedSample, Judged, Outcome
from recaption.safeguards.verdict import Verdict
from recaption.sample import (
    FULL_IMAGE,
    SHOWN_KINDS,
    Reason,
    Rejection,
    Request,
    Stage,
    Trust,
)
from recaption.storage.shown import text_without_secrets
from recaption.text import printable

_INFINITE = 2.0**128
_MOST_CHARS = 2000  # of a message, which may quote what a stranger wrote

Row = dict[str, Any]
"""One row of a table, see `schema`."""


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

    @classmethod
    def of(
        cls, recipe: Recipe, corpus: str, dataset: str, model_hash: str, fingerprint: str, run: str
    ) -> Provenance:
        """Return what captions by this recipe share."""
        return cls(
            corpus=corpus,
            dataset=dataset,
            model=recipe.engine.model or recipe.engine.kind,
            model_revision=recipe.engine.revision,
            model_hash=model_hash,
            sampling=json.dumps(recipe.sampling.model_dump()),
            fingerprint=fingerprint,
            run_id=run,
        )


class PartRows:
    """The rows of a part's two tables, and their counts.

    Each caption that was asked for becomes a row of one of the two. `captioned` and `rejected`
    count samples, apart from each other: the commit record is refused where they are not `read`.
    """

    def __init__(self, part: CaptionedPart, made_by: Provenance) -> None:
        self.captions: list[Row] = []
        self.rejects: list[Row] = []
        self.reasons: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.captioned = 0
        self.rejected = 0
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
            "rejected": self.rejected,
            "captions": len(self.captions),
            "rejected_captions": self.rejected_captions,
            "rejects": dict(sorted(self.reasons.items())),
            "outcomes": dict(sorted(self.outcomes.items())),
            "recovered": self.recovered,
        }

    def take_over(self, before: list[Row], captioned: set[str]) -> None:
        """Keep the earlier rejects that this replay did not replay; count what it recovered.

        `captioned` are the samples that had a caption before.
        """
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
        self.recovered = len({row["sample_id"] for row in self.captions} - captioned)

    def _add(self, sample: CaptionedSample) -> None:
        common = self._sample_columns(sample)
        captions, rejects = len(self.captions), len(self.rejects)
        if sample.prepared.rejection is not None:
            self._reject(common, sample.prepared.rejection, attempts=0)
        for answer in sample.answers:
            self.retried_requests += max(0, answer.attempts - 1)
            self._add_answer(sample, common, answer)
        if len(self.captions) > captions:
            self.captioned += 1
        elif len(self.rejects) > rejects:
            self.rejected += 1

    def _add_answer(self, sample: CaptionedSample, common: Row, answer: Answer) -> None:
        """Add a row for each of the `n` captions that the request asked for."""
        request, judged = answer.request, answer.judged
        assert len(judged) == len(answer.captions) <= request.n, (len(judged), request.n)
        for one in judged:
            self.outcomes[one.outcome.value] += 1
            columns = common | _request_columns(one.request)
            if one.rejection is not None:
                self._reject(columns, one.rejection, answer.attempts + one.attempts - 1)
            else:
                self.captions.append(columns | _caption_columns(sample, one))
        missing = answer.rejection or _missing(len(judged), request.n)
        for index in range(len(judged), request.n):
            alone = replace(
                request, n=1, seed=request.seed + index, first_slot=request.first_slot + index
            )
            self._reject(common | _request_columns(alone), missing, answer.attempts)

    def _reject(self, columns: Row, rejection: Rejection, attempts: int) -> None:
        self.reasons[rejection.reason.value] += 1
        self.rejected_captions += "style" in columns
        self.rejects.append(
            columns
            | {
                "stage": rejection.stage.value,
                "reason": rejection.reason.value,
                "message": text_without_secrets(printable(rejection.message)[:_MOST_CHARS]),
                "attempts": attempts,
            }
        )

    def _sample_columns(self, captioned: CaptionedSample) -> Row:
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


def _hint_rows(sample: CaptionedSample) -> list[Row]:
    """Return what the prompt showed, and of what it did not show whom to credit, and notes."""
    shown, found = sample.prepared.shown, sample.prepared.hints
    hints = [("class", name, shown.class_trust) for name in shown.class_names]
    hints += [("alt_text", shown.alt_text, Trust.LOW)] if shown.alt_text else []
    hints += [(str(one.kind), one.text, one.trust) for one in shown.others]
    hints += [
        (str(one.kind), one.text, one.trust) for one in found.others if one.kind not in SHOWN_KINDS
    ]
    return [
        {"kind": kind, "text": text, "source": f"{found.source} {trust}"}
        for kind, text, trust in hints
    ]


def _missing(got: int, asked: int) -> Rejection:
    message = f"the engine gave {got} of {asked} captions"
    return Rejection(Stage.ENGINE, Reason.REQUEST_FAILED, message)


def _request_columns(request: Request) -> Row:
    return {
        "region": request.region or FULL_IMAGE,
        "style": request.style,
        "slot": request.first_slot,
        "seed": request.seed,
        "template": request.template,
        "template_hash": request.template_hash,
        "prompt": request.prompt,
    }


def _caption_columns(sample: CaptionedSample, judged: Judged) -> Row:
    caption = judged.caption
    return {
        "caption": caption.text,
        "finish_reason": caption.finish_reason,
        "prompt_tokens": caption.prompt_tokens,
        "caption_tokens": caption.caption_tokens,
        "mean_logprob": _finite(caption.mean_logprob),
        "hints": _hint_rows(sample),
        "verdicts": [*map(_verdict_row, judged.verdicts), _policy_row(judged)],
    }


def _verdict_row(verdict: Verdict) -> Row:
    said = verdict.reason.value if verdict.reason else "accept"
    return {"check": verdict.check, "verdict": said, "score": _finite(verdict.score)}


def _finite(value: float | None) -> float | None:
    """Return what a column of 32 bits holds as a number, None of what it does not."""
    return value if value is not None and abs(value) < _INFINITE else None


def _policy_row(judged: Judged) -> Row:
    """Return what became of the caption; the score counts the times it was asked."""
    said = "accept" if judged.outcome is Outcome.ACCEPTED else judged.outcome.value
    return {"check": POLICY, "verdict": said, "score": float(judged.attempts)}
