"""Our own walk through a tar stream: ustar, GNU, PAX and old V7 headers, plain or gzip.

`tarfile` makes an object of forty attributes for each member, which costs more than the member's
bytes. Here a header is one slice of 512 bytes, of which name, size and checksum are looked at.
Nothing is ever written: a name out of a tar is data. Of a tar within the tar, the members count as
members: `b.jpg` in `x/a.tar` is `x/a/b.jpg`.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NoReturn

from recaption import storage
from recaption.notices import note
from recaption.sample import Shard
from recaption.sources.base import BrokenShard
from recaption.sources.gunzip import Gunzip
from recaption.sources.nested import Body, is_tar_name, split_inner
from recaption.sources.tar_header import (
    decode_name,
    is_sum_right,
    looks_like,
    name_in,
    parse_pax,
    say_special,
    size_in,
)
from recaption.text import printable

_BLOCK = 512
_BUFFER = 32 << 10  # measured best for local files: larger ones copy more of what is skipped
_REMOTE_BUFFER = 1 << 20
_META_LIMIT = 1 << 20  # bytes of a long name or a PAX header
_ONLY_ZEROS_LIMIT = 1 << 20  # an empty archive is shorter; a hole in a disk is longer
_MOST_ZEROS = 64 << 20  # bytes behind the last member; an archiver fills up to some kilobytes
_LONGEST_NAME = 300  # characters, in a message
_MOST_REFUSE = 64 << 10  # bytes behind the end marker that are no tar

_FILE = frozenset(b"\x0007")  # old V7, ustar, contiguous
_NO_BODY = frozenset(b"123456")  # links, devices, folders, pipes
_LONG_NAME, _LONG_LINK, _SPARSE, _FOLDER = b"LKS5"
_PAX = frozenset(b"xX")
_ABOUT_THE_NEXT = frozenset(b"LKxXg")
_NO_SAMPLE = frozenset(
    b"5DVMNI"
)  # folders, GNU's lists of them, names of volumes, the rest of files


@contextmanager
def open_tar(shard: Shard) -> Iterator[TarReader]:
    """Open a tar for reading. Raises StorageError, and within BrokenShard for what is broken."""
    is_local = not storage.is_remote(shard.url)
    url, start = split_inner(shard.url)
    with _buffered(storage.open_read(url), is_local) as stream:
        is_packed = stream.peek(2)[:2] == b"\x1f\x8b"
        gunzip = Gunzip(stream) if is_packed else None
        if gunzip is not None:
            stream = io.BufferedReader(gunzip, _BUFFER)
        end = stream.seek(0, io.SEEK_END) if is_local and not is_packed else None
        if end is not None:
            stream.seek(start or 0)
        reader = TarReader(stream, shard.name, start or 0, end, gunzip)
        try:
            yield reader if start is None else reader.enter_next()
        except zlib.error as error:
            reason = " ".join(str(error).split())
            reader.fail(f"the gzip stream is truncated or damaged ({reason})")


def _buffered(stream: BinaryIO, is_local: bool) -> io.BufferedReader:
    raw: Any = stream.detach() if isinstance(stream, io.BufferedReader) else stream
    return io.BufferedReader(raw, _BUFFER if is_local else _REMOTE_BUFFER)


class TarReader:
    """Walks through the regular files of a tar stream, and of the tars in it.

    `next` tells name and size of the next one, after which `body` may be called once; of a link,
    a device or a pipe, whose body is nowhere, `special` says what it is. A body that
    was not asked for is passed over: by a seek where `end` tells the stream's, else by reading on.
    `next_at` is the byte of the (unpacked) archive from which on the next member is looked for.
    """

    def __init__(
        self,
        stream: io.BufferedReader | Body,
        shard: str,
        start: int = 0,
        end: int | None = None,
        gunzip: Gunzip | None = None,
    ) -> None:
        self.members = 0
        self._gunzip = gunzip
        self._stream = stream
        self._read = stream.read
        self._shard = shard
        self.end = end
        self._is_inner = isinstance(stream, Body)
        self._inner: TarReader | None = None  # of the tar that is the current member
        self._folder = ""  # in front of its members' names
        self._header_at = start
        self.next_at = start
        self._left = 0  # bytes of the body that are still to be read
        self._gap = 0  # zeros between the body and the next header
        self._name = ""
        self._special = ""
        self._last_good = ""
        self._long_name = self._long_link = b""
        self._pax: dict[bytes, bytes] = {}

    def next(self) -> tuple[str, int] | None:
        """Go to the next regular file, in a tar within (but no `a.tar` behind an `a.jpg`) too.

        Return its name and size in bytes, None at the end.
        """
        while True:
            if self._inner is not None:
                member = self._inner.next_here()
                if member is not None:
                    return self._folder + member[0].removeprefix("./"), member[1]
                self._inner = None
            before = self._name
            member = self.next_here()
            if member is None or not is_tar_name(member[0]) or self._is_inner:
                return member
            self._inner = None if before.startswith(member[0][:-3]) else self.enter()
            if self._inner is None:
                return member
            self._folder = f"{member[0][:-4]}/"

    @property
    def special(self) -> str:
        """What the member that `next` returned is instead of a file, "" for a file."""
        return self._special if self._inner is None else self._inner.special

    def next_here(self) -> tuple[str, int] | None:
        """Go to the next file as `next` does, but into no tar within."""
        while (header := self._next_header()) is not None:
            kind = header[156]
            if kind in _ABOUT_THE_NEXT:
                self._take_note(kind, header)
                continue
            name, size, self._special = self._describe(header)
            is_folder = kind == _FOLDER or (not kind and name.endswith("/"))
            self._enter(0 if is_folder or kind in _NO_BODY else size, name)
            if is_folder or kind in _NO_SAMPLE:
                continue
            self.members += 1
            return name, 0 if self._special else size
        return None

    def body(self) -> bytes:
        """Read the whole body of the member that `next` returned."""
        if self._inner is not None:
            return self._inner.body()
        data = self.read_on(self._left)
        if self._left:
            self._fail_truncated(self._left)
        return data

    def enter(self) -> TarReader | None:
        """Return a reader of the member that `next_here` returned; None where it is no tar."""
        size, begin = self._left, self._header_at + _BLOCK
        start = self.read_on(_BLOCK)
        if len(start) < _BLOCK or (any(start) and not is_sum_right(start)):
            return None
        end = None if self.end is None else min(size, self.end - begin)
        name = f"{self._shard}/{self._name}"
        return TarReader(Body(self, start), name, end=end, gunzip=self._gunzip)

    def enter_next(self) -> TarReader:
        """Return a reader of the next member. Raises BrokenShard where that is no tar."""
        reader = self.enter() if self.next_here() else None
        if reader is None:
            self.fail("no tar is where the listing found one: the file has changed since")
        reader._shard = self._shard
        return reader

    def read_on(self, size: int) -> bytes:
        """Read the next bytes of the member's body, at most so many."""
        data = self._read(min(size, self._left))
        self._left -= len(data)
        return data

    def seek_on(self, size: int) -> None:
        """Pass over so many bytes of the member's body and what is behind it."""
        self._stream.seek(size, io.SEEK_CUR)
        self._left -= size

    def fail(self, what: str) -> NoReturn:
        """Raise the BrokenShard that says where and after which member."""
        if self._inner is not None:
            self._inner.fail(what)
        after = f"after its member {self._last_good}" if self._last_good else "before any member"
        where = f"at byte {self._header_at:,} {after[:_LONGEST_NAME]}"
        raise BrokenShard(printable(f"{self._shard[:_LONGEST_NAME]}: {what}, {where}"))

    def _next_header(self) -> bytes | None:
        """Return the next header that is not zeros, its checksum verified; None at the end."""
        if self._left:
            self._skip_body()
        gap = self._gap
        header = self._read(gap + _BLOCK)
        if gap:
            header = header[gap:]  # of the last member, the padding may be cut off
            self._gap = 0
        if self._name:
            self._last_good, self._name = self._name, ""
        self._header_at = self.next_at
        if not header or not header[0]:
            header = self._pass_zeros(header) if header else self._end_unmarked()
            if not header:
                return None
        if len(header) < _BLOCK or not is_sum_right(header):
            if self._header_at > self.next_at and self._is_refuse(header):
                return None
            self._fail_header(header)
        return header

    def _end_unmarked(self) -> bytes:
        """Take it for the end that nothing comes, though no zeros mark it, as others do."""
        if not self._header_at:
            self.fail("the file is empty (0 bytes)")
        if self._gunzip is not None and self._gunzip.is_cut:
            self.fail("the gzip stream is truncated")
        note(
            "tars without an end marker, read as far as they go: they may be truncated", self._shard
        )
        return b""

    def _pass_zeros(self, header: bytes) -> bytes:
        """Return the first block after the zeros that end an archive, b"" at the stream's end."""
        begin = self._header_at
        while header and not any(header):
            self._header_at += len(header)
            if self._header_at - begin > _MOST_ZEROS and self.members:
                note("zeros behind a tar's end, not read through", self._shard)
                return b""
            header = self._read(self._zeros_ahead() or _BLOCK)
        if not header and not self.members and self._header_at > _ONLY_ZEROS_LIMIT:
            self.fail("the file holds nothing but zeros")
        return header

    def _zeros_ahead(self) -> int:
        """Return how many bytes that were read ahead are whole blocks of zeros."""
        if isinstance(self._stream, Body):
            return 0
        ahead = self._stream.peek()
        size = len(ahead) // _BLOCK * _BLOCK
        return size if ahead.count(0, 0, size) == size else 0

    def _is_refuse(self, header: bytes) -> bool:
        """Whether something is behind the end marker that is no part of a tar: others ignore it.

        Not so where a header comes later: then the zeros before it are a hole.
        """
        rest = header + self._read(_MOST_REFUSE)
        blocks = (rest[at : at + _BLOCK] for at in range(0, len(rest), _BLOCK))
        if not self.members or len(rest) > _MOST_REFUSE or any(map(is_sum_right, blocks)):
            return False
        note("bytes behind a tar's end marker, not read", f"{self._shard}, {len(rest):,} bytes")
        return True

    def _fail_header(self, header: bytes) -> NoReturn:
        if not self._header_at:
            self.fail(f"not a tar file{looks_like(header)}")
        if len(header) < _BLOCK:
            self.fail(f"{self._truncated()} within a header")
        self.fail("the checksum of a header is wrong")

    def _fail_truncated(self, missing: int) -> NoReturn:
        name = self._name[:_LONGEST_NAME] or "a header"
        self.fail(f"{self._truncated()} within {name}, {missing:,} bytes are missing")

    def _truncated(self) -> str:
        is_packed = self._gunzip is not None and self._gunzip.is_cut
        return "the gzip stream is truncated" if is_packed else "truncated"

    def _enter(self, size: int, name: str = "") -> None:
        """Take note of a body of `size` bytes that comes now."""
        self._name = name
        self._left = size
        self._gap = -size % _BLOCK
        self.next_at = self._header_at + _BLOCK + size + self._gap

    def _skip_body(self) -> None:
        if self.end is not None:
            end = self.next_at - self._gap
            if end > self.end:  # a seek would not notice
                self._fail_truncated(end - self.end)
            self._stream.seek(min(self._left + self._gap, self.end - end + self._left), io.SEEK_CUR)
            self._gap = 0
        else:
            while self._left:
                if not self.read_on(_REMOTE_BUFFER):
                    self._fail_truncated(self._left)
        self._left = 0

    def _describe(self, header: bytes) -> tuple[str, int, str]:
        """Return name and size of a member, and what it is if no regular file."""
        kind, name = header[156], name_in(header)
        if kind in _FILE and not self._pax and not self._long_name:
            return decode_name(name), self._size_in(header), ""
        if self._long_name:
            name, self._long_name = self._long_name, b""
        target = self._long_link or header[157:257].partition(b"\0")[0]
        pax, self._pax, self._long_link = self._pax, {}, b""
        size = pax.get(b"size", b"")
        if kind == _SPARSE:
            self._pass_sparse_map(header)
        is_sparse = kind == _SPARSE or any(key.startswith(b"GNU.sparse.") for key in pax)
        return (
            decode_name(pax.get(b"GNU.sparse.name") or pax.get(b"path") or name),
            int(size) if size.isdigit() and len(size) < 20 else self._size_in(header),
            say_special(kind, decode_name(pax.get(b"linkpath") or target), is_sparse),
        )

    def _size_in(self, header: bytes) -> int:
        size = size_in(header)
        if size is None:
            self.fail(f"a header has the size {header[124:136]!r}, expected an octal number")
        return size

    def _take_note(self, kind: int, header: bytes) -> None:
        """Keep what a header says of the member behind it: a long name, PAX records."""
        if kind == _LONG_NAME:
            self._long_name = self._meta(header).partition(b"\0")[0]
        elif kind == _LONG_LINK:
            self._long_link = self._meta(header).partition(b"\0")[0]
        elif kind in _PAX:
            records = self._meta(header)
            try:
                self._pax = parse_pax(records)
            except ValueError as error:
                self.fail(f"a PAX header is malformed ({error})")
        else:
            self._enter(self._size_in(header))

    def _meta(self, header: bytes) -> bytes:
        size = self._size_in(header)
        if size > _META_LIMIT:
            self.fail(f"a long name or PAX header has {size:,} bytes, at most 1 MiB is read")
        self._enter(size)
        return self.body()

    def _pass_sparse_map(self, header: bytes) -> None:
        more = header[482]
        while more:
            block = self._read(_BLOCK)
            if len(block) < _BLOCK:
                self._fail_truncated(_BLOCK - len(block))
            self._header_at += _BLOCK
            more = block[504]
