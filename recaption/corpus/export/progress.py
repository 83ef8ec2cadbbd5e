"""How far an export is: a bar in a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_EVERY_S = 10.0


class Ticker:
    """Tells of parts done, rows per second and the time left at that rate."""

    def __init__(self, console: Console, parts: int, unit: str) -> None:
        self._console, self._parts, self._unit = console, parts, unit
        self._done = self._rows = 0
        self._start = self._told = time.monotonic()
        self._bar: Progress | None = None

    @contextmanager
    def showing(self) -> Iterator[Ticker]:
        """Show a bar until the block ends, where there is a terminal."""
        if not self._console.is_terminal:
            yield self
            return
        columns = (BarColumn(20), TextColumn("{task.description}"), TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True) as self._bar:
            self._bar.add_task(self._line(0.0), total=self._parts)
            yield self

    def tick(self, rows: int) -> None:
        """Count a part with so many rows."""
        self._done += 1
        self._rows += rows
        now = time.monotonic()
        if self._bar is not None:
            task = self._bar.tasks[0]
            self._bar.update(task.id, advance=1, description=self._line(now - self._start))
        elif now - self._told > _EVERY_S:
            self._told = now
            seconds = now - self._start
            left = timedelta(seconds=int(seconds / self._done * (self._parts - self._done)))
            self._console.print(f"{self._line(seconds)}  left {left}", soft_wrap=True)

    def _line(self, seconds: float) -> str:
        rate = f"  {self._rows / seconds:,.1f} {self._unit}/s" if seconds else ""
        return f"parts {self._done:,}/{self._parts:,}  {self._unit} {self._rows:,}{rate}"
