"""What every reader of shards shares: their fault, their limits, what counts as image and text."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator

from recaption.sample import Reason, Rejection, Sample, Stage
from recaption.text import decode_text, printable

Wanted = Callable[[int], bool]
"""Says of an ordinal whether its sample is wanted; the others are passed over unread."""

Samples = Generator[Sample | None, None, None]
"""The samples of a shard in its own order; None stands for one that was not wanted."""

IMAGE_LIMIT = 256 << 20
"""Bytes above which an encoded image is not loaded but rejected."""

FIELD_LIMIT = 1 << 20
"""Bytes above which a text beside an image is left out."""

_IMAGES = (
    "jpg jpeg jpe jfif jif png apng webp gif bmp dib tif tiff avif avifs heic heif mpo"
    " jp2 j2k jpx jpf ppm pgm pbm pnm tga ico"
)
_TEXTS = "txt text caption captions cls json"
IMAGE_EXTENSIONS = frozenset(_IMAGES.split())
TEXT_EXTENSIONS = frozenset(_TEXTS.split())


class BrokenShard(ValueError):
    """A shard cannot be read on; the message names it, the place and the last good sample."""


def want_all(ordinal: int) -> bool:
    """Want every sample."""
    return True


def extension_of(name: str) -> str:
    """Return what follows the last dot of a file's name, in lower case, or ""."""
    return name.rpartition("/")[2].rpartition(".")[2].lower() if "." in name else ""


def parse_field(extension: str, raw: bytes) -> object:
    """Return the value of a text member: parsed where it is JSON that can be parsed, else text."""
    text = decode_text(raw)
    if extension.rpartition(".")[2] != "json":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def rejected(
    sample_id: str, key: str, ordinal: int, reason: Reason, message: str, image_name: str = ""
) -> Sample:
    """Return the sample that could not be read."""
    rejection = Rejection(Stage.READ, reason, printable(message))
    return Sample(sample_id, key, ordinal, None, image_name=image_name, rejection=rejection)


def too_large(name: str, size: int) -> str:
    """Say that an image is over the limit."""
    return f"{name} has {size:,} bytes, more than the limit of {IMAGE_LIMIT:,}"
