"""Work on samples in threads while the next ones are read, and few of them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

from recaption.sample import Sample

T = TypeVar("T")

MOST_BYTES = 64 << 20
"""Of encoded images that wait or are worked on, but for the last one, which may be larger."""

_MOST_WAITING = 4  # samples for each thread: one has to be there when the one before is done


class Ahead(Generic[T]):
    """Threads that work on samples; `submit` waits while what they hold is a lot.

    An image larger than MOST_BYTES is done with before `submit` returns, so that beside what is
    read there is never more than MOST_BYTES, or one image.
    """

    def __init__(self, work: Callable[[Sample], T], threads: int) -> None:
        self._work = work
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
        self._most = threads * _MOST_WAITING
        self._changed = threading.Condition()
        self._bytes = self._samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(self, sample: Sample) -> Future[T]:
        """Begin the work on a sample, and wait until what is under way is little."""
        size = len(sample.image or b"")
        with self._changed:
            self._bytes, self._samples = self._bytes + size, self._samples + 1
        future = self._pool.submit(self._run, sample, size)
        del sample
        with self._changed:
            self._changed.wait_for(lambda: self._bytes <= MOST_BYTES and self._samples < self._most)
        return future

    def _run(self, sample: Sample, size: int) -> T:
        try:
            return self._work(sample)
        finally:
            with self._changed:
                self._bytes, self._samples = self._bytes - size, self._samples - 1
                self._changed.notify()
