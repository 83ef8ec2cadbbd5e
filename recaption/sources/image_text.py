"""Images written as text: base64, with or without `data:image/...;base64,` in front."""

from __future__ import annotations

import base64
import binascii
import re

from recaption.text import printable

_DATA_URL = re.compile(r"data:[\w.+/-]{0,100}(?:;[\w=.+-]{1,100}){0,4};base64,", re.IGNORECASE)
_STARTS = (  # of images, as base64 writes their first bytes
    *(
        "/9j/",
        "iVBORw0KGgo",
        "R0lGOD",
        "UklGR",
        "Qk",
        "SUkqA",
        "TU0AK",
    ),  # JPEG PNG GIF WebP BMP TIFF
    *("AAAAG", "AAAAH", "AAAAI"),  # AVIF, HEIC: a box of some 30 bytes
)
_PLAIN = str.maketrans("-_", "+/")  # the alphabet of urls to the plain one
_LEAST = 32  # characters of the smallest image
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]*")
_LOOKED_AT = 4096  # characters
_IS_URL = re.compile(r"[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)


def is_packed_text(text: str) -> bool:
    """Say whether text is an image in base64, by its start."""
    text = text.lstrip()
    if _DATA_URL.match(text):
        return True
    return (
        len(text) >= _LEAST
        and text[:16].translate(_PLAIN).startswith(_STARTS)
        and bool(_BASE64.fullmatch(text[:_LOOKED_AT]))
    )


def unpack_text(text: str) -> bytes:
    """Return the bytes of an image in base64, of either alphabet. Raises ValueError."""
    found = _DATA_URL.match(text.lstrip())
    raw = text.lstrip()[found.end() :] if found else text
    raw = "".join(raw.split()).translate(_PLAIN).rstrip("=")
    try:
        return base64.b64decode(raw + "=" * (-len(raw) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64 ({printable(str(error))[:100]})") from error


def say_text(first: str) -> str:
    """Say what a column of text holds instead of images, by its first value, and what to do."""
    shown = printable(first)[:80]
    if not first:
        return "is text, expected the image's bytes: set source.image_column to the right column"
    if _IS_URL.match(first.strip()):
        return (
            f"is text, urls such as {shown!r}, expected the image's bytes: download the images"
            " first (img2dataset)"
        )
    return (
        f"is text such as {shown!r}, expected the image's bytes: give the folder of the images as"
        " source.path, with this table as metadata.parquet in it"
    )
