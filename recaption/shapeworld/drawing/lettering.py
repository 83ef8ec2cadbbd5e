"""Printed words: letters on a plate, so that they can be read on any background."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from recaption.shapeworld.content import Word
from recaption.shapeworld.drawing import geometry
from recaption.shapeworld.drawing.media import Pixels

_PLATE_HEIGHT, _MARGIN = 64, 11
"""Pixels of the plate before it is brought to size, and from its rim to the letters."""


def print_word(image: Pixels, word: Word, aspect: float, is_coarse: bool) -> None:
    """Print a word's plate on a picture, cut where it leaves the frame."""
    unit = min(image.shape[:2])
    size = max(1, round(word.width * unit)), max(1, round(word.height * unit))
    plate = cv2.resize(_plate(word.text, is_coarse), size, interpolation=cv2.INTER_AREA)
    if word.mirrored:
        plate = plate[:, ::-1]
    width, height = geometry.frame_of(aspect)
    left = round((word.x * width - word.width / 2) * unit)
    top = round((word.y * height - word.height / 2) * unit)
    y0, y1 = max(top, 0), min(top + size[1], image.shape[0])
    x0, x1 = max(left, 0), min(left + size[0], image.shape[1])
    if y0 < y1 and x0 < x1:
        image[y0:y1, x0:x1] = plate[y0 - top : y1 - top, x0 - left : x1 - left]


@lru_cache(maxsize=256)
def _plate(text: str, is_coarse: bool) -> Pixels:
    """Return a word in black on white with a thin frame; `is_coarse` takes letters of pixels."""
    width = round(_PLATE_HEIGHT * Word(text, 0, 0, 1.0).width)
    plate = Image.new("L", (width, _PLATE_HEIGHT), 255)
    ImageDraw.Draw(plate).rectangle((0, 0, width - 1, _PLATE_HEIGHT - 1), outline=30, width=3)
    room = (width - 2 * _MARGIN, _PLATE_HEIGHT - 2 * _MARGIN)
    method = Image.Resampling.NEAREST if is_coarse else Image.Resampling.LANCZOS
    plate.paste(15, (_MARGIN, _MARGIN), _letters(text, is_coarse).resize(room, method))
    return np.asarray(plate.convert("RGB"))


def _letters(text: str, is_coarse: bool) -> Image.Image:
    """Return the letters alone, white on black, cut to their bounds."""
    font = (
        ImageFont.load_default_imagefont() if is_coarse else ImageFont.load_default(_PLATE_HEIGHT)
    )
    sheet = Image.new("L", (2 * _PLATE_HEIGHT * len(text), 2 * _PLATE_HEIGHT), 0)
    ImageDraw.Draw(sheet).text((8, 8), text, fill=255, font=font)
    return sheet.crop(sheet.getbbox())
