"""Images as trainers can read them: JPEG, PNG or WebP, 8 bits, upright, without alpha."""

from __future__ import annotations

import io

from recaption.decode import FULL_SIZE, DecodeError, prepare, to_rgb
from recaption.decode.container import identify
from recaption.decode.jpeg import read_header
from recaption.decode.pixels import JPEG_SIDE, LOSSLESS

SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}
_QUALITY = 95


def suffix_of(image_format: str | None) -> str:
    """Return what an image of a format is called."""
    kind = image_format or "JPEG"
    return SUFFIXES.get(kind, kind.lower())


def readable(data: bytes) -> tuple[bytes, str]:
    """Return an image that every trainer reads, and its suffix. Raises DecodeError.

    Most stay as they are, byte for byte. What a trainer would turn the wrong way (an EXIF
    orientation), or not read (HEIC, AVIF, JPEG XL, TIFF, 16 bits, CMYK), or show with a ground of
    its own (alpha, which goes over white as it did for the captioner) is encoded again: JPEG of
    quality 95; PNG where it was lossless and is not one of the three, or is small.
    """
    kind = identify(data)
    if kind == "JPEG" and _is_plain_jpeg(data):
        return data, "jpg"
    if kind in SUFFIXES:
        data = prepare(data, FULL_SIZE).data
        return data, SUFFIXES[identify(data)]
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
