"""A tar within a tar: its name as a shard, and its bytes as a stream that `tar` can go through."""

from __future__ import annotations

import re
from typing import Protocol

_INNER = re.compile(r"(?![a-z0-9+]+://)(.+\.tar)#(\d+)/[^#]+\.tar", re.IGNORECASE | re.DOTALL)


def inner_url(url: str, start: int, name: str) -> str:
    """Return the url of the tar that is a member, from byte `start` on, of a local tar."""
    return f"{url}#{start}/{name}"


def split_inner(url: str) -> tuple[str, int | None]:
    """Return url and first byte that `inner_url` was given; of another url, itself and None."""
    inner = _INNER.fullmatch(url)
    return (inner[1], int(inner[2])) if inner else (url, None)


def is_tar_name(name: str) -> bool:
    """Say whether a member's name is that of a tar."""
    return name[-4:].lower() == ".tar"


class Outer(Protocol):
    """The reader of the archive around, which stands at the member."""

    def read_on(self, size: int) -> bytes:
        """Read the next bytes of the member's body, at most so many."""
        ...

    def seek_on(self, size: int) -> None:
        """Pass over so many bytes of the member's body."""
        ...


class Body:
    """The body of a member as a stream, of which the first block was read already."""

    def __init__(self, outer: Outer, start: bytes) -> None:
        self._outer = outer
        self._start = start

    def read(self, size: int) -> bytes:
        """Read some bytes; at first the first block, for which a TarReader asks at first."""
        if self._start:
            start, self._start = self._start, b""
            return start
        return self._outer.read_on(size)

    def seek(self, offset: int, whence: int) -> None:
        """Go on by some bytes, as a TarReader does that knows where its stream ends."""
        self._outer.seek_on(offset)
