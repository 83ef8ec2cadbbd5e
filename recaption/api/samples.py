"""An image with its captions, as a user's program sees it: typed rows of both tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HintRow:
    """What a prompt showed of an image, or whom to credit; `source` says who read it, and trust.

    `kind` is class, alt_text or one of `recaption.sample.HintKind`.
    """

    kind: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class CaptionRow:
    """One caption. `columns` has all that the corpus knows of it: `recaption/corpus/schema.py`.

    `mean_logprob` is the mean natural log-probability of its tokens, None where the engine tells
    none. `scores` are what the safeguards measured, by the name of the check: `clip.likeness` is
    the cosine of caption and image, `claims.invented` the least chance of yes to a claim.
    """

    text: str
    style: str
    slot: int
    region: str
    mean_logprob: float | None
    scores: Mapping[str, float]
    columns: Row = field(repr=False)


@dataclass(frozen=True, slots=True)
class RejectRow:
    """Why an image, or one caption of it, was left out. `style` and `slot` are None of an image.

    `stage` is read, decode, prompt, engine or check, `reason` one of `recaption.sample.Reason`.
    """

    style: str | None
    slot: int | None
    stage: str
    reason: str
    message: str
    columns: Row = field(repr=False)


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """One image with its captions, the hints its prompts showed, and what was rejected of it.

    `width` and `height` are in pixels, upright and as found; they and `image_sha256` are None of an
    image that could not be read. `alt_text` and `class_names` are as found.
    """

    sample_id: str
    shard: str
    image_name: str
    image_sha256: str | None
    width: int | None
    height: int | None
    alt_text: str
    class_names: tuple[str, ...]
    captions: tuple[CaptionRow, ...] = ()
    hints: tuple[HintRow, ...] = ()
    rejects: tuple[RejectRow, ...] = ()

    @property
    def texts(self) -> list[str]:
        """Its captions as text, in the order of style and slot."""
        return [caption.text for caption in self.captions]


def captioned_images(captions: Iterable[Row], rejects: Iterable[Row]) -> list[CaptionedImage]:
    """Bring the rows of both tables together, an image each, in the order of the shard."""
    found: dict[str, tuple[list[Row], list[Row]]] = {}
    for at, rows in enumerate((captions, rejects)):
        for row in rows:
            found.setdefault(row["sample_id"], ([], []))[at].append(row)
    images = sorted(found.values(), key=lambda both: _first(both)["ordinal"])
    return [_image(*both) for both in images]


def _first(both: tuple[list[Row], list[Row]]) -> Row:
    captions, rejects = both
    return (captions or rejects)[0]


def _image(captions: list[Row], rejects: list[Row]) -> CaptionedImage:
    row = _first((captions, rejects))
    captions.sort(key=lambda c: (c["region"], c["style"], c["slot"]))
    return CaptionedImage(
        sample_id=row["sample_id"],
        shard=row["shard"],
        image_name=row["image_name"],
        image_sha256=row["image_sha256"],
        width=row["width"],
        height=row["height"],
        alt_text=row["alt_text"] or "",
        class_names=tuple(row["class_names"] or ()),
        captions=tuple(map(_caption, captions)),
        hints=tuple(HintRow(**hint) for hint in (row.get("hints") or ())),
        rejects=tuple(map(_reject, rejects)),
    )


def _caption(row: Row) -> CaptionRow:
    verdicts = row["verdicts"] or ()
    scores = {v["check"]: v["score"] for v in verdicts if v["score"] is not None}
    return CaptionRow(
        text=row["caption"],
        style=row["style"],
        slot=row["slot"],
        region=row["region"],
        mean_logprob=row["mean_logprob"],
        scores=scores,
        columns=row,
    )


def _reject(row: Row) -> RejectRow:
    return RejectRow(
        style=row.get("style"),
        slot=row.get("slot"),
        stage=row["stage"],
        reason=row["reason"],
        message=row["message"],
        columns=row,
    )
