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


def square(image: bytes, crop: Crop, size: int) -> Pixels:
    """Decode an image, no larger than is needed, and return its crop as (3, size, size).

    A crop that is not square is stretched: what is cut off otherwise might be in the caption.
    Raises DecodeError.
    """
    smaller = min(crop.x1 - crop.x0, crop.y1 - crop.y0)
    spec = ImageSpec(short_side=max(1, math.ceil(size / smaller)), is_exact=False)
    cut = np.ascontiguousarray(cut_out(decode_rgb(image, spec), crop))
    if min(cut.shape[:2]) >= size:
        sized = reduce(cut, (size, size))
    else:
        sized = np.asarray(cv2.resize(cut, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)
    return np.ascontiguousarray(sized.transpose(2, 0, 1))
