"""What a user should hear of, though nothing failed: counted by kind, with the first example.

Workers log where nobody looks. Whoever meets something odd (a row left out, a table of which no
row found its image) calls `note`; the pipeline takes what a process noted along with the next
part that leaves it, and the run's progress, summary, report and status show it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

from recaption.storage.shown import text_without_secrets
from recaption.text import printable

log = logging.getLogger(__name__)

_MOST_KINDS = 64  # noted in a process before it is asked; a kind is a constant in the code
_MOST_CHARS = 300  # of an example


@dataclass(frozen=True, slots=True)
class Notice:
    """How often something was met, and where for the first time."""

    kind: str
    count: int
    example: str = ""


class Notices:
    """Adds up notices by kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kinds: dict[str, Notice] = {}

    def add(self, notices: Iterable[Notice]) -> None:
        """Count notices, whose first example stays."""
        with self._lock:
            for notice in notices:
                known = self._kinds.get(notice.kind)
                if known is not None:
                    count = known.count + notice.count
                    self._kinds[notice.kind] = replace(known, count=count)
                elif len(self._kinds) < _MOST_KINDS:
                    self._kinds[notice.kind] = notice

    def take(self) -> tuple[Notice, ...]:
        """Return what was counted, and begin anew."""
        with self._lock:
            taken, self._kinds = tuple(self._kinds.values()), {}
        return taken

    def all(self) -> tuple[Notice, ...]:
        """Return what was counted so far."""
        with self._lock:
            return tuple(self._kinds.values())


_of_this_process = Notices()


def note(kind: str, example: str = "", count: int = 1) -> None:
    """Note something that the user should hear of, but that fails nothing.

    `kind` is a constant, such as "rows of a table that name no image"; `example` says which and
    where. May be called from any thread.
    """
    example = text_without_secrets(printable(example[: 4 * _MOST_CHARS]))[:_MOST_CHARS]
    log.info("%s: %s", kind, example)
    _of_this_process.add([Notice(kind, count, example)])


def take_notices() -> tuple[Notice, ...]:
    """Return what was noted in this process since it was last asked."""
    return _of_this_process.take()


def describe_notices(notices: Iterable[Notice]) -> list[str]:
    """Tell notices, a line each."""
    return [
        f"{notice.count:,} x {notice.kind}"
        + (f", first: {notice.example}" if notice.example else "")
        for notice in notices
    ]
