"""Images as trainers can read them: JPEG, PNG or WebP, 8 bits, upright, without alpha."""

from __future__ import annotations

import io
import re

from recaption.decode import FULL_SIZE, DecodeError, prepare, to_rgb
from recaption.decode.container import identify
from recaption.decode.jpeg import read_header
from recaption.decode.pixels import JPEG_SIDE, LOSSLESS

SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}
_QUALITY = 95
# The entry of EXIF that leads to GPS data, in either byte order (CIPA DC-008, 4.6.3: tag 0x8825,
# type LONG, count 1), and what XMP calls it.
_PLACE = re.compile(rb"\x88\x25\0\x04\0\0\0\x01|\x25\x88\x04\0\x01\0\0\0|GPSLatitude")


def suffix_of(image_format: str | None) -> str:
    """Return what an image of a format is called."""
    kind = image_format or "JPEG"
    return SUFFIXES.get(kind, kind.lower())


def tells_place(data: bytes) -> bool:
    """Whether an image holds where it was taken, beside its pixels."""
    return _PLACE.search(data) is not None


def readable(data: bytes, is_published: bool = False) -> tuple[bytes, str]:
    """Return an image that every trainer reads, and its suffix. Raises DecodeError.

    Most stay as they are, byte for byte. What a trainer would turn the wrong way (an EXIF
    orientation), or not read (HEIC, AVIF, JPEG XL, TIFF, 16 bits, CMYK), or show with a ground of
    its own (alpha, which goes over white as it did for the captioner) is encoded again: JPEG of
    quality 95; PNG where it was lossless and is not one of the three, or is small. So is, of what
    is to be published, an image that tells where it was taken, which is not for everybody.
    """
    kind = identify(data)
    if is_published and tells_place(data):
        return _encoded(data, kind)
    if kind == "JPEG" and _is_plain_jpeg(data):
        return data, "jpg"
    if kind in SUFFIXES:
        data = prepare(data, FULL_SIZE).data
        return data, SUFFIXES[identify(data)]
    return _encoded(data, kind)


def _encoded(data: bytes, kind: str) -> tuple[bytes, str]:
    image, out = to_rgb(data), io.BytesIO()
    if kind in LOSSLESS or max(image.size) > JPEG_SIDE:
        image.save(out, "PNG")
        return out.getvalue(), "png"
    image.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue(), "jpg"


def _is_plain_jpeg(data: bytes) -> bool:
    """Whether all readers see the pixels that the captioner saw; only the header is looked at."""
    try:
        header = read_header(data)
    except DecodeError:
        return False  # decoding says what is wrong with it
    return header.is_common and header.orientation == 1
