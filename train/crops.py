"""Random resized crops and flips, each with the region it shows: pure, keyed by seed and sample id.

An image has `per_image` crops, drawn once from the seed and its id; epoch after epoch uses the next
of them. A fresh crop every time would ask for a fresh caption every time: images x epochs of them.
With a small set the captioner writes images x per_image region captions in all, each of which
serves every later epoch and every later run on the corpus; what a larger set adds in variety can be
measured by that one number. That all images use their crop of the same number in an epoch costs
nothing, since the crops themselves are drawn apart; and it makes the crops of a part in an epoch
one unit of work for the captioner.

A share of the crops are halves: they have the shape of half a picture and are shown beside the half
of another image, each under its caption (`train/layouts.py`). In the manner of CutMix (Yun et al.
2019, arXiv:1905.04899), but nothing covers anything, so that both captions stay true.
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass, replace

from pydantic import Field, model_validator

from recaption import keyed
from recaption.config import Section
from recaption.sample import FULL_IMAGE

_DIGITS = 3
"""Decimals of a region's shares: half a pixel of an image 500 wide."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of an image in shares of its width and height, cut out first, flipped then.

    `is_half`: it has the shape of half a picture.
    """

    x0: float = 0.0
    y0: float = 0.0
    x1: float = 1.0
    y1: float = 1.0
    is_flipped: bool = False
    is_half: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 <= 1 and 0 <= self.y0 < self.y1 <= 1):
            raise ValueError(f"got {self}, expected 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1")

    @property
    def area(self) -> float:
        """The share of the image that is seen."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    @property
    def region(self) -> str:
        """The crop as the corpus names it: `full`, or `x0,y0,x1,y1` and `,flip` behind."""
        if self == FULL:
            return FULL_IMAGE
        shares = ",".join(f"{share:.{_DIGITS}f}" for share in (self.x0, self.y0, self.x1, self.y1))
        return shares + (",flip" if self.is_flipped else "")

    def overlap(self, other: Crop) -> float:
        """Return the intersection over union of two crops; 0 where only one is flipped."""
        if self.is_flipped != other.is_flipped:
            return 0.0
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        if width <= 0 or height <= 0:
            return 0.0
        both = width * height
        return both / (self.area + other.area - both)

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom in pixels of an image, at least one pixel each way."""
        left, top = math.floor(self.x0 * width), math.floor(self.y0 * height)
        right, bottom = round(self.x1 * width), round(self.y1 * height)
        return left, top, max(right, left + 1), max(bottom, top + 1)


FULL = Crop()


def parse_region(region: str) -> Crop:
    """Return the crop that a region of the corpus names. Raises ValueError."""
    if region == FULL_IMAGE:
        return FULL
    numbers, flipped, rest = region.partition(",flip")
    shares = [float(share) for share in numbers.split(",")]
    if len(shares) != 4 or rest:
        raise ValueError(f"got the region {region!r}, expected full or x0,y0,x1,y1[,flip]")
    x0, y0, x1, y1 = shares
    return Crop(x0, y0, x1, y1, is_flipped=bool(flipped))


class CropConfig(Section):
    """How images are cropped."""

    per_image: int = Field(default=4, ge=1, le=1024, description="crops of an image, in all epochs")
    whole: float = Field(default=0.0, ge=0, le=1, description="share of images shown whole")
    least_area: float = Field(default=0.35, gt=0, le=1, description="of a crop, as a share")
    most_area: float = Field(default=1.0, gt=0, le=1)
    most_stretch: float = Field(
        default=4 / 3, ge=1, description="aspect ratio of a crop in pixels, at most, and 1 / it"
    )
    flip: float = Field(default=0.0, ge=0, le=1, description="share of crops that are mirrored")
    halves: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of crops shown beside one of another image, under both captions",
    )
    keeps_caption: float = Field(
        default=0.9, ge=0, le=1, description="a crop of at least this area keeps its caption"
    )

    @model_validator(mode="after")
    def _has_room(self) -> CropConfig:
        if self.least_area > self.most_area:
            raise ValueError(
                f"crops.least_area={self.least_area} is above crops.most_area={self.most_area}"
            )
        return self

    def decisive(self) -> str:
        """Tell all that decides which crops are drawn; what is younger only where it is set."""
        return self.model_dump_json(exclude=set() if self.halves else {"halves"})

    def is_new(self, crop: Crop) -> bool:
        """Whether a crop shows so little of its image that it needs a caption of its own."""
        return crop.area < self.keeps_caption


def turn_of(config: CropConfig, epoch: int) -> int:
    """Return the number of the crop that an epoch uses: each once before any comes again."""
    return epoch % config.per_image


def is_stacked(seed: int, index: int) -> bool:
    """Whether halves among the crops of this number stand above each other, not side by side."""
    return keyed.integer("stacked", seed, index) % 2 == 1


def draw_crop(config: CropConfig, *, seed: int, epoch: int, sample_id: str, aspect: float) -> Crop:
    """Return the crop of an image in an epoch; `aspect` is the image's width over its height."""
    return crop_of(config, seed, sample_id, turn_of(config, epoch), aspect)


