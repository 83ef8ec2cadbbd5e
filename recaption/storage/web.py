"""Files on web servers: http:// and https://. Read only."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

import aiohttp
from fsspec.implementations.http import HTTPFileSystem
from yarl import URL

from recaption.storage.diagnosis import Trouble
from recaption.storage.errors import HttpStatusError, StorageError, explained
from recaption.storage.generic import GenericStore
from recaption.storage.paths import FileInfo
from recaption.storage.ranges import Answer, RangedFile, RangeReader, no_pieces, on_loop, submit
from recaption.storage.retry import retried
from recaption.storage.shown import without_secrets

_CONNECT_TIMEOUT_S = 10.0
_PIECE = 256 << 10  # bytes
_FILESYSTEMS: dict[int, Any] = {}


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

    def read_bytes(self, url: str) -> bytes:
        """Return a file's content; from a server without ranges, in one piece or again."""
        file = self._ranged(url)
        try:
            return on_loop(file.fetch(0, None)).data
        except NoRangesError:
            return on_loop(retried(lambda: _whole(url), self.retry, f"read {without_secrets(url)}"))

    def write_bytes(self, url: str, data: bytes) -> None:
        """Raise NotImplementedError."""
        raise NotImplementedError

    def put_if_absent(self, url: str, data: bytes) -> bool:
        """Raise NotImplementedError."""
        raise NotImplementedError

    def delete(self, urls: Sequence[str]) -> None:
        """Raise NotImplementedError."""
        raise NotImplementedError

    def _ranged(self, url: str) -> RangedFile:
        @asynccontextmanager
        async def open_range(offset: int, length: int | None) -> AsyncIterator[Answer]:
            async with _get(url, offset, length) as answer:
                yield answer

        return RangedFile(url, open_range, self.retry, 2 * _read_timeout_s())


class PlainReader(io.RawIOBase):
    """A web file read from front to back, over one connection.

    It starts over while nothing has been handed out; after that, a break is an error.
    """

    def __init__(self, url: str, store: WebStore) -> None:
        self._url = url
        self._store = store
        self._consumed = 0
        self._response: Any = None
        self._total: int | None = None
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
        session = await _session()
        self._response = await session.get(_parsed(self._url), headers=_HEADERS)
        _raise_for_status(self._response)
        self._total = self._response.content_length
        return await self._read()

    async def _read(self) -> bytes:
        try:
            piece = bytes(await self._response.content.read(_PIECE))
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(str(error)) from error
        if not piece and self._total is not None and self._consumed < self._total:
            raise self._broken("it ended too early")
        return piece

    def _broken(self, what: str) -> Exception:
        if self._consumed == 0:
            return ConnectionResetError(what)
        return StorageError(
            f"could not read {without_secrets(self._url)}: the connection broke off after"
            f" {self._consumed} of {self._total} bytes ({what}), and the server cannot resume (it"
            " knows no ranges). Run the same command again, or copy the file to local disk or S3"
            " first.",
            Trouble.UNREACHABLE,
        )

    async def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


_HEADERS = {"Accept-Encoding": "identity"}


async def _info(url: str) -> FileInfo:
    try:
        async with _get(url, 0, 1) as answer:
            return FileInfo(url, answer.total, answer.version)
    except NoRangesError:
        session = await _session()
        async with session.get(_parsed(url), headers=_HEADERS) as response:
            _raise_for_status(response)
            return FileInfo(url, response.content_length, _version(response))


async def _whole(url: str) -> bytes:
    session = await _session()
    async with session.get(_parsed(url), headers=_HEADERS) as response:
        _raise_for_status(response)
        return bytes(await response.read())


@asynccontextmanager
async def _get(url: str, offset: int, length: int | None) -> AsyncIterator[Answer]:
    """Ask for a range; raises NoRangesError where the server answers with something else."""
    last = "" if length is None else offset + length - 1
    session = await _session()
    headers = {**_HEADERS, "Range": f"bytes={offset}-{last}"}
    async with session.get(_parsed(url), headers=headers) as response:
        is_whole = response.status == 200 and offset == 0
        size = response.content_length
        if response.status == 416:
            yield Answer(_total(response), _version(response), no_pieces())
        elif is_whole and size is not None and (length is None or size <= length):
            yield Answer(size, _version(response), response.content.iter_chunked(_PIECE))
        else:
            _raise_for_status(response)
            if response.status != 206 or _first_byte(response) != offset:
                raise NoRangesError("the server sends whole files only")
            pieces = response.content.iter_chunked(_PIECE)
            yield Answer(_total(response), _version(response), pieces)


async def _session() -> aiohttp.ClientSession:
    """Return this process's session; fsspec closes it in the end."""
    name = os.getpid()
    if name not in _FILESYSTEMS:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=_read_timeout_s()
        )
        options = {"timeout": timeout, "trust_env": True, "auto_decompress": False}
        _FILESYSTEMS[name] = HTTPFileSystem(skip_instance_cache=True, client_kwargs=options)
    session: aiohttp.ClientSession = await _FILESYSTEMS[name].set_session()
    return session


def _read_timeout_s() -> float:
    return float(os.environ.get("RECAPTION_HTTP_READ_TIMEOUT", "60"))


def _parsed(url: str) -> URL:
    """Keep a url that is already escaped as it is: it may carry a signature."""
    try:
        return URL(url, encoded="%" in url or "?" in url)
    except ValueError as error:
        raise aiohttp.InvalidURL(url, str(error)) from error


def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status >= 400:
        raise HttpStatusError(response.status, response.reason or "")


def _version(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("ETag") or response.headers.get("Last-Modified") or ""


def _total(response: aiohttp.ClientResponse) -> int:
    """Return the file's size from `Content-Range: bytes 0-9/123` or `bytes */123`."""
    size = response.headers.get("Content-Range", "").rpartition("/")[2]
    if not size.isdigit():
        raise NoRangesError(f"got Content-Range {response.headers.get('Content-Range')!r}")
    return int(size)


def _first_byte(response: aiohttp.ClientResponse) -> int:
    found = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(found) if found.strip().isdigit() else -1
