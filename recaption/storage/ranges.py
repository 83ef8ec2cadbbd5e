"""Reading a remote file by ranges: resumed where it broke off, read ahead while it is read on."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from fsspec.asyn import get_loop

from recaption.storage.diagnosis import Trouble
from recaption.storage.errors import StorageError, explained, too_long
from recaption.storage.retry import RetryPolicy
from recaption.storage.shown import without_secrets

T = TypeVar("T")

_SLOW_COUNTS = 3  # attempts that one counts for which was given up as too slow

FIRST_BLOCK = 256 << 10  # bytes; each block read on from the last is twice as large
LARGEST_BLOCK = 8 << 20  # bytes; a reader holds two
SLOWEST_RATE = 64 << 10  # bytes/s; a request that is slower is hanging


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer to a ranged request: the file's size and version, then the bytes."""

    total: int
    version: str
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes of a file from `start`, with the file's size and version at that time."""

    start: int
    data: bytes
    total: int
    version: str

    @property
    def end(self) -> int:
        """Where the next block starts."""
        return self.start + len(self.data)


OpenRange = Callable[[int, int | None], AbstractAsyncContextManager[Answer]]
"""(offset, length or None for the rest) -> an answer; past the end of the file, one without bytes.
"""


async def no_pieces() -> AsyncIterator[bytes]:
    """Yield nothing: the pieces of an answer to a range past the end."""
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece


def on_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on fsspec's own loop thread, from any other thread or loop, and wait."""
    future = submit(work)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start a coroutine on fsspec's own loop thread."""
    return asyncio.run_coroutine_threadsafe(work, get_loop())


def deadline_s(size: int, patience_s: float) -> float:
    """Return the longest that moving `size` bytes may take, in seconds."""
    return patience_s + size / SLOWEST_RATE


@dataclass(slots=True)
class _Progress:
    """What has arrived of a range, and the version of the file that it is from."""

    got: bytearray
    version: str
    total: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class RangedFile:
    """A remote file that can be asked for any range; each request is resumed and retried.

    `patience_s` is how long a request may take beside the time for its bytes, in seconds.
    """

    url: str
    open_range: OpenRange
    retry: RetryPolicy
    patience_s: float = 120.0

    async def fetch(
        self, start: int, length: int | None, version: str = "", most: int = 0
    ) -> Block:
        """Return `length` bytes from `start`, fewer at the file's end; None: all, `most` at most.

        What has arrived when a request breaks is kept; the number of attempts counts from the last
        one that brought something. Raises StorageError if the file is not of the given version.
        """
        progress = _Progress(bytearray(), version, most=most)
        attempt = 0
        while True:
            attempt += 1
            before = len(progress.got)
            try:
                await self._fetch_rest(progress, start, length)
                return Block(start, bytes(progress.got), progress.total, progress.version)
            except Exception as error:
                if type(error) is TimeoutError:  # ours: bytes come, but too slowly to wait for
                    attempt += _SLOW_COUNTS
                elif len(progress.got) > before:
                    attempt = 1
                delay = self.retry.pause(attempt, error, f"read {without_secrets(self.url)}")
            await asyncio.sleep(delay)

    async def _fetch_rest(self, progress: _Progress, start: int, length: int | None) -> None:
        """Append what is missing of the range. Raises ConnectionResetError if it comes short."""
        got = progress.got
        missing = None if length is None else length - len(got)
        began = asyncio.get_running_loop().time()
        before = len(got)
        async with (
            asyncio.timeout(deadline_s(missing or 0, self.patience_s)) as limit,
            self.open_range(start + len(got), missing) as answer,
        ):
            self._check_version(progress.version, answer.version)
            progress.version, progress.total = answer.version, answer.total
            end = answer.total if length is None else min(answer.total, start + length)
            if progress.most and end - start > progress.most:
                raise too_long(self.url, progress.most)
            async for piece in answer.pieces:
                got += piece
                if start + len(got) > end:  # more than was asked for, perhaps without end
                    del got[max(0, end - start) :]
                    break
                if missing is None:
                    limit.reschedule(began + deadline_s(len(got) - before, self.patience_s))
        if start + len(got) < end:
            raise ConnectionResetError(f"got {len(got)} bytes, expected {end - start}")

    def _check_version(self, expected: str, got: str) -> None:
        if expected and got and expected != got:
            raise StorageError(
                f"could not read {without_secrets(self.url)}: it was replaced while it was being"
                f" read (its version was {expected} and is {got}). Run the same command again.",
                Trouble.CHANGED,
            )


class RangeReader(io.RawIOBase):
    """A remote file as a seekable stream, for one thread at a time.

    Blocks double while the file is read on, and from the second on the next one is fetched while
    this one is used; after a seek they start small again.
    """

    def __init__(self, file: RangedFile) -> None:
        self._file = file
        self._position = 0
        self._ahead: tuple[int, Future[Block]] | None = None  # where it starts, and the block
        self._size = FIRST_BLOCK
        self._block = on_loop(file.fetch(0, FIRST_BLOCK))

    @classmethod
    def open(cls, file: RangedFile) -> io.BufferedReader:
        """Open the file, buffered: reads return all that was asked for."""
        return io.BufferedReader(cls(file), FIRST_BLOCK)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can seek."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position; nothing is fetched before the next read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._block.total}
        self._position = max(0, start[whence] + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Copy what this or the next block has of the bytes asked for; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if self._position >= self._block.total or not view:
            return 0
        if not self._block.start <= self._position < self._block.end:
            with explained(self._file.url, "read"):
                self._block = self._next_block()
        begin = self._position - self._block.start
        piece = self._block.data[begin : begin + len(view)]
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        """Return all that follows, taken block by block."""
        return b"".join(iter(lambda: self.read(LARGEST_BLOCK) or b"", b""))

    def close(self) -> None:
        """Drop the block that is on its way."""
        self._drop_ahead()
        super().close()

    def _next_block(self) -> Block:
        """Return the block at the position, and start on the one after it if this was read on."""
        is_read_on = self._position == self._block.end
        self._size = min(self._size * 2, LARGEST_BLOCK) if is_read_on else FIRST_BLOCK
        if self._ahead is not None and self._ahead[0] == self._position:
            block = self._ahead[1].result()
        else:
            self._drop_ahead()
            block = on_loop(self._fetch(self._position, self._size))
        self._ahead = None
        if is_read_on and block.end < block.total:
            size = min(self._size * 2, LARGEST_BLOCK)
            self._ahead = block.end, submit(self._fetch(block.end, size))
        return block

    def _fetch(self, start: int, size: int) -> Coroutine[Any, Any, Block]:
        return self._file.fetch(start, size, self._block.version)

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead[1].cancel()
            self._ahead = None
