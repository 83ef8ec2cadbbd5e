"""A gzip stream, unpacked as it is read, and forgiving as gzip itself: RFC 1952.

`gzip.GzipFile` raises where bytes were put behind the last member, or its checksum was cut off,
which hurts nobody once the archive in it has come to its end. Here the stream just ends then; where
it ends in the midst of its data, `is_cut` is true, and whoever reads says what is missing.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, BinaryIO

_MAGIC = b"\x1f\x8b"
_HEADER_CRC, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16  # bits of a header's flags
_PIECE = 64 << 10
_LONGEST_TEXT = 1 << 16  # bytes of a name or comment in a header


class Gunzip(io.RawIOBase):
    """The unpacked bytes of a gzip stream. Raises zlib.error for damage."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__()
        self.is_cut = False
        self._packed = packed
        self._left = b""  # packed bytes that were read ahead
        self._unpacker: Any = None  # of the member that is being read
        self._crc = self._size = self._members = 0
        self._is_at_end = False

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Unpack some bytes."""
        while not self._is_at_end:
            if self._unpacker is None and not self._begin():
                break
            data = self._unpack(len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
        self._is_at_end = True
        return 0

    def _unpack(self, size: int) -> bytes:
        """Unpack at most so many bytes; none at the end of a member, or of the file."""
        packed = self._left or self._packed.read(_PIECE)
        if not packed:
            self.is_cut = self._is_at_end = True
            return b""
        data: bytes = self._unpacker.decompress(packed, size)
        self._left = self._unpacker.unconsumed_tail
        self._crc, self._size = zlib.crc32(data, self._crc), self._size + len(data)
        if self._unpacker.eof:
            self._left = self._unpacker.unused_data
            self._end()
        return data

    def _begin(self) -> bool:
        """Read the header of the next member; say whether there is one."""
        start = self._take(10)
        while self._members and start and not start[0]:  # zeros between members, as tapes have
            start = start.lstrip(b"\0")
            start += self._take(10 - len(start))
        if not start:
            return False
        if start[:2] != _MAGIC or len(start) < 10 or start[2] != zlib.DEFLATED:
            if not self._members:
                raise zlib.error("no header of a gzip member")
            return False  # something else was put behind
        self._skip_fields(start[3])
        self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc = self._size = 0
        self._members += 1
        return True

    def _skip_fields(self, flags: int) -> None:
        if flags & _EXTRA:
            (size,) = struct.unpack("<H", self._take(2).ljust(2, b"\0"))
            self._take(size)
        for text in (_NAME, _COMMENT):
            if flags & text:
                self._skip_text()
        if flags & _HEADER_CRC:
            self._take(2)

    def _skip_text(self) -> None:
        for _ in range(_LONGEST_TEXT):
            if self._take(1) in (b"\0", b""):
                return
        raise zlib.error("a header of a gzip member has a name without end")

    def _end(self) -> None:
        """Check a member's sum and size. Raises zlib.error where they are wrong."""
        self._unpacker = None
        trailer = self._take(8)
        if len(trailer) < 8:
            self._is_at_end = True
        elif struct.unpack("<2L", trailer) != (self._crc, self._size & 0xFFFFFFFF):
            raise zlib.error("the checksum of unpacked data is wrong")

    def _take(self, size: int) -> bytes:
        """Return so many packed bytes, fewer at the end."""
        while len(self._left) < size:
            more = self._packed.read(_PIECE)
            if not more:
                break
            self._left += more
        taken, self._left = self._left[:size], self._left[size:]
        return taken
