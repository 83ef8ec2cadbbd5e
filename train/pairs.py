"""What an image is shown as this time, and with which text: pure, keyed, and told in full.

A crop that shows nearly all of its image keeps the image's captions; any other needs one of its
own. What stands in where there is none yet is for the recipe to say, and each outcome is counted,
so that a study knows what it trained on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any

from recaption import keyed
from recaption.text import printable, without_controls
from train.config import RecaptionConfig, TrainRecipe
from train.crops import FULL, Crop, crop_of, draw_crop, flip_caption, parse_region, turn_of
from train.rotation import CaptionOption, Choice, Texts, TextSource, choose


class Outcome(StrEnum):
    """How the text of a pair belongs to what is shown. A closed set."""

    KEPT = "kept"
    """All of the image or nearly so, under the image's own text."""
    OWN = "own"
    """A crop under a caption made of it."""
    OVERLAP = "overlap"
    """A crop under the caption of a region much like it."""
    FULL = "full"
    """A crop under the whole image's caption, which may name what is not in it."""
    WHOLE = "whole"
    """The whole image in place of a crop that has no caption."""
    HALVES = "halves"
    """Halves of two images under a caption of each."""


Regions = Mapping[str, tuple[CaptionOption, ...]]
"""Captions of an image's crops, by region."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An image of the corpus, encoded, with all that it can be trained with.

    `fault` says why it cannot be trained on; then nothing else of it counts.
    """

    sample_id: str
    image: bytes
    width: int
    height: int
    texts: Texts
    regions: Regions = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Second:
    """The image that stands at the right or below, and the half that is shown of it."""

    entry: Entry
    crop: Crop
    is_below: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """What is shown of an image, and the text that it is trained on; `second`: beside what."""

    crop: Crop
    choice: Choice
    outcome: Outcome
    second: Second | None = None


def make_entry(
    sample_id: str,
    image: bytes,
    rows: Sequence[Mapping[str, Any]],
    regions: Sequence[Mapping[str, Any]],
    styles: Sequence[str],
) -> Entry:
    """Make an entry of corpus rows; of captions in other styles only where it has no other.

    Rows may be a stranger's: an entry of rows that no image can have has a fault.
    """
    sample_id = printable(sample_id)
    try:
        return _entry(sample_id, image, rows, regions, styles)
    except (ValueError, TypeError, LookupError, AttributeError) as e:
        words = "no caption" if isinstance(e, LookupError) else str(e)
        return lost_entry(sample_id, f"what is kept of it is not of a captioned image ({words})")


def lost_entry(sample_id: str, fault: str) -> Entry:
    """Return an entry that cannot be trained on, and says why."""
    return Entry(printable(sample_id), b"", 1, 1, Texts(()), fault=printable(fault))


def _entry(
    sample_id: str,
    image: bytes,
    rows: Sequence[Mapping[str, Any]],
    regions: Sequence[Mapping[str, Any]],
    styles: Sequence[str],
) -> Entry:
    told = [row for row in rows if row["caption"].strip()]
    first = told[0]
    wanted = [row for row in told if not styles or row["style"] in styles]
    by_region: dict[str, list[CaptionOption]] = {}
    for row in regions:
        if not styles or row["style"] in styles:
            parse_region(row["region"])
            by_region.setdefault(row["region"], []).append(_option(row))
    return Entry(
        sample_id=sample_id,
        image=image,
        width=_side(first["width"]),
        height=_side(first["height"]),
        texts=Texts(
            captions=tuple(_option(row) for row in wanted or told),
            alt_text=_fit(first["alt_text"] or ""),
            class_names=tuple(map(_fit, islice(first["class_names"] or (), _MOST_NAMES))),
        ),
        regions={region: tuple(options) for region, options in by_region.items()},
    )


_MOST_TEXT = 65_536  # characters; more than any tokenizer here takes in
_MOST_NAMES = 1024  # class names of an image
_MOST_SIDE = 2**24  # pixels
_WORST_SCORE = -1e9  # of a caption whose log-probability is no number


