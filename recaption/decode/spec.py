"""What an image has to be, and how it says that it is not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from recaption.sample import Reason
from recaption.text import describe_error

PILLOW_PIXELS = 178_956_970
"""Pillow refuses larger images (twice its `MAX_IMAGE_PIXELS`), so no limit above it can hold."""


LONGEST_ASPECT = 32
"""The longer side of what is prepared is at most this times `short_side`.

The engines' own processors shrink or refuse what is longer (Qwen2-VL from 200 on), and a part
holds hundreds of prepared images.
"""


class DecodeError(ValueError):
    """An image is not fit to be captioned; `reason` says why, the message what was got."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)  # both, so that it can be pickled
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[1])


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Make a DecodeError of whatever decoding raises: memory, recursion, an assertion of ours."""
    try:
        yield
    except DecodeError:
        raise
    except Exception as error:
        raise DecodeError(Reason.FAILED, f"decoding failed: {describe_error(error)}") from error


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Which images are accepted, and what they are reduced to.

    `short_side` is the length in pixels that the shorter side is reduced to (never raised; see
    LONGEST_ASPECT); `max_pixels` and `min_side` bound the original; `quality` is of the JPEG
    written where the original bytes cannot stay. `min_side` is 1, because a small image is no
    broken one: whether icons are worth a caption is for the recipe of a data set to say. At the
    largest `max_pixels` a PNG, TIFF or WebP takes 1.3 GB and 10 s to decode, AVIF 3 GB, in a
    process apart that is stopped after 23 s; a baseline JPEG is decoded as it is read. Without
    `is_exact` an image stays as large as it was decoded, where that is above `short_side`: for
    those who resize it again.
    """

    short_side: int = 448
    max_pixels: int = PILLOW_PIXELS
    min_side: int = 1
    quality: int = 95
    is_exact: bool = True

    def __post_init__(self) -> None:
        _check("short_side", self.short_side, 1, None)
        _check("max_pixels", self.max_pixels, 1, PILLOW_PIXELS)
        _check("min_side", self.min_side, 1, None)
        _check("quality", self.quality, 1, 100)

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Return the size to reduce to: aspect kept, never larger than the original.

        The longer side is bounded too, or a line of pixels would stay as long as it is.
        """
        short, long = min(width, height), max(width, height)
        part, whole = self.short_side, short
        if part * long > self.longest * whole:
            part, whole = self.longest, long
        if part >= whole:
            return width, height
        scaled = ((side * part + whole // 2) // whole for side in (width, height))
        scaled_width, scaled_height = (max(1, side) for side in scaled)
        return scaled_width, scaled_height

    @property
    def longest(self) -> int:
        """The length in pixels that the longer side is reduced to where it is longer still."""
        return LONGEST_ASPECT * self.short_side

    @property
    def most_bytes(self) -> int:
        """The bytes that a prepared image may have: 3.2 MB at the usual 448.

        Noise has 3 for a pixel, so none is touched whose sides are less than 5 to 1. A part holds
        hundreds of them.
        """
        return 65_536 + 16 * self.short_side**2

    def check_size(self, width: int, height: int) -> None:
        """Raise DecodeError where the original is too large or too small."""
        pixels = width * height
        if pixels > self.max_pixels:
            message = (
                f"image is {width:,} x {height:,} = {pixels:,} pixels, limit {self.max_pixels:,}"
            )
            raise DecodeError(Reason.TOO_MANY_PIXELS, message)
        if min(width, height) < self.min_side:
            message = f"image is {width} x {height}, expected a shorter side of {self.min_side}"
            raise DecodeError(Reason.TOO_SMALL, message)


def _check(name: str, value: int, low: int, high: int | None) -> None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):
        bounds = f"from {low} up" if high is None else f"from {low} to {high:,}"
        raise ValueError(f"image {name}: got {value!r}, expected a whole number {bounds}")
