"""What this process does right now, in a few words: told where it is done, shown by others.

A trainer's process does one thing at a time that may take long, so it is kept in one place, as
notices are; what reads images and captions far below need not be handed a way to tell.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

WAITING = "waiting for images"


@dataclass(frozen=True, slots=True)
class Doing:
    """What is done, how far it is of a total (0: that is not known), and for how many seconds."""

    what: str
    done: int = 0
    total: int = 0
    seconds: float = 0.0

    def line(self) -> str:
        """Tell it in a few words."""
        told = f"{self.what} {self.done:,}/{self.total:,}" if self.total else self.what
        told += f", {self.seconds:.0f} s"
        if not self.done or not self.total:
            return told
        return f"{told}, left {self.seconds * (self.total - self.done) / self.done:.0f} s"


@dataclass(slots=True, eq=False)
class _Begun:
    what: str
    since: float
    done: int = 0
    total: int = 0


_STACK: list[_Begun] = []
_LOCK = threading.Lock()


@contextmanager
def doing(what: str, total: int = 0) -> Iterator[None]:
    """Tell that this is done until the block ends."""
    begun = _Begun(what, time.monotonic(), total=total)
    with _LOCK:
        _STACK.append(begun)
    try:
        yield
    finally:
        with _LOCK:
            _STACK.remove(begun)


def tell_how_far(done: int, total: int) -> None:
    """Tell how far that is which was begun last."""
    with _LOCK:
        if _STACK:
            _STACK[-1].done, _STACK[-1].total = done, total


def what_is_done() -> Doing | None:
    """Return what was begun last and has not ended."""
    with _LOCK:
        if not _STACK:
            return None
        begun = _STACK[-1]
        return Doing(begun.what, begun.done, begun.total, time.monotonic() - begun.since)
