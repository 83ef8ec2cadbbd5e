"""How each medium looks: what the painter does differently, and what is done to the whole after."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from recaption.shapeworld.content import RGB, Medium, luma, mix

Pixels = npt.NDArray[np.uint8]
"""[height, width, 3] RGB."""

Floats = npt.NDArray[np.floating[Any]]

PIXEL_CELLS = 48
"""Cells of pixel art along the shorter side of a whole scene."""

JPEG_QUALITY_OF_PHOTO = 38
"""Of the grey photo before it is encoded again: its artefacts are part of the picture."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a medium paints a thing. Lengths in shorter sides of the whole scene.

    A thing's surface shows the bare background if `is_hollow`, else its colour thinned to a share
    of `body` with white; its `edge` is its colour darkened by `edge_shade`. `wobble` is how far the
    hand strays, in radii of the thing.
    """

    edge: float
    edge_shade: float
    body: float
    is_hollow: bool
    wobble: float


LOOKS: dict[Medium, Look] = {
    # medium               edge   shade  body  hollow wobble
    Medium.FLAT: Look(0.008, 0.45, 1.00, False, 0.0),
    Medium.SKETCH: Look(0.022, 0.00, 0.00, True, 0.035),
    Medium.WATERCOLOUR: Look(0.014, 0.30, 0.90, False, 0.05),
    Medium.PIXEL_ART: Look(0.021, 0.0, 1.00, False, 0.0),
    Medium.GREY_PHOTO: Look(0.014, 0.0, 1.00, False, 0.0),
}


def pattern_on(colour: RGB) -> RGB:
    """Return the colour of stripes and dots on a surface: much lighter, or darker on light."""
    if luma(colour) > 125:
        return mix(colour, (0, 0, 0), 0.62)
    return mix(colour, (255, 255, 255), 0.72)


def finish(image: Pixels, medium: Medium, zoom: float, rng: np.random.Generator) -> Pixels:
    """Return the picture with the traces of its medium: grain, bleeding colour, noise."""
    match medium:
        case Medium.FLAT | Medium.PIXEL_ART:
            return image
        case Medium.SKETCH:
            return _grained(image, rng, 5.0)
        case Medium.WATERCOLOUR:
            return _grained(_mottled(image, zoom, rng), rng, 3.0)
        case Medium.GREY_PHOTO:
            return _photographed(image, rng)


def _to_bytes(image: Floats) -> Pixels:
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def _grained(image: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    grain = rng.standard_normal(image.shape[:2], dtype=np.float32) * np.float32(strength)
    return _to_bytes(image + grain[:, :, None])


def _mottled(image: Pixels, zoom: float, rng: np.random.Generator) -> Pixels:
    """Let pigment pool and run thin: brightness varies over blots of a tenth of the scene."""
    height, width = image.shape[:2]
    blots = [max(3, round(12 * side / (min(height, width) * zoom))) for side in (height, width)]
    pooled = rng.uniform(-1, 1, blots).astype(np.float32)
    field = cv2.resize(pooled, (width, height), interpolation=cv2.INTER_CUBIC)[:, :, None]
    thin, thick = np.maximum(field, 0) * 0.17, np.maximum(-field, 0) * 0.16
    washed = image + (255.0 - image) * thin - image * thick
    return _to_bytes(np.asarray(cv2.GaussianBlur(washed.astype(np.float32), (3, 3), 0.6)))


def _photographed(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Return it in greys, soft, darker to the corners, with sensor noise and JPEG blocks."""
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    height, width = grey.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    light = 1.02 - 0.10 * (x * x + y * y)
    lit = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0.7)) * light
    noisy: Floats = 10 + 0.93 * lit + 7 * rng.standard_normal(grey.shape, dtype=np.float32)
    return through_jpeg(_to_bytes(noisy), JPEG_QUALITY_OF_PHOTO)


def through_jpeg(grey: npt.NDArray[np.uint8], quality: int) -> Pixels:
    """Return a grey picture as RGB after JPEG has been at it."""
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))
