"""How a run is shown: a live picture in a terminal, plain lines elsewhere; never long silent."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from recaption.printing import print_lines
from recaption.storage.shown import fit_to_print
from train.doing import what_is_done
from train.progress import News, Pace, Report

_EVERY_S = 10.0
_LOOK_S = 0.5
_SHORT_S = 2.0  # what takes less is not worth telling
_UNHEARD_S = 15.0
_WIDTH = 80

Poll = Callable[[], News | None]
"""Returns what workers tell, with the notes since the last call; None before they do."""

Beside = Callable[[], str]
"""Says what runs beside the workers, '' where nothing is to be told of it."""


class Screen:
    """Shows what this process does and, once there are any, what the workers of a run do."""

    def __init__(self, console: Console, every_s: float = _EVERY_S) -> None:
        self._console, self._every_s = console, every_s
        self._poll: Poll = lambda: None
        self._beside: Beside = str
        self._pace, self._stop = Pace(), threading.Event()
        self._report: Report | None = None
        show = self._show_live if console.is_terminal else self._print_lines
        self._thread = threading.Thread(target=show, daemon=True, name="screen")

    def __enter__(self) -> Screen:
        """Begin to show."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show what is left, and end."""
        self._stop.set()
        self._thread.join(timeout=10)

    @contextlib.contextmanager
    def watching(self, poll: Poll, beside: Beside = str) -> Iterator[None]:
        """Show workers and what is beside them until the block ends."""
        self._beside, self._poll = beside, poll
        try:
            yield
        finally:
            self._look()
            self._poll, self._beside = (lambda: None), str

    def _look(self) -> tuple[Report | None, str]:
        news = self._poll() or News(doing=what_is_done())
        for note in news.notes:
            print_lines(self._console, [note])
        if news.report is not None:
            self._report = self._pace.update(time.monotonic(), news.report, news.doing)
        return self._report, _doing(news, self._beside())

    def _print_lines(self) -> None:
        printed, shown = -self._every_s, None
        while True:
            is_last = self._stop.wait(_LOOK_S if printed > 0 else 0)
            report, doing = self._look()
            is_time = time.monotonic() - printed >= self._every_s
            if is_last and report is not None and shown == (report.images, report.values):
                return
            if is_time or is_last:
                shown = (report.images, report.values) if report else None
                lines = plain(report, "" if is_last else doing)
                print_lines(self._console, lines)
                printed = time.monotonic() if lines else printed
            if is_last:
                return

    def _show_live(self) -> None:
        with Live(Text("starting"), console=self._console, refresh_per_second=4) as live:
            while not self._stop.wait(_LOOK_S):
                live.update(picture(*self._look(), self._console.width))
            report, _ = self._look()
            live.transient = report is None
            live.update(picture(report, "", self._console.width))


def plain(report: Report | None, doing: str) -> list[str]:
    """Return lines of at most 80 columns: how far, the loss, and what is done if that takes long.

    One line where it fits.
    """
    stamp = time.strftime("%H:%M:%S  ")
    if report is None:
        return [_cut(stamp + doing)] if doing else []
    fields = [report.seen(), *report.pace()]
    whole = stamp + "  ".join([*fields, *report.measured()])
    lines = [whole]
    if len(whole) > _WIDTH:
        lines = [stamp + "  ".join(fields), " " * len(stamp) + "  ".join(report.measured())]
    if doing:
        lines.append(" " * len(stamp) + doing)
    return [_cut(line) for line in lines]


def picture(report: Report | None, doing: str, width: int) -> RenderableType:
    """Return a bar with what is around it, the loss, and what is done if that takes long."""
    width = min(width, 120)
    lines: list[RenderableType] = []
    if report is not None:
        around = "  ".join([f"{report.images:,}/{report.total:,}", *report.pace()])
        bar = Table.grid(padding=(0, 1))
        room = max(8, width - len(around) - 10)
        bar.add_row(
            f"{report.share:6.1%}",
            ProgressBar(total=max(1, report.total), completed=report.images, width=room),
            Text(around, no_wrap=True),
        )
        lines.append(bar)
        if report.measured():
            lines.append(Text(_cut("  ".join(report.measured()), width)))
    if doing or report is None:
        lines.append(Text(_cut(doing or "starting", width), style="dim"))
    return Group(*lines)


def _doing(news: News, beside: str) -> str:
    """Say what is done, if it takes long, and what is beside it."""
    if news.age_s > _UNHEARD_S:
        return f"nothing heard from the workers for {news.age_s:.0f} s"
    doing = news.doing
    is_long = doing is not None and (news.report is None or doing.seconds >= _SHORT_S)
    told = [doing.line()] if doing is not None and is_long else []
    return "; ".join([*told, beside] if beside else told)


def _cut(line: str, width: int = _WIDTH) -> str:
    line = fit_to_print(line)
    return line if len(line) <= width else f"{line[: width - 3]}..."
