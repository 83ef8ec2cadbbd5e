"""A zip's table of contents, entry by entry, and the members that it tells of.

`zipfile` makes an object of a kilobyte for each entry, and is strict where `unzip` is not: about
names that differ in the two places where they stand, say. Here the table stays the bytes that it
is. Offsets are those of APPNOTE.TXT.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_END, _END_64, _LOCATOR, _ENTRY, _LOCAL = (
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"PK\x01\x02",
    b"PK\x03\x04",
)
_TAIL = (1 << 16) + 22 + (1 << 16)  # bytes: a comment of 64 KiB, and as much that was put behind
_MOST_ENDS = 16
_LARGEST_TABLE = 512 << 20  # bytes
_IS_UTF8 = 0x800
_PIECE = 1 << 20


class BadZipError(ValueError):
    """A table or a member cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the table tells of a member; `offset` is where it is in the file."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


class Table:
    """The entries of a zip. `at` of an entry is its place in the table, for `entry`."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the table. Raises BadZipError."""
        self.file = file
        self.file_size = file.seek(0, os.SEEK_END)
        begin, size, self._shift = self._find()
        if size > _LARGEST_TABLE:
            raise BadZipError(f"its table has {size:,} bytes, more than {_LARGEST_TABLE:,}")
        file.seek(begin)
        self._raw = file.read(size)
        if len(self._raw) < size:
            raise BadZipError("its table is cut short")

    def places(self) -> Iterator[int]:
        """Yield the places of all entries. Raises BadZipError for what is none."""
        at, raw = 0, self._raw
        while at < len(raw):
            if raw[at : at + 4] != _ENTRY or at + 46 > len(raw):
                raise BadZipError(f"no entry is at byte {at:,} of its table")
            yield at
            at += 46 + sum(struct.unpack_from("<3H", raw, at + 28))

    def entry(self, at: int) -> Entry:
        """Return the entry at a place."""
        flags, method = struct.unpack_from("<2H", self._raw, at + 8)
        crc, packed, size, name_size, extra_size = struct.unpack_from("<3L2H", self._raw, at + 16)
        (offset,) = struct.unpack_from("<L", self._raw, at + 42)
        name = self._raw[at + 46 : at + 46 + name_size]
        if 0xFFFFFFFF in (packed, size, offset):
            extra = self._raw[at + 46 + name_size : at + 46 + name_size + extra_size]
            size, packed, offset = _wide(extra, size, packed, offset)
        offset += self._shift
        return Entry(_decode(name, flags), flags, method, crc, packed, size, offset)

    def name(self, at: int) -> str:
        """Return the name of the entry at a place."""
        (flags,) = struct.unpack_from("<H", self._raw, at + 8)
        (size,) = struct.unpack_from("<H", self._raw, at + 28)
        return _decode(self._raw[at + 46 : at + 46 + size], flags)

    def body(self, entry: Entry) -> bytes:
        """Return a member's content, its checksum verified. Raises BadZipError."""
        self.file.seek(entry.offset)
        header = self.file.read(30)
        if header[:4] != _LOCAL or len(header) < 30:
            raise BadZipError(f"there is no header of a member at byte {entry.offset:,}")
        self.file.seek(sum(struct.unpack_from("<2H", header, 26)), os.SEEK_CUR)
        body = self._unpack(entry) if entry.method else self.file.read(entry.packed)
        if zlib.crc32(body) != entry.crc:
            missing = f", it has {len(body):,} of {entry.size:,} bytes"
            raise BadZipError(f"its checksum is wrong{missing if len(body) < entry.size else ''}")
        return body

    def _unpack(self, entry: Entry) -> bytes:
        """Unpack no more than the table declares, whatever a bomb holds."""
        unpacker, pieces = zlib.decompressobj(-zlib.MAX_WBITS), []
        left, size = entry.packed, entry.size
        while size and left and not unpacker.eof:
            packed = self.file.read(min(left, _PIECE))
            if not packed:
                break
            left -= len(packed)
            while packed and size:
                piece = unpacker.decompress(packed, size)
                pieces.append(piece)
                size -= len(piece)
                packed = unpacker.unconsumed_tail
        return b"".join(pieces)

    def _find(self) -> tuple[int, int, int]:
        """Return begin and size of the table, and by how much offsets are to be shifted."""
        start = max(0, self.file_size - _TAIL)
        self.file.seek(start)
        tail = self.file.read(_TAIL)
        fault = BadZipError("there is no end of a table")
        at = len(tail)
        for _ in range(_MOST_ENDS):  # a comment may hold what looks like one
            at = tail.rfind(_END, 0, at)
            if at < 0:
                break
            try:
                return self._find_by_end(tail[: at + 22], start + at)
            except (BadZipError, struct.error) as error:
                fault = BadZipError(str(error))
        raise fault

    def _find_by_end(self, tail: bytes, end: int) -> tuple[int, int, int]:
        """Look for the table of an end record, the tail's last 22 bytes, at byte `end`."""
        at = len(tail) - 22
        disk, _, _, _, size, offset = struct.unpack_from("<4H2L", tail, at + 4)
        if at >= 20 and tail[at - 20 : at - 16] == _LOCATOR:
            disk, size, offset, end = self._find_64(tail[at - 20 : at], end - 20)
        if disk not in (0, 0xFFFF):
            raise BadZipError("it is one of several volumes: join them")
        begin = end - size
        if begin < 0:
            raise BadZipError("its table begins before the file")
        self.file.seek(begin)
        if size and self.file.read(4) != _ENTRY:
            raise BadZipError("no entry is at byte 0 of its table")
        return begin, size, begin - offset

    def _find_64(self, locator: bytes, end: int) -> tuple[int, int, int, int]:
        """Read the end of a large archive's table: disk, count, size, offset, and where it is."""
        (written,) = struct.unpack_from("<Q", locator, 8)
        for place in (end - 56, written):
            if 0 <= place < self.file_size:
                self.file.seek(place)
                record = self.file.read(56)
                if record[:4] == _END_64 and len(record) == 56:
                    disk, _, _, _, size, offset = struct.unpack_from("<2L4Q", record, 16)
                    return disk, size, offset, place
        raise BadZipError("the end of its table (zip64) is missing")


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Return size, packed size and offset, of which what is all ones stands in the extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            wide = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            size, packed, offset = (
                next(wide, value) if value == 0xFFFFFFFF else value
                for value in (size, packed, offset)
            )
        at += 4 + length
    return size, packed, offset


def _decode(name: bytes, flags: int) -> str:
    """Decode a name: UTF-8 where it can be, even if the archiver did not mark it as such."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("utf-8", "replace") if flags & _IS_UTF8 else name.decode("cp437")
