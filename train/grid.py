"""A picture of samples: a row per prompt, the prompt written under it."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from recaption.text import printable

_MARGIN = 6
_LEAST_SIDE = 96
_FONT_SIZE = 13
_MOST_LINES = 4


def draw_grid(images: Tensor, prompts: Sequence[str]) -> Image.Image:
    """Lay out images, uint8 (prompts x columns, 3, H, W), prompt by prompt.

    Small images are enlarged by a whole factor, so that they can be looked at.
    """
    columns, rest = divmod(len(images), len(prompts))
    assert not rest, (len(images), len(prompts))
    factor = max(1, -(-_LEAST_SIDE // images.shape[-1]))
    width, height = images.shape[-1] * factor, images.shape[-2] * factor
    font = ImageFont.load_default(_FONT_SIZE)
    full = columns * (width + _MARGIN) + _MARGIN
    texts = [_wrap(prompt, full - 2 * _MARGIN, font) for prompt in prompts]
    line = _FONT_SIZE + 4
    heights = [height + 2 * _MARGIN + line * len(text) for text in texts]
    page = Image.new("RGB", (full, sum(heights) + _MARGIN), "white")
    draw, top = ImageDraw.Draw(page), _MARGIN
    for row, text in enumerate(texts):
        for column in range(columns):
            picture = _to_picture(images[row * columns + column]).resize(
                (width, height), Image.Resampling.NEAREST
            )
            page.paste(picture, (_MARGIN + column * (width + _MARGIN), top))
        for i, words in enumerate(text):
            draw.text((_MARGIN, top + height + 2 + i * line), words, fill="black", font=font)
        top += heights[row]
    return page


def to_png(picture: Image.Image) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _to_picture(image_CHW: Tensor) -> Image.Image:
    return Image.fromarray(image_CHW.permute(1, 2, 0).contiguous().cpu().numpy())


def _wrap(prompt: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    per_letter = max(1.0, font.getlength("the quick brown fox") / 19)
    letters = max(8, int(width / per_letter))
    return textwrap.wrap(
        printable(prompt) or "(no text)", letters, max_lines=_MOST_LINES, placeholder=" ..."
    )
