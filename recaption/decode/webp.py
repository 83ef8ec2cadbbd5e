"""WebP: plain stills by OpenCV, which takes a third of Pillow's memory; the rest by Pillow."""

from __future__ import annotations

import struct
from dataclasses import replace

import cv2
import numpy as np

from recaption.decode import cost, pillow
from recaption.decode.container import truncated
from recaption.decode.cost import Budget
from recaption.decode.pixels import Picture, Pixels, as_pixels, finish
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason

_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF"})
_HEAD = 12  # RIFF, its size, WEBP
_STILL_MEMORY = 8  # bytes for a pixel in OpenCV, against 22 in Pillow's two canvases
_ALPHA_IS_USED = 1 << 28  # VP8L, 3


def read(data: bytes, spec: ImageSpec, budget: Budget) -> Picture:
    """Read a WebP. Raises DecodeError, TooCostlyError."""
    if len(data) < 30:
        raise truncated("WebP", data, "inside its header")
    width, height = _size(data)
    spec.check_size(width, height)
    full, is_plain = cost.of_pixels("WEBP", width * height), _is_plain_still(data)
    budget.check(replace(full, memory=_STILL_MEMORY * width * height) if is_plain else full)
    whole = _with_right_size(data)
    pixels = _decode(whole, width, height) if is_plain else None
    if pixels is None:
        budget.check(full)
        return pillow.read(whole, "WEBP", spec, budget, may_pass=whole is data)
    return finish(
        pixels,
        size=(width, height),
        orientation=1,  # there is no EXIF in such a file
        kind="WEBP",
        is_plain=whole is data,
        spec=spec,
    )


def _size(data: bytes) -> tuple[int, int]:
    """Return the canvas size (WebP container specification; RFC 6386, 9.1; VP8L, 3)."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return (
            int.from_bytes(data[24:27], "little") + 1,
            int.from_bytes(data[27:30], "little") + 1,
        )
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise DecodeError(Reason.CORRUPT, f"WebP begins with chunk {chunk!r}, expected VP8, VP8L, VP8X")


def _is_plain_still(data: bytes) -> bool:
    """Whether it is one chunk of opaque pixels, without EXIF, animation or a profile."""
    if data[12:16] == b"VP8L":
        return not int.from_bytes(data[21:25], "little") & _ALPHA_IS_USED
    return data[12:16] == b"VP8 "


def _with_right_size(data: bytes) -> bytes:
    """Return the file with the size that its chunks add up to, where its head has another.

    Decoders go by the head. What follows the last chunk is not part of the image; the padding of
    the last chunk may be missing.
    """
    end = position = _HEAD
    while position + 8 <= len(data) and data[position : position + 4] in _CHUNKS | {b"XMP "}:
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        end = position + 8 + length
        if end > len(data):
            raise truncated("WebP", data, f"expected {end:,}")
        position = end + (length & 1)
    claimed = int.from_bytes(data[4:8], "little") + 8
    if claimed in (end, position) and claimed <= len(data):
        return data
    padded = data[:position].ljust(position, b"\0")
    return b"RIFF" + (position - 8).to_bytes(4, "little") + padded[8:]


def _decode(data: bytes, width: int, height: int) -> Pixels | None:
    """Decode a plain still, the same pixels as Pillow's; None where OpenCV cannot."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # Pillow tries next, and gives the reason
        return None
    if pixels is None or pixels.shape != (height, width, 3) or pixels.dtype != np.uint8:
        return None
    return as_pixels(pixels)
