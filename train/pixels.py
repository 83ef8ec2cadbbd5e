"""From an encoded image to the square of pixels that is trained on."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from recaption.decode import ImageSpec, decode_rgb
from recaption.decode.pixels import reduce
from train.crops import Crop

Pixels = NDArray[np.uint8]


def cut_out(pixels: Pixels, crop: Crop) -> Pixels:
    """Return what a crop shows of an image, (height, width, 3)."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = crop.box(width, height)
    cut = pixels[top:bottom, left:right]
    return cut[:, ::-1] if crop.is_flipped else cut


def fit(image: bytes, crop: Crop, width: int, height: int) -> Pixels:
    """Decode an image, no larger than is needed, and return its crop as (3, height, width).

    A crop of another shape is stretched: what is cut off otherwise might be in the caption.
    Raises DecodeError.
    """
    smaller = min(crop.x1 - crop.x0, crop.y1 - crop.y0)
    spec = ImageSpec(short_side=max(1, math.ceil(max(width, height) / smaller)), is_exact=False)
    cut = np.ascontiguousarray(cut_out(decode_rgb(image, spec), crop))
    if cut.shape[0] >= height and cut.shape[1] >= width:
        sized = reduce(cut, (width, height))
    else:
        grown = cv2.resize(cut, (width, height), interpolation=cv2.INTER_CUBIC)
        sized = np.asarray(grown, np.uint8)
    return np.ascontiguousarray(sized.transpose(2, 0, 1))


def halves(
    first: tuple[bytes, Crop], second: tuple[bytes, Crop], is_stacked: bool, size: int
) -> Pixels:
    """Return two crops as the halves of one picture (3, size, size), the first left or on top."""
    near, far = size // 2, size - size // 2
    if is_stacked:
        return np.concatenate([fit(*first, size, near), fit(*second, size, far)], axis=1)
    return np.concatenate([fit(*first, near, size), fit(*second, far, size)], axis=2)
