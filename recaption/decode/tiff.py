"""TIFF: the first directory, read here before libtiff and Pillow take its word for anything."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from recaption.decode import cost
from recaption.decode.container import truncated
from recaption.decode.cost import Cost
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _FORMAT = 256, 257, 258, 259, 277, 339
_TILE_SIZE = (322, 323)
_DATA = ((273, 279), (324, 325))  # offsets and byte counts of strips and of tiles
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q", 17: "q"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}  # bytes of a value, TIFF 6.0, section 2, and BigTIFF
_FORMATS = {2: "signed integers", 3: "float", 5: "complex integers", 6: "complex float"}
_MAX_TAGS = 4_096  # a directory is sorted and has some 20; Pillow keeps a copy of every value
_PIECE_SECONDS = 5e-6  # for a strip or tile, in Pillow's and our own Python


@dataclass(frozen=True, slots=True)
class _Entry:
    type: int
    count: int
    at: int  # of the values


class Directory:
    """The tags of a TIFF's first picture. Raises DecodeError where they lie outside the file."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 16:
            raise truncated("TIFF", data, "inside its header")
        self._data = data
        self._order = "<" if data.startswith(b"II") else ">"
        is_big = 43 in data[2:4]
        number, self._offset, first, step = ("Q", "Q", 8, 20) if is_big else ("H", "I", 4, 12)
        start = struct.unpack_from(self._order + self._offset, data, first)[0]
        counted = struct.calcsize(self._order + number)
        if start + counted > len(data):
            raise truncated("TIFF", data, f"before its directory at {start:,}")
        count = struct.unpack_from(self._order + number, data, start)[0]
        if count > _MAX_TAGS:
            raise DecodeError(Reason.CORRUPT, f"TIFF has {count:,} tags, limit {_MAX_TAGS:,}")
        if start + counted + count * step > len(data):
            raise truncated("TIFF", data, f"inside its directory at {start:,}")
        self._entries: dict[int, _Entry] = {}
        inline = step - 8 if not is_big else 8
        for position in range(start + counted, start + counted + count * step, step):
            self._add(position, inline)

    def _add(self, position: int, inline: int) -> None:
        """Note an entry; the last of a tag counts, as with Pillow."""
        kind = self._order + "HH" + self._offset
        tag, type_, count = struct.unpack_from(kind, self._data, position)
        at = position + struct.calcsize(kind)
        if count * _SIZES.get(type_, 1) > inline:
            at = struct.unpack_from(self._order + self._offset, self._data, at)[0]
        self._entries[tag] = _Entry(type_, count, at)

    def values(self, tag: int, most: int = 2**20) -> tuple[int, ...]:
        """Return the whole numbers of a tag, so many at most; none where it is absent or broken."""
        entry = self._entries.get(tag)
        if entry is None or entry.type not in _TYPES:
            return ()
        kind = f"{self._order}{min(entry.count, most)}{_TYPES[entry.type]}"
        try:
            return struct.unpack_from(kind, self._data, entry.at)
        except struct.error:  # past the end
            return ()

    def value(self, tag: int, default: int) -> int:
        """Return the first whole number of a tag."""
        return next(iter(self.values(tag, 1)), default)

    def count(self, tag: int) -> int:
        """Return how many values a tag says it has."""
        return self._entries[tag].count if tag in self._entries else 0

    @property
    def bytes_of_tags(self) -> int:
        """What the values of all tags take, of which Pillow makes copies."""
        return sum(e.count * _SIZES.get(e.type, 1) for e in self._entries.values())


def inspect(data: bytes, spec: ImageSpec) -> Cost:
    """Return what decoding may take. Raises DecodeError for bombs and for data past the end."""
    tags = Directory(data)
    width, height = tags.value(_WIDTH, 0), tags.value(_HEIGHT, 0)
    if width <= 0 or height <= 0:
        raise DecodeError(Reason.CORRUPT, f"TIFF header gives {width} x {height} pixels")
    spec.check_size(width, height)
    tile = [tags.value(tag, 0) for tag in _TILE_SIZE]
    if tile[0] * tile[1] > spec.max_pixels:
        message = f"TIFF tiles are {tile[0]:,} x {tile[1]:,} pixels, limit {spec.max_pixels:,}"
        raise DecodeError(Reason.TOO_MANY_PIXELS, message)
    pieces = max(tags.count(offsets) for offsets, _ in _DATA)
    held = tags.bytes_of_tags
    if held > 4 * len(data) + 2**20:  # the same bytes named by many tags
        raise DecodeError(Reason.CORRUPT, f"TIFF has {held:,} bytes of tags in {len(data):,} bytes")
    if pieces <= 2**20:
        _check_end(tags, data)
    pixels = max(width * height, tile[0] * tile[1])
    one = cost.of_pixels("TIFF", pixels, pieces * _PIECE_SECONDS)
    depth = max(1, tags.value(_SAMPLES, 1) * tags.value(_BITS, 8) // 32)  # what libtiff hands over
    memory = one.memory * min(depth, 8) + 100 * pieces + 2 * held
    return replace(one, memory=memory)


def _check_end(tags: Directory, data: bytes) -> None:
    extents = [zip(tags.values(at), tags.values(size), strict=False) for at, size in _DATA]
    end = max((at + size for extent in extents for at, size in extent), default=0)
    if end > len(data):
        raise truncated("TIFF", data, f"expected {end:,}")


def describe(data: bytes) -> str:
    """Return what a pixel consists of: '13 samples of 16 bits'."""
    tags = Directory(data)
    bits = tags.values(_BITS, 64) or (1,)
    samples = tags.value(_SAMPLES, len(bits))
    depth = f"{bits[0]} bits" if len(set(bits)) == 1 else f"{'/'.join(map(str, bits[:8]))} bits"
    kind = _FORMATS.get(tags.value(_FORMAT, 1))
    if kind:
        depth = f"{bits[0]}-bit {kind}"
    return f"{samples} sample{'s' if samples != 1 else ''} of {depth}"
