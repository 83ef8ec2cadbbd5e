"""What decoding an image may take, told from its header, and where it is therefore decoded.

Images are decoded in the process that reads them, which is fastest, as long as no file of their
size can take long or much there; C code and Python's own loops cannot be stopped once they run.
What may take more is decoded `apart`, in a process that can be.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """The most that decoding may take: bytes of memory, and seconds of a slow core.

    `allowed` are the seconds after which it is stopped, where it is decoded apart.
    """

    memory: int
    seconds: float
    allowed: float


class TooCostlyError(Exception):
    """It costs more than it may here, and has to be decoded apart."""

    def __init__(self, cost: Cost) -> None:
        super().__init__(cost)
        self.cost = cost


@dataclass(frozen=True, slots=True)
class Budget:
    """What one image may take in this process."""

    memory: int
    seconds: float

    def check(self, cost: Cost) -> None:
        """Raise TooCostlyError."""
        if cost.memory > self.memory or cost.seconds > self.seconds:
            raise TooCostlyError(cost)


HERE = Budget(memory=160 * 2**20, seconds=2.0)
"""In the process that reads: a photo of 20 megapixels as PNG, of any size as baseline JPEG."""

ANYTHING = Budget(memory=2**62, seconds=1e9)
"""In the process apart, which is stopped from outside."""

# Measured with the largest images of each kind, bytes of memory for a pixel: decoded by Pillow (4
# for any colour, 1 or 2 for grey) and copied to 8-bit RGB (3), and what the decoder holds itself.
_MEMORY = {
    "AVIF": 24,
    "BMP": 8,
    "GIF": 12,
    "HEIF": 24,
    "JPEG2000": 32,
    "JXL": 48,
    "PNG": 8,
    "TIFF": 10,
    "WEBP": 22,
}
_SECONDS = 100e-9
"""For a pixel. Files made to be slow took 20 to 100 ns (PNG of 16-bit RGBA, interlaced; AVIF)."""
_SLOW = {"HEIF": 300e-9, "JPEG2000": 1e-6, "JXL": 500e-9}  # noise without loss
_LEAST_ALLOWED = 5.0
MOST_ALLOWED = 60.0
"""Seconds of CPU time that decoding one image may take."""


def of_pixels(kind: str, pixels: int, seconds: float = 0.0) -> Cost:
    """Return what so many pixels of a format take, and `seconds` of other work."""
    each = _SLOW.get(kind, _SECONDS)
    return Cost(_MEMORY[kind] * pixels, each * pixels + seconds, allowed(each * pixels))


def allowed(seconds: float) -> float:
    """Return the seconds after which what should take so many at most is stopped."""
    return min(MOST_ALLOWED, _LEAST_ALLOWED + seconds)
