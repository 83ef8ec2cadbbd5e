"""The examples of the page as typed values: samples with their captions or their rejects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recaption import keyed
from recaption.report.truth import CaptionTruth, Truth
from recaption.sample import FULL_IMAGE

MOST = 64
"""Captions that are shown of one sample."""

_SCORES = {"clip.likeness": "likeness", "claims.invented": "least_yes"}

Row = dict[str, Any]
"""A row of the corpus, see recaption.corpus.schema."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The sample of a card: what was found, and where."""

    sample_id: str
    shard: str
    shard_url: str
    part: int
    ordinal: int
    image_name: str
    alt_text: str
    class_names: tuple[str, ...]
    format: str
    width: int | None
    height: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class ShownCaption:
    """One caption with what engine, safeguards and the truth about its image told of it."""

    text: str
    slot: int
    seed: int
    finish_reason: str
    prompt_tokens: int | None
    caption_tokens: int | None
    scores: dict[str, float]
    verdicts: tuple[str, ...]
    truth: CaptionTruth | None = None

    @property
    def marks(self) -> tuple[str, ...]:
        """What a reader may look for: its verdicts, an odd ending, whether it is true."""
        ending = () if self.finish_reason == "stop" else (f"ending: {self.finish_reason}",)
        found = (*self.verdicts, *ending) or ("no objection",)
        if self.truth is None:
            return found
        return (*found, "truth: a false claim" if self.truth.false else "truth: all true")


@dataclass(frozen=True, slots=True)
class Group:
    """The captions of one style and region that answer the same prompt."""

    style: str
    region: str
    template: str
    template_hash: str
    prompt: str
    captions: tuple[ShownCaption, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """A sample that was rejected, or captions of it; `asked` names those, style and slot."""

    sample: Shown
    stage: str
    reason: str
    message: str
    attempts: int
    asked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A sample with its captions, and what became of those that it lacks."""

    sample: Shown
    groups: tuple[Group, ...]
    rejects: tuple[Reject, ...] = ()
    left_out: int = 0


def make_card(
    rows: Sequence[Row],
    shard_url: str,
    styles: Sequence[str],
    rejects: Iterable[Reject] = (),
    truth: Truth | None = None,
) -> Card:
    """Make a card of a sample's captions: the full image first, styles in their order.

    At most `MOST` are shown, the first slots of the full image before others.
    """
    order = {style: i for i, style in enumerate(styles)}
    shown = sorted(rows, key=lambda r: (r["region"] != FULL_IMAGE, r["slot"]))[:MOST]
    ranked = sorted(
        shown,
        key=lambda r: (
            r["region"] != FULL_IMAGE,
            r["region"],
            order.get(r["style"], len(order)),
            r["style"],
            r["slot"],
        ),
    )
    groups: dict[tuple[str, str, str, str, str], list[ShownCaption]] = {}
    for row in ranked:
        asked = row["style"], row["region"], row["template"], row["template_hash"], row["prompt"]
        groups.setdefault(asked, []).append(_caption(row, truth))
    made = tuple(Group(*asked, tuple(captions)) for asked, captions in groups.items())
    left_out = len(rows) - len(shown)
    return Card(_sample(ranked[0], shard_url), made, tuple(rejects), left_out)


def make_reject(rows: Sequence[Row], shard_url: str) -> Reject:
    """Make a card of the rejects of one sample that have the same stage and reason."""
    first = rows[0]
    asked = sorted((r["style"], r["slot"]) for r in rows if r["style"] is not None)
    return Reject(
        sample=_sample(first, shard_url),
        stage=first["stage"] or "",
        reason=first["reason"] or "",
        message=first["message"] or "",
        attempts=max(r["attempts"] or 0 for r in rows),
        asked=tuple(f"{style} {slot}" for style, slot in asked),
    )


def choose_evenly(rejects: Iterable[Reject], most: int, seed: int) -> list[Reject]:
    """Choose rejects by key, of each stage and reason in turn, so that rare ones are among them."""
    by_kind: dict[tuple[str, str], list[Reject]] = {}
    for reject in rejects:
        by_kind.setdefault((reject.stage, reject.reason), []).append(reject)
    for kind in by_kind.values():
        kind.sort(key=lambda r: keyed.integer("report", "reject", seed, r.sample.sample_id))
    chosen: list[Reject] = []
    for turn in range(most):
        chosen += [kind[turn] for kind in by_kind.values() if turn < len(kind)]
    chosen = chosen[:most]
    kinds = list(by_kind)
    return sorted(chosen, key=lambda r: kinds.index((r.stage, r.reason)))


def _sample(row: Row, shard_url: str) -> Shown:
    return Shown(
        sample_id=row["sample_id"],
        shard=row["shard"],
        shard_url=shard_url,
        part=row["part"],
        ordinal=row["ordinal"],
        image_name=row["image_name"] or "",
        alt_text=row["alt_text"] or "",
        class_names=tuple(row["class_names"] or ()),
        format=row["image_format"] or "",
        width=row["width"],
        height=row["height"],
        sha256=row["image_sha256"],
    )


def _caption(row: Row, truth: Truth | None) -> ShownCaption:
    text, verdicts = row["caption"] or "", row["verdicts"] or ()
    about = (row["sample_id"], row["region"], row["style"] or "", text)
    held = truth.of(*about) if truth else None
    return ShownCaption(
        text=text,
        slot=row["slot"],
        seed=row["seed"],
        finish_reason=row["finish_reason"] or "not told",
        prompt_tokens=row["prompt_tokens"],
        caption_tokens=row["caption_tokens"],
        scores=dict(_scores(row["mean_logprob"], verdicts, held)),
        verdicts=tuple(
            f"{v['check']}: {v['verdict']}" for v in verdicts if v["verdict"] != "accept"
        ),
        truth=held,
    )


def _scores(
    logprob: float | None, verdicts: Iterable[Row], truth: CaptionTruth | None
) -> Iterator[tuple[str, float]]:
    """Yield what a caption can be sorted by, see recaption.report.words."""
    found = [("logprob", logprob)]
    found += [(_SCORES[v["check"]], v["score"]) for v in verdicts if v["check"] in _SCORES]
    if truth:
        found += [("precision", truth.precision), ("recall", truth.recall)]
    yield from ((name, value) for name, value in found if value is not None)
