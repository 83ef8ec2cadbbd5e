"""How far rendering is: a bar in a terminal, plain lines in a log, with rate and time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.text import Text

_WINDOW_S = 60.0
"""The rate is that of the last minute."""


@contextmanager
def telling(
    console: Console, images: int, every_s: float = 10.0
) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how many images were rendered since the last time."""
    is_live = console.is_terminal
    shown = Progress(
        BarColumn(),
        _Line(),
        console=console,
        transient=True,
        disable=not is_live,  # it counts all the same
        speed_estimate_period=_WINDOW_S,
    )
    with shown as progress:
        number = progress.add_task("render", total=images)
        task = progress.tasks[number]
        last = time.monotonic()

        def tell(rendered: int) -> None:
            nonlocal last
            progress.advance(task.id, rendered)
            if not is_live and time.monotonic() - last >= every_s:
                last = time.monotonic()
                stamp = time.strftime("%H:%M:%S")
                console.print(f"{stamp}  {line(task)}", highlight=False, soft_wrap=True)

        yield tell


class _Line(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the line as rich text."""
        return Text(line(task))


def line(task: Task) -> str:
    """Return images, rate and time left in one line."""
    rate = task.speed or task.completed / (task.elapsed or 1.0)
    left = timedelta(seconds=int((task.remaining or 0) / rate)) if rate else "?"
    return f"images {task.completed:,.0f}/{task.total:,.0f}  {rate:,.1f} images/s  left {left}"
