"""Holds what reading a Parquet file takes within bounds, whatever the file says of itself.

A page's header tells how far it unpacks, and pyarrow believes it: 3 KB may ask for gigabytes. The
footer's sizes are no help, they are claims as well. So the file is handed to pyarrow through a
stream that looks at the header of each page as it goes by, before pyarrow sees it: a page that no
real file has is refused, and where a batch would take too much it is made again of fewer rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import BinaryIO

from recaption.parquet.errors import DamagedFile, TooDense
from recaption.parquet.thrift import Chunk, NotThrift, PageHeader, read_page_header

BUDGET = 256 << 20
"""Bytes that the pages of a batch may take, unpacked, where it can be made of fewer rows."""

HELD_LIMIT = 2 << 30
"""Bytes above which pages are refused: a row group of large images may be a single page."""

_PACKED_WELL = 64 << 20  # bytes unpacked, up to which a page may be packed as well as it likes
_RATIO = 100  # to which a larger page may be packed
_VALUES = 1 << 24  # of lists in a batch of one row, and of the page that ends it
_VALUE = 16  # bytes that a value of a list takes while it is read, about
_SLACK = 128  # bytes that a column may be longer than it says: parquet-mr wrote so (PARQUET-816)
_PEEK = 1 << 12  # bytes that are looked at for a header, at first
_HEADER_LIMIT = 16 << 20  # of a header, which may hold the least and the largest value


@dataclass(slots=True)
class _Watched:
    """A column of a row group in the file; `at` is where its next page begins."""

    name: str
    is_list: bool
    at: int
    end: int
    newest: int = 0  # bytes of the page that is read now
    repeated: int = 0  # the same, where a value of it may come again in each row


class WatchedStream:
    """A seekable stream that looks at the pages that are read through it."""

    def __init__(self, stream: BinaryIO, budget: int = BUDGET) -> None:
        self._stream = stream
        self._budget = budget
        self._chunks: list[_Watched] = []  # in the order of the file
        self._starts: list[int] = []
        self._rows = 1
        self._passed = 0  # bytes of pages that the batch has left behind
        self._repeated = 0  # bytes that one row takes, at most, where values are repeated
        self._held = 0  # bytes of pages that are kept
        self._values = 0  # of lists
        self.closed = False

    def watch(self, columns: Iterable[tuple[str, bool, Chunk]]) -> None:
        """Look at the pages of these columns, each with its name and whether it is a list."""
        chunks = [
            _Watched(name, is_list, chunk.start, chunk.start + chunk.packed)
            for name, is_list, chunk in columns
        ]
        self._chunks = sorted(chunks, key=lambda chunk: chunk.at)
        self._starts = [chunk.at for chunk in self._chunks]
        for one, other in pairwise(self._chunks):
            if one.end > other.at:
                raise DamagedFile(f"the bytes of columns {one.name} and {other.name} overlap")
        self._repeated = self._held = 0
        self.begin_batch(1)

    def begin_batch(self, rows: int) -> None:
        """Count anew: a batch of so many rows is read now."""
        self._rows, self._passed, self._values = rows, 0, 0

    def read(self, size: int = -1) -> bytes:
        """Read on. Raises DamagedFile for a page that is refused, TooDense for too many rows."""
        start = self._stream.tell()
        raw = self._stream.read(size)
        end = start + len(raw)
        first = bisect_right(self._starts, start) - 1
        for chunk in islice(self._chunks, max(0, first), bisect_left(self._starts, end)):
            while start <= chunk.at < min(end, chunk.end):
                self._look(chunk, raw[chunk.at - start : chunk.at - start + _PEEK])
        return raw

    def _look(self, chunk: _Watched, raw: bytes) -> None:
        try:
            header = read_page_header(raw) or self._look_further(chunk)
        except NotThrift as error:
            raise DamagedFile(f"a page of column {chunk.name} begins with {error}") from error
        chunk.at += header.length + header.packed
        if chunk.at > chunk.end + _SLACK:
            raise DamagedFile(f"a page of column {chunk.name} claims {header.packed:,} bytes")
        _check(chunk.name, header)
        self._count(chunk, header)

    def _look_further(self, chunk: _Watched) -> PageHeader:
        """Return a header that is longer, or lies across what was read."""
        back, size = self._stream.tell(), _PEEK
        try:
            while True:
                self._stream.seek(chunk.at)
                raw = self._stream.read(size)
                if header := read_page_header(raw):
                    return header
                if len(raw) < size or size >= _HEADER_LIMIT:
                    raise NotThrift(f"a header without end ({len(raw):,} bytes)")
                size *= 16
        finally:
            self._stream.seek(back)

    def _count(self, chunk: _Watched, header: PageHeader) -> None:
        """Add up what the batch takes: the pages that it went through, and what repeats in it."""
        self._passed += chunk.newest
        self._held += header.unpacked - chunk.newest
        chunk.newest = header.unpacked
        if header.is_dictionary:
            self._repeated += header.unpacked
            chunk.newest = 0
        elif header.repeats or chunk.repeated:
            self._repeated += header.unpacked * header.repeats - chunk.repeated
            chunk.repeated = header.unpacked * header.repeats
        if chunk.is_list:
            self._values += header.values
        taken = self._passed + self._rows * self._repeated + _VALUE * self._values
        if taken > self._budget and self._rows > 1:
            raise TooDense(max(1, min(self._rows // 2, self._rows * self._budget // taken)))
        self._check_held(chunk.name)

    def _check_held(self, name: str) -> None:
        taken = max(self._held, self._passed)
        if taken > HELD_LIMIT:
            raise DamagedFile(
                f"its pages take {taken:,} bytes at once, at column {name}, more than the limit of"
                f" {HELD_LIMIT:,}"
            )
        if self._values > _VALUES:
            raise DamagedFile(f"column {name} has more than {_VALUES:,} values in one row")

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()

    def seekable(self) -> bool:
        """Say that it can seek."""
        return True

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def close(self) -> None:
        """Leave the stream to who opened it."""
        self.closed = True


def _check(name: str, header: PageHeader) -> None:
    """Refuse a page that is no real file's. Raises DamagedFile."""
    limit = min(HELD_LIMIT, max(_PACKED_WELL, _RATIO * header.packed))
    if header.unpacked > limit:
        raise DamagedFile(
            f"a page of column {name} unpacks from {header.packed:,} to {header.unpacked:,} bytes,"
            f" more than the limit of {limit:,}: damaged, or made to fill the memory"
        )
