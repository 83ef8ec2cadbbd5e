"""What a run tells of itself while it runs, and how that is shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.text import Text

from recaption.storage.shown import fit_to_print

_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run is."""

    images: int
    total: int
    rate: float = 0.0
    values: Mapping[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """One line: images seen, share, images per second, time left, loss."""
        share = self.images / self.total
        left = clock((self.total - self.images) / self.rate) if self.rate else "?"
        losses = {k: v for k, v in self.values.items() if k.rpartition("/")[2] == "loss"}
        return (
            f"images {self.images:,}/{self.total:,} {share:.1%}  {self.rate:,.1f} images/s"
            f"  left {left}" + "".join(f"  {name} {value:.4g}" for name, value in losses.items())
        )


class Teller:
    """How a worker tells what it does: reports of progress, and notes worth a line."""

    def report(self, report: Report) -> None:
        """Tell how far the run is."""

    def note(self, text: str) -> None:
        """Tell something else, in a line."""


class RateMeter:
    """Images per second between two readings."""

    def __init__(self, images: int) -> None:
        self._last = (time.monotonic(), images)

    def update(self, images: int) -> float:
        """Return the rate since the reading before."""
        (t0, n0), (t1, n1) = self._last, (time.monotonic(), images)
        self._last = (t1, n1)
        return (n1 - n0) / max(t1 - t0, 1e-9)


Poll = Callable[[], tuple[Report | None, list[str]]]
"""Returns the last report, if there is one, and the notes since the last call."""


@contextmanager
def showing(console: Console, poll: Poll, every_s: float = _EVERY_S) -> Iterator[None]:
    """Show what `poll` returns until the block ends: a live line in a terminal, else lines."""
    stop = threading.Event()
    show = _show_live if console.is_terminal else _print_lines
    thread = threading.Thread(target=show, args=(console, poll, stop, every_s), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)


def _print_lines(console: Console, poll: Poll, stop: threading.Event, every_s: float) -> None:
    shown, printed = None, -every_s
    while True:
        is_last = stop.wait(0.5)
        report, notes = poll()
        for note in notes:
            print_line(console, note)
        is_time = is_last or time.monotonic() - printed >= every_s
        if report is not None and report != shown and is_time:
            print_line(console, f"{time.strftime('%H:%M:%S')}  {report.line()}")
            shown, printed = report, time.monotonic()
        if is_last:
            return


def _show_live(console: Console, poll: Poll, stop: threading.Event, every_s: float) -> None:
    report = None
    with Live(Text("starting workers"), console=console, refresh_per_second=4) as live:
        while True:
            is_last = stop.wait(0.5)
            report, notes = poll()
            for note in notes:
                print_line(console, note)
            if report is not None:
                live.update(Text(fit_to_print(report.line())))
            if is_last:
                return


def print_line(console: Console, line: str) -> None:
    """Print a line as it is, however long."""
    console.print(fit_to_print(line), soft_wrap=True, markup=False, highlight=False)


def clock(seconds: float) -> str:
    """Return h:mm:ss."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}"
