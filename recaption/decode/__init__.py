"""Encoded bytes in, a checked, upright, reduced image out, still encoded.

What kind of file it is is told by its content, never by its name. Only the formats in
`container.FORMATS` are opened; a file that is cut short, broken or too large is a `DecodeError`,
never a half-grey picture. What may take long or much memory is decoded in a process apart. ICC
profiles and PNG gamma are ignored: the models were trained on pixels read so, pass-through and
re-encoded images then agree, and a stranger's profile is one parser less to trust. Alpha goes over
white, an animation is its first frame.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from PIL import Image

from recaption.decode import apart
from recaption.decode.cost import HERE, TooCostlyError
from recaption.decode.pixels import Picture, Pixels, encode
from recaption.decode.read import read
from recaption.decode.spec import DecodeError, ImageSpec, guarded

__all__ = ["DecodeError", "ImageSpec", "PreparedImage", "decode_rgb", "prepare", "to_rgb"]

_COARSER = (75, 50, 25)
FULL_SIZE = ImageSpec(short_side=2**31)


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """What travels to the engine: encoded, upright, reduced.

    `width` and `height` are of `data`, `original_width` and `original_height` of the upright
    original; `format` and `sha256` are of the original bytes.
    """

    data: bytes
    width: int
    height: int
    original_width: int
    original_height: int
    format: str
    sha256: str


def prepare(data: bytes, spec: ImageSpec) -> PreparedImage:
    """Check and reduce an image; one that is fit as it is keeps its bytes. Raises DecodeError."""
    with guarded():
        picture = _read(data, spec)
        height, width = picture.pixels.shape[:2]
        encoded = data if _is_fit(data, picture, spec) else _encode(picture, spec)
    return PreparedImage(
        data=encoded,
        width=width,
        height=height,
        original_width=picture.original_width,
        original_height=picture.original_height,
        format=picture.format,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def decode_rgb(data: bytes, spec: ImageSpec) -> Pixels:
    """Return upright RGB pixels (height, width, 3), reduced to `spec.short_side`."""
    with guarded():
        return _read(data, spec).pixels


def to_rgb(data: bytes) -> Image.Image:
    """Decode a prepared image, or any other that is accepted, at full size to mode RGB."""
    return Image.fromarray(decode_rgb(data, FULL_SIZE))


def _read(data: bytes, spec: ImageSpec) -> Picture:
    try:
        return read(data, spec, HERE)
    except TooCostlyError as error:
        return apart.read(data, spec, error.cost)


def _is_fit(data: bytes, picture: Picture, spec: ImageSpec) -> bool:
    """Whether the original bytes may travel: nothing to change, and no baggage to speak of."""
    most = min(picture.pixels.nbytes + 65_536, spec.most_bytes)
    return picture.is_plain and len(data) <= most


def _encode(picture: Picture, spec: ImageSpec) -> bytes:
    """Encode at the quality wanted, or less where it is long and full of noise."""
    for quality in (spec.quality, *_COARSER):
        encoded = encode(picture, quality)
        if len(encoded) <= spec.most_bytes:
            break
    return encoded
