"""PNG: its chunks walked here, its pixels by Pillow, without the chunks Pillow stumbles over.

What stands beside the pixels (texts, a profile, EXIF) is no reason to lose them: libpng and
browsers pass over an ancillary chunk that is broken or large, Pillow refuses the file.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from recaption.decode import cost, pillow
from recaption.decode.container import truncated
from recaption.decode.cost import Budget
from recaption.decode.pixels import Picture
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason

MAX_CHUNKS = 100_000
"""Each costs time in Python. A PNG of 256 MiB in the usual chunks of 8 KiB has 33,000."""
_MAX_ANCILLARY = 1_000  # that Pillow is shown: some 10 microseconds each
_SIGNATURE = 8
_SHOWN = frozenset({b"tRNS", b"eXIf"})  # ancillary chunks that say how the pixels look


@dataclass(frozen=True, slots=True)
class _Chunks:
    """What a walk found: where chunks that matter lie, how many others, whether it ends in IEND."""

    shown: tuple[slice, ...]
    ancillary: int
    is_ended: bool


def read(data: bytes, spec: ImageSpec, budget: Budget) -> Picture:
    """Read a PNG. Raises DecodeError, TooCostlyError."""
    if len(data) < 29:
        raise truncated("PNG", data, "inside its IHDR chunk")
    if data[12:16] != b"IHDR":
        raise DecodeError(Reason.CORRUPT, "PNG does not begin with its IHDR chunk")
    width, height = struct.unpack_from(">II", data, 16)
    spec.check_size(width, height)
    budget.check(cost.of_pixels("PNG", width * height))
    chunks = _walk(data)
    if chunks.is_ended and chunks.ancillary <= _MAX_ANCILLARY:
        try:
            return pillow.read(data, "PNG", spec, budget)
        except DecodeError as error:
            is_pixels = error.reason not in (Reason.CORRUPT, Reason.TRUNCATED)
            if is_pixels or chunks.ancillary == 0:
                raise
    lean = data[:_SIGNATURE] + b"".join(data[chunk] for chunk in chunks.shown)
    return pillow.read(lean, "PNG", spec, budget, may_pass=False)


def _walk(data: bytes) -> _Chunks:
    """Walk the chunks up to IEND; the critical ones must have the right CRC (Pillow skips IDAT).

    Where the file ends before IEND, the decoder finds out whether pixels are missing.
    """
    view, position, count, shown = memoryview(data), _SIGNATURE, 0, []
    has_pixels = is_ended = False
    while position + 8 <= len(data) and not is_ended:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        is_critical = not kind[0] & 0x20
        if end > len(data):
            if not has_pixels and kind != b"IDAT":
                raise truncated("PNG", data, f"inside chunk {kind!r} of {length:,} bytes")
        elif is_critical or kind in _SHOWN:
            is_right = view[end - 4 : end] == _crc(view[position + 4 : end - 4])
            if is_critical and not is_right and kind != b"IEND":
                raise DecodeError(Reason.CORRUPT, f"PNG chunk {kind!r} has a wrong CRC")
            kind = kind if is_right or is_critical else b""
        if is_critical or kind in _SHOWN:
            shown.append(slice(position, end))
        has_pixels |= kind == b"IDAT"
        is_ended = kind == b"IEND"
        position, count = end, count + 1
        if count > MAX_CHUNKS:
            raise DecodeError(Reason.CORRUPT, f"PNG has more than {MAX_CHUNKS:,} chunks")
    if not has_pixels:
        raise truncated("PNG", data, "before its pixels")
    return _Chunks(tuple(shown), count - len(shown), is_ended)


def _crc(view: memoryview) -> bytes:
    return zlib.crc32(view).to_bytes(4, "big")