def _fit(text: str) -> str:
    """Return a stranger's text as it can be trained on and shown: bounded, no control characters.

    Raises TypeError for what is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"got a {type(text).__name__}, expected text")
    return without_controls(text[:_MOST_TEXT])


def _side(pixels: object) -> int:
    if not isinstance(pixels, int) or not 0 < pixels <= _MOST_SIDE:
        raise ValueError(f"got a side of {pixels!r:.40} pixels")
    return pixels


def _option(row: Mapping[str, Any]) -> CaptionOption:
    score = float(row.get("mean_logprob") or 0.0)
    score = score if math.isfinite(score) else _WORST_SCORE
    return CaptionOption(_fit(row["caption"]), str(row["style"]), int(row["slot"]), score)


def make_pair(entry: Entry, recipe: TrainRecipe, *, epoch: int, progress: float) -> Pair:
    """Return what an image is shown as in an epoch. Raises ValueError if it has no text at all."""
    aspect = entry.width / entry.height
    key = {"seed": recipe.seed, "epoch": epoch, "sample_id": entry.sample_id}
    crop = draw_crop(recipe.crops, **key, aspect=aspect)  # type: ignore[arg-type]

    def text_of(texts: Texts) -> Choice:
        return choose(texts, recipe.rotation, **key, progress=progress)  # type: ignore[arg-type]

    if not recipe.crops.is_new(crop):
        return _kept(crop, text_of(entry.texts))
    regions = _sure(entry.regions, recipe.recaption.least_logprob)
    own = regions.get(crop.region)
    if own:
        return Pair(crop, text_of(Texts(own)), Outcome.OWN)
    return _without_caption(crop, replace(entry, regions=regions), recipe.recaption, text_of)


def make_whole(entry: Entry, recipe: TrainRecipe, *, epoch: int, progress: float) -> Pair:
    """Return the pair of the whole image, in place of what cannot be shown."""
    key = {"seed": recipe.seed, "epoch": epoch, "sample_id": entry.sample_id}
    text = choose(entry.texts, recipe.rotation, **key, progress=progress)  # type: ignore[arg-type]
    return Pair(FULL, text, Outcome.WHOLE)


def _sure(regions: Regions, least: float | None) -> Regions:
    """Return the captions of crops that the captioner was sure of."""
    if least is None:
        return regions
    kept = {r: tuple(o for o in options if o.score >= least) for r, options in regions.items()}
    return {region: options for region, options in kept.items() if options}


def _kept(crop: Crop, choice: Choice) -> Pair:
    """Keep the image's text; of a mirrored one say left for right, or do not mirror it."""
    if crop.is_flipped and choice.source in (TextSource.CAPTION, TextSource.ALT_TEXT):
        flipped = flip_caption(choice.text)
        if flipped is None:
            crop = replace(crop, is_flipped=False)
        else:
            choice = replace(choice, text=flipped)
    return Pair(crop, choice, Outcome.KEPT)


def _without_caption(
    crop: Crop, entry: Entry, config: RecaptionConfig, text_of: Callable[[Texts], Choice]
) -> Pair:
    """Show a crop that has no caption of its own as the recipe says."""
    if config.when_missing == "overlap":
        near = nearest_region(crop, entry.regions, config.least_overlap)
        if near:
            return Pair(crop, text_of(Texts(entry.regions[near])), Outcome.OVERLAP)
    # A caption that was waited for is missing where it was rejected: no lie in its place either.
    if config.enabled and config.when_missing in ("wait", "whole"):
        return Pair(FULL, text_of(entry.texts), Outcome.WHOLE)
    kept = _kept(crop, text_of(entry.texts))
    return replace(kept, outcome=Outcome.FULL)


def nearest_region(crop: Crop, regions: Mapping[str, object], least: float) -> str | None:
    """Return the region with the largest overlap, None where it is below `least`."""
    overlap, name = max(
        ((crop.overlap(parse_region(name)), name) for name in regions), default=(0.0, "")
    )
    return name if name and overlap >= least else None


def needed_crop(
    recipe: TrainRecipe, sample_id: str, index: int, width: int, height: int
) -> Crop | None:
    """Return an image's crop number `index` if it needs a caption of its own."""
    crop = crop_of(recipe.crops, recipe.seed, sample_id, index, width / height)
    return crop if recipe.crops.is_new(crop) else None


def unit_of(recipe: TrainRecipe, epoch: int) -> str:
    """Return the name of what is asked of a part for an epoch: see `recaption.corpus.regions`.

    It tells all that decides the crops and the styles asked; another epoch may have the same.
    """
    crops = recipe.crops.decisive()
    asked = recipe.recaption
    styles = sorted(asked.styles or recipe.data.styles)
    name = keyed.hexdigest("crops", recipe.seed, crops, asked.hints, *styles, length=12)
    return f"crops-{name}-{turn_of(recipe.crops, epoch):03d}"
