"""What the headers of the formats without a module of their own say of size and cost."""

from __future__ import annotations

import re
import struct

from recaption.decode import cost
from recaption.decode.container import truncated
from recaption.decode.cost import Cost
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason

_LOOP_SECONDS = 2e-6  # for a turn of a loop in Pillow's Python
_MANY_BLOCKS = 2_000
_APART = 60.0  # seconds: more than any budget here
_RUN_LENGTH = (1, 2)  # BI_RLE8, BI_RLE4
_CORE_BMP = b"\x0c\0\0\0"  # 12 bytes: the oldest header
_SIZE_BOX = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)
_CODESTREAM = re.compile(rb"jxlc\xff\x0a|jxlp.{4}\xff\x0a", re.DOTALL)
_BOXES = frozenset({b"free", b"mdat", b"meta", b"moof", b"moov", b"skip", b"uuid"})
_LONGEST_HEADER = 2**20
# JPEG XL's SizeHeader: bits of a side by its selector, and what the width is of the height.
_SIDE_BITS = (9, 13, 18, 30)
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def gif(data: bytes, spec: ImageSpec) -> Cost:
    """Look at a GIF; Pillow notices when pixels are missing. Raises DecodeError."""
    palette = 3 * 2 ** ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0
    if len(data) < 13 + palette:
        raise truncated("GIF", data, "inside its header")
    width, height = struct.unpack_from("<HH", data, 6)
    spec.check_size(max(1, width), max(1, height))  # of the canvas; a frame may enlarge it
    blocks = _blocks_before_frame(data, 13 + palette)
    seconds = 0.0 if blocks < _MANY_BLOCKS else len(data) * _LOOP_SECONDS
    return cost.of_pixels("GIF", width * height, seconds)


def _blocks_before_frame(data: bytes, position: int) -> int:
    """Count the sub-blocks before the first frame, up to _MANY_BLOCKS: Pillow reads each."""
    blocks = 0
    while position + 2 < len(data) and data[position] != 0x2C and blocks < _MANY_BLOCKS:
        if data[position] == 0x21:  # an extension: label, then sub-blocks up to an empty one
            position += 2
            while position < len(data) and data[position] and blocks < _MANY_BLOCKS:
                position, blocks = position + 1 + data[position], blocks + 1
        position, blocks = position + 1, blocks + 1
    return blocks


def bmp(data: bytes, spec: ImageSpec) -> Cost:
    """Look at a BMP. Raises DecodeError."""
    is_core = data[14:18] == _CORE_BMP
    if len(data) < (26 if is_core else 34):
        raise truncated("BMP", data, "inside its header")
    if is_core:
        (width, height), compression = struct.unpack_from("<HH", data, 18), 0
    else:
        width, height = (abs(side) for side in struct.unpack_from("<ii", data, 18))
        compression = struct.unpack_from("<I", data, 30)[0]
    spec.check_size(max(1, width), max(1, height))
    turns = width * height + len(data) if compression in _RUN_LENGTH else 0
    return cost.of_pixels("BMP", width * height, turns * _LOOP_SECONDS)


def heif(data: bytes, spec: ImageSpec, kind: str) -> tuple[bytes, Cost]:
    """Look at an AVIF or HEIF; return it without what follows its last box. Raises DecodeError."""
    whole = data[: _end_of_boxes(data, kind)]
    sizes = _SIZE_BOX.findall(whole, 0, _LONGEST_HEADER)
    if not sizes:
        raise DecodeError(Reason.CORRUPT, f"{kind} does not say how large it is")
    sides = [struct.unpack(">II", size) for size in sizes]  # of it, its tiles, its thumbnails
    width, height = max(sides, key=lambda side: side[0] * side[1])
    if width * height > spec.max_pixels:
        spec.check_size(width, height)
    return whole, cost.of_pixels(kind, width * height, 0.0 if kind == "AVIF" else _APART)


def _end_of_boxes(data: bytes, kind: str) -> int:
    """Walk the top-level boxes (ISO/IEC 14496-12, 4.2): none may reach past the end."""
    position, found = 0, set[bytes]()
    while position < len(data):
        name = data[position + 4 : position + 8]
        if {b"meta", b"mdat"} <= found and name not in _BOXES:
            return position  # junk behind it
        if position + 8 > len(data):
            raise truncated(kind, data, "inside a box header")
        size = int.from_bytes(data[position : position + 4], "big")
        if size == 0:  # the last box reaches to the end, wherever that is
            return len(data)
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16], "big")
        if size < 8:
            raise DecodeError(Reason.CORRUPT, f"{kind} box {name!r} has size {size}")
        position += size
        found.add(name)
        if position > len(data):
            raise truncated(kind, data, f"inside box {name!r}")
    return len(data)


def jpeg2000(data: bytes, spec: ImageSpec) -> Cost:
    """Look at a JPEG 2000 (ISO/IEC 15444-1, A.5.1). Raises DecodeError."""
    at = data.find(b"\xff\x4f\xff\x51", 0, _LONGEST_HEADER)
    if at < 0 or at + 24 > len(data):
        raise truncated("JPEG 2000", data, "before its size")
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    width, height = max(1, right - left), max(1, bottom - top)
    spec.check_size(width, height)
    return cost.of_pixels("JPEG2000", width * height, _APART)


def jpeg_xl(data: bytes, spec: ImageSpec) -> Cost:
    """Look at a JPEG XL (ISO/IEC 18181-1, D.2). Raises DecodeError."""
    start = 2
    if not data.startswith(b"\xff\x0a"):
        box = _CODESTREAM.search(data, 0, _LONGEST_HEADER)
        if box is None:
            raise truncated("JPEG XL", data, "before its size")
        start = box.end()
    bits = _Bits(data[start : start + 16])
    is_small = bits.take(1)
    height = _side(bits, is_small)
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio - 1]
        width = height * over // under
    else:
        width = _side(bits, is_small)
    spec.check_size(width, height)
    return cost.of_pixels("JXL", width * height, _APART)


def _side(bits: _Bits, is_small: int) -> int:
    if is_small:
        return 8 * (bits.take(5) + 1)
    return bits.take(_SIDE_BITS[bits.take(2)]) + 1


class _Bits:
    """Bits of some bytes, the lowest first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        """Return the next so many bits as a number."""
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken
