"""Files on web servers: http:// and https://. Read only."""

from __future__ import annotations

import asyncio
import io
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

import aiohttp

from recaption.storage.diagnosis import Trouble
from recaption.storage.errors import HttpStatusError, StorageError, explained, too_long
from recaption.storage.fetch import ask, driver, read_timeout_s
from recaption.storage.generic import GenericStore
from recaption.storage.paths import FileInfo
from recaption.storage.ranges import (
    SLOWEST_RATE,
    Answer,
    RangedFile,
    RangeReader,
    deadline_s,
    no_pieces,
    on_loop,
    submit,
)
from recaption.storage.retry import retried
from recaption.storage.shown import without_secrets

_PIECE = 256 << 10  # bytes
MOST_READ = 1 << 30  # bytes of a file that is read in one piece


class NoRangesError(OSError):
    """The server sends whole files only."""


class WebStore(GenericStore):
    """Files on web servers; listing works where the server shows a page of links."""

    def info(self, url: str) -> FileInfo:
        """Return size and ETag, or time of change."""
        return on_loop(retried(lambda: _info(url), self.retry, f"look at {without_secrets(url)}"))

    def exists(self, url: str) -> bool:
        """Say whether the server has it."""
        try:
            self.info(url)
        except HttpStatusError as error:
            if error.status in (404, 410):
                return False
            raise
        return True

    def open_read(self, url: str) -> BinaryIO:
        """Open a file: a seekable stream by ranges, or a plain one if the server has none."""
        try:
            return RangeReader.open(self._ranged(url))
        except NoRangesError:
            return io.BufferedReader(PlainReader(url, self), _PIECE)

    def read_bytes(self, url: str, most: int = MOST_READ, stays: bool = False) -> bytes:
        """Return a file's content; from a server without ranges, in one piece or again."""
        try:
            return on_loop(self._ranged(url, stays).fetch(0, None, most=most)).data
        except NoRangesError:
            doing = f"read {without_secrets(url)}"
            return on_loop(retried(lambda: _whole(url, most, stays), self.retry, doing))

    def write_bytes(self, url: str, data: bytes) -> None:
        """Raise NotImplementedError."""
        raise NotImplementedError

    def put_if_absent(self, url: str, data: bytes) -> bool:
        """Raise NotImplementedError."""
        raise NotImplementedError

    def delete(self, urls: Sequence[str]) -> None:
        """Raise NotImplementedError."""
        raise NotImplementedError

    def _driver(self, url: str) -> tuple[Any, str]:
        return driver(), url

    def _ranged(self, url: str, stays: bool = False) -> RangedFile:
        @asynccontextmanager
        async def open_range(offset: int, length: int | None) -> AsyncIterator[Answer]:
            async with _get(url, offset, length, stays) as answer:
                yield answer

        return RangedFile(url, open_range, self.retry, _patience_s())


class PlainReader(io.RawIOBase):
    """A web file read from front to back, over one connection.

    It starts over while nothing has been handed out; after that, a break is an error.
    """

    def __init__(self, url: str, store: WebStore) -> None:
        self._url = url
        self._store = store
        self._consumed = 0
        self._response: Any = None
        self._asked: Any = None
        self._waited = 0.0  # seconds
        self.total: int | None = None
        self._first = on_loop(retried(self._start, store.retry, f"read {without_secrets(url)}"))

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Copy the next bytes; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if not self._first:
            with explained(self._url, "read"):
                self._first = on_loop(self._read())
        piece, self._first = self._first[: len(view)], self._first[len(view) :]
        view[: len(piece)] = piece
        self._consumed += len(piece)
        return len(piece)

    def close(self) -> None:
        """Close the connection, without waiting: this may be the garbage collector's call."""
        if self._response is not None:
            submit(self._drop())
        super().close()

    async def _start(self) -> bytes:
        """Ask for the file and wait for its first bytes."""
        await self._drop()
        asked = ask(self._url, _HEADERS)
        async with asyncio.timeout(_patience_s()):
            self._response = await asked.__aenter__()
        self._asked = asked
        self.total = self._response.content_length
        return await self._read()

    async def _read(self) -> bytes:
        """Return the next bytes; one that waits longer than they are worth is told so."""
        began = time.monotonic()
        left = deadline_s(self._consumed, _patience_s()) - self._waited
        try:
            async with asyncio.timeout(left):
                piece = bytes(await self._response.content.read(_PIECE))
        except TimeoutError as error:
            raise self._broken(f"it sends less than {SLOWEST_RATE:,} bytes/s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(str(error)) from error
        self._waited += time.monotonic() - began
        if not piece and self.total is not None and self._consumed < self.total:
            raise self._broken("it ended too early")
        return piece

    def _broken(self, what: str) -> Exception:
        if self._consumed == 0:
            return ConnectionResetError(what)
        return StorageError(
            f"could not read {without_secrets(self._url)}: the connection broke off after"
            f" {self._consumed} of {self.total} bytes ({what}), and the server cannot resume (it"
            " knows no ranges). Run the same command again, or copy the file to local disk or S3"
            " first.",
            Trouble.UNREACHABLE,
        )

    async def _drop(self) -> None:
        if self._asked is not None:
            asked, self._asked = self._asked, None
            await asked.__aexit__(None, None, None)


_NUMBER = re.compile(r"[0-9]{1,18}")
_HEADERS = {"Accept-Encoding": "identity"}


async def _info(url: str) -> FileInfo:
    try:
        async with asyncio.timeout(_patience_s()), _get(url, 0, 1) as answer:
            return FileInfo(url, answer.total, answer.version)
    except NoRangesError:
        async with asyncio.timeout(_patience_s()), ask(url, _HEADERS) as response:
            return FileInfo(url, response.content_length, _version(response))


async def _whole(url: str, most: int, stays: bool) -> bytes:
    """Return a whole body of at most so many bytes, if it comes at a rate that makes sense."""
    got = bytearray()
    began = time.monotonic()
    async with (
        asyncio.timeout(_patience_s()) as limit,
        ask(url, _HEADERS, stays) as response,
    ):
        async for piece in response.content.iter_chunked(_PIECE):
            got += piece
            if len(got) > most:
                raise too_long(url, most)
            ahead = began + deadline_s(len(got), _patience_s()) - time.monotonic()
            limit.reschedule(asyncio.get_running_loop().time() + ahead)
    return bytes(got)


@asynccontextmanager
async def _get(
    url: str, offset: int, length: int | None, stays: bool = False
) -> AsyncIterator[Answer]:
    """Ask for a range; raises NoRangesError where the server answers with something else."""
    last = "" if length is None else offset + length - 1
    headers = {**_HEADERS, "Range": f"bytes={offset}-{last}"}
    async with ask(url, headers, stays) as response:
        is_whole = response.status == 200 and offset == 0
        size = response.content_length
        if response.status == 416:
            yield Answer(_total(response), _version(response), no_pieces())
        elif is_whole and size is not None and (length is None or size <= length):
            yield Answer(size, _version(response), response.content.iter_chunked(_PIECE))
        else:
            if response.status != 206 or _first_byte(response) != offset:
                raise NoRangesError("the server sends whole files only")
            pieces = response.content.iter_chunked(_PIECE)
            yield Answer(_total(response), _version(response), pieces)


def _version(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("ETag") or response.headers.get("Last-Modified") or ""


def _total(response: aiohttp.ClientResponse) -> int:
    """Return the file's size from `Content-Range: bytes 0-9/123` or `bytes */123`."""
    size = response.headers.get("Content-Range", "").rpartition("/")[2]
    if not _NUMBER.fullmatch(size):
        raise NoRangesError(f"got Content-Range {response.headers.get('Content-Range')!r}")
    return int(size)


def _first_byte(response: aiohttp.ClientResponse) -> int:
    found = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(found) if _NUMBER.fullmatch(found.strip()) else -1


def _patience_s() -> float:
    return 2 * read_timeout_s()
