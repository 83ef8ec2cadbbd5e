"""A set of rendered images, told by a few numbers from which all of it follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from recaption.config import RecipeError, nearest
from recaption.shapeworld.drawing.layout import COUNTS
from recaption.shapeworld.render import SIZES, ImageFormat

FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)

MOST_THINGS = max(COUNTS)
"""Things in a scene."""

MAX_SHARDS, MAX_PER_SHARD = 100_000, 10_000
"""What a key of nine digits has room for: five of the shard, four of the sample in it."""


@dataclass(frozen=True, slots=True)
class RenderedSet:
    """`shards` times `per_shard` images of the scenes of a seed, or of random `crops` of them.

    `size` is the images' shorter side in pixels, None: drawn for each. With `most_things` above 0
    only simple scenes are drawn, with `only_large` of large things: see `draw_simple_scene`. Raises
    RecipeError.
    """

    seed: int
    shards: int
    per_shard: int
    size: int | None = None
    image_format: ImageFormat = "jpg"
    crops: bool = False
    most_things: int = 0
    only_large: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.most_things <= MOST_THINGS:
            raise RecipeError(
                f"got {self.most_things} things at most, expected 1 to {MOST_THINGS}, or 0 for"
                " scenes of all kinds"
            )
        if self.only_large and not self.most_things:
            raise RecipeError(
                "got only large things in scenes of all kinds, expected --most-things 1 or more"
                " with --only-large"
            )
        if not (1 <= self.shards <= MAX_SHARDS and 1 <= self.per_shard <= MAX_PER_SHARD):
            raise RecipeError(
                f"got {self.shards} shards of {self.per_shard} images, expected 1 to {MAX_SHARDS}"
                f" shards of 1 to {MAX_PER_SHARD}: the nine digits of a key hold no more"
            )
        if self.size is not None and not SIZES[0] <= self.size <= SIZES[1]:
            raise RecipeError(
                f"got size {self.size}, expected {SIZES[0]} to {SIZES[1]} pixels, or none to have"
                " it drawn for each image"
            )
        if self.image_format not in FORMATS:
            close = nearest(self.image_format, FORMATS)
            raise RecipeError(
                f"got format {self.image_format!r}, expected {' or '.join(FORMATS)}{close}"
            )

    @property
    def images(self) -> int:
        """How many images it has."""
        return self.shards * self.per_shard

    def shard(self, number: int) -> range:
        """Return the indices of a shard's scenes."""
        return range(number * self.per_shard, (number + 1) * self.per_shard)

    def key(self, index: int) -> str:
        """Return the key of an image: five digits of its shard, four of its place there."""
        return f"{index // self.per_shard:05d}{index % self.per_shard:04d}"
