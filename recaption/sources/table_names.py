"""How a table names an image, and whether that is this one.

Tables are written on other machines than they are read on: with `\\` between folders, with the
whole path of another disk, in another case or Unicode form, without folder or without extension.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote

from recaption.sources.base import FOREIGN_IMAGES, IMAGE_EXTENSIONS

_URL = re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^/]*/?", re.IGNORECASE)
_DRIVE = re.compile(r"[a-zA-Z]:/")
_LONGEST = 4096  # characters


@dataclass(frozen=True, slots=True)
class Name:
    """A path as folded parts; `is_far` is true of one that begins elsewhere, such as at `/`."""

    parts: tuple[str, ...]
    is_far: bool = False

    @property
    def path(self) -> str:
        """The parts as one text."""
        return "/".join(self.parts)

    @property
    def folder(self) -> str:
        """All but the last part, as one text."""
        return "/".join(self.parts[:-1])

    @property
    def stem(self) -> str:
        """The last part without an image's extension."""
        return _stem(self.parts[-1]) if self.parts else ""

    @property
    def has_extension(self) -> bool:
        """Whether the last part ends as images do."""
        return bool(self.parts) and _stem(self.parts[-1]) != self.parts[-1]


def fold(text: str) -> str:
    """Return text in which case and the way of writing accents make no difference."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def name_of(written: str) -> Name:
    """Return what a table wrote, or a file's own path, as a Name."""
    text = written.strip()[:_LONGEST].replace("\\", "/")
    is_far = text.startswith("/")
    if found := _URL.match(text) or _DRIVE.match(text):
        text, is_far = text[found.end() :], True
        text = unquote(re.split(r"[?#]", text, maxsplit=1)[0])
    parts = [part for part in fold(text).split("/") if part not in ("", ".")]
    if ".." in parts:
        up = len(parts) - parts[::-1].index("..")
        parts, is_far = parts[up:], True
    return Name(tuple(parts), is_far)


def fits(row: Name, image: Name) -> bool:
    """Say whether a row's name may mean the image: one path ends as the other, ending or not."""
    if not row.parts or not image.parts:
        return False
    last = image.parts[-1] if row.has_extension else image.stem
    if row.parts[-1] != last:
        return False
    shared = min(len(row.parts), len(image.parts))
    return row.parts[-shared:-1] == image.parts[-shared:-1]


def _stem(name: str) -> str:
    stem, _, extension = name.rpartition(".")
    is_image = extension in IMAGE_EXTENSIONS or extension in FOREIGN_IMAGES
    return stem if stem and is_image else name
