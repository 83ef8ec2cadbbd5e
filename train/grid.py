"""A picture of samples: a row per prompt, the prompt beside it."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from recaption.text import printable

_LEAST_SIDE = 128
_GAP = 8
_BETWEEN_GROUPS = 24
_LABEL = 190
_FONT_SIZE = 14
_LINE = _FONT_SIZE + 5
_MOST_LINES = 4
_MOST_LETTERS = 2_000
_INK, _PALE = "#1f2328", "#656d76"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_grid(images: Tensor, prompts: Sequence[str], title: str = "") -> Image.Image:
    """Lay out images, uint8 (prompts x columns, 3, H, W), prompt by prompt, below a title."""
    return draw_grids({"": images}, prompts, title)


def draw_grids(
    groups: Mapping[str, Tensor], prompts: Sequence[str], title: str = ""
) -> Image.Image:
    """Lay out groups of images side by side, such as before and after, each below its name.

    Each group: uint8 (prompts x columns, 3, H, W), prompt by prompt, all of one size. Small images
    are enlarged by a whole factor, so that they can be looked at. A name may have several lines.
    """
    columns = [len(images) // len(prompts) for images in groups.values()]
    sizes = [(n * len(prompts), *next(iter(groups.values())).shape[1:]) for n in columns]
    assert sizes == [tuple(images.shape) for images in groups.values()], sizes
    width, height = _enlarged(*sizes[0][2:])
    lefts = list(_lefts(columns, width))
    widths = [count * (width + _GAP) - _GAP for count in columns]
    full = lefts[-1] + widths[-1] + _GAP
    font = _font()
    head = _Head(_wrap(title, full - 2 * _GAP, 2, font), _names(groups, widths, font))
    labels = [
        _wrap(prompt or "(no text)", _LABEL, max(1, height // _LINE), font) for prompt in prompts
    ]
    page = Image.new("RGB", (full, head.height + len(prompts) * (height + _GAP)), "white")
    draw = ImageDraw.Draw(page)
    head.draw(draw, lefts, font)
    for row, label in enumerate(labels):
        top = head.height + row * (height + _GAP)
        _write(draw, (_GAP, top + (height - _LINE * len(label)) // 2), label, font)
        for images, count, left in zip(groups.values(), columns, lefts, strict=True):
            for column in range(count):
                picture = _to_picture(images[row * count + column])
                # Smooth: the squares of enlarged pixels hide what eyes would make out.
                enlarged = picture.resize((width, height), Image.Resampling.BICUBIC)
                page.paste(enlarged, (left + column * (width + _GAP), top))
    return page


def to_png(picture: Image.Image) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


class _Head:
    """The title, and the names of the groups below it."""

    def __init__(self, title: Sequence[str], names: Sequence[Sequence[str]]) -> None:
        self._title, self._names = title, names
        self._top = _GAP + (_LINE * len(title) + _GAP if title else 0)
        lines = max(map(len, names))
        self.height = self._top + (_LINE * lines + _GAP // 2 if lines else 0)

    def draw(self, draw: ImageDraw.ImageDraw, lefts: Sequence[int], font: Font) -> None:
        _write(draw, (_GAP, _GAP), self._title, font, _PALE)
        for left, lines in zip(lefts, self._names, strict=True):
            _write(draw, (left, self._top), lines, font)


def _names(names: Iterable[str], widths: Sequence[int], font: Font) -> list[list[str]]:
    """Return the lines of each group's name, which fit the group's width."""
    return [
        [part for line in name.splitlines() for part in _wrap(line, width, _MOST_LINES, font)]
        for name, width in zip(names, widths, strict=True)
    ]


def _enlarged(height: int, width: int) -> tuple[int, int]:
    factor = max(1, -(-_LEAST_SIDE // min(height, width)))
    return width * factor, height * factor


def _lefts(columns: Sequence[int], width: int) -> Iterator[int]:
    """Yield where each group begins."""
    left = _GAP + _LABEL + _GAP
    for count in columns:
        yield left
        left += count * (width + _GAP) + _BETWEEN_GROUPS


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    lines: Sequence[str],
    font: Font,
    ink: str = _INK,
) -> None:
    for number, line in enumerate(lines):
        draw.text((place[0], place[1] + number * _LINE), line, fill=ink, font=font)


def _to_picture(image_CHW: Tensor) -> Image.Image:
    return Image.fromarray(image_CHW.permute(1, 2, 0).contiguous().cpu().numpy())


def _font() -> Font:
    """Return matplotlib's font, which has Latin, Greek and Cyrillic letters; PIL's has ASCII."""
    found = importlib.util.find_spec("matplotlib")
    for folder in (found and found.submodule_search_locations) or ():
        path = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.exists():
            return ImageFont.truetype(str(path), _FONT_SIZE)
    return ImageFont.load_default(_FONT_SIZE)


def _wrap(text: str, width: int, most: int, font: Font) -> list[str]:
    """Cut a text into lines that fit a width, and the last of too many short."""
    lines = [""]
    for word in printable(text)[:_MOST_LETTERS].split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    shown = [line for line in lines if line]
    if len(shown) > most:
        shown = [*shown[: most - 1], shown[most - 1] + " ..."]
    return [_cut(line, width, font) for line in shown]


def _cut(line: str, width: int, font: Font) -> str:
    if font.getlength(line) <= width:
        return line
    while len(line) > 1 and font.getlength(line + "...") > width:
        line = line[:-1]
    return line.rstrip(" .") + "..."