def crop_of(config: CropConfig, seed: int, sample_id: str, index: int, aspect: float) -> Crop:
    """Return the crop number `index` of an image, or all of it for the share shown whole.

    Area and logarithm of the aspect ratio are uniform, as in Szegedy et al. 2015
    (arXiv:1409.4842, section 6); where ten draws do not fit, the largest centred one is taken.
    """
    rng = random.Random(keyed.integer("crop", seed, sample_id, index))
    is_flipped, is_whole = rng.random() < config.flip, rng.random() < config.whole
    if is_whole:
        return Crop(is_flipped=is_flipped)
    if config.halves and rng.random() < config.halves:
        return _half(config, rng, 2.0 if is_stacked(seed, index) else 0.5, aspect, is_flipped)
    stretch = math.log(config.most_stretch)
    for _ in range(10):
        area = rng.uniform(config.least_area, config.most_area)
        ratio = math.exp(rng.uniform(-stretch, stretch))
        width, height = math.sqrt(area * ratio / aspect), math.sqrt(area * aspect / ratio)
        if width <= 1 and height <= 1:
            return _placed(width, height, rng.random(), rng.random(), is_flipped)
    ratio = min(max(aspect, 1 / config.most_stretch), config.most_stretch)
    return _placed(*_largest(ratio, aspect), 0.5, 0.5, is_flipped)


def _half(
    config: CropConfig, rng: random.Random, ratio: float, aspect: float, is_flipped: bool
) -> Crop:
    """Return a crop of exactly this ratio; its area is a share of the largest such one."""
    scale = math.sqrt(rng.uniform(config.least_area, config.most_area))
    width, height = (scale * side for side in _largest(ratio, aspect))
    crop = _placed(width, height, rng.random(), rng.random(), is_flipped)
    return replace(crop, is_half=True)


def _largest(ratio: float, aspect: float) -> tuple[float, float]:
    """Return width and height, as shares, of an image's largest crop of a ratio."""
    return min(1.0, ratio / aspect), min(1.0, aspect / ratio)


def _placed(width: float, height: float, x: float, y: float, is_flipped: bool) -> Crop:
    """Return a crop of a size at a place, its shares rounded so that its name is all of it."""
    left, top = round(x * (1 - width), _DIGITS), round(y * (1 - height), _DIGITS)
    right = min(1.0, max(round(left + width, _DIGITS), left + 10**-_DIGITS))
    bottom = min(1.0, max(round(top + height, _DIGITS), top + 10**-_DIGITS))
    return Crop(left, top, round(right, _DIGITS), round(bottom, _DIGITS), is_flipped)


_SIDES = {"left": "right", "leftmost": "rightmost", "left-hand": "right-hand"}
_OPPOSITE = _SIDES | {right: left for left, right in _SIDES.items()}
_SIDE_WORD = re.compile(
    r"\b(" + "|".join(sorted(_OPPOSITE, key=len, reverse=True)) + r")\b", re.I | re.A
)
_NOT_A_SIDE = re.compile(r"\b(all right|right away|right angles?|left over|is left\b(?! of))", re.I)


def flip_caption(caption: str) -> str | None:
    """Return the caption of the mirrored image, None where that cannot be said by words alone.

    Left and right change places; printed text would be in mirror writing, and words such as
    `all right` are no sides: of these the caller has to ask the captioner.
    """
    if _has_quote(caption) or _NOT_A_SIDE.search(caption):
        return None
    return _SIDE_WORD.sub(lambda match: _like(match[0], _OPPOSITE[match[0].lower()]), caption)


def _has_quote(caption: str) -> bool:
    return caption.count('"') > 1 or -1 < caption.find("“") < caption.rfind("”")


def _like(model: str, word: str) -> str:
    if model.isupper():
        return word.upper()
    return word.capitalize() if model[0].isupper() else word
