"""What a run's progress looks like: a block of lines in a terminal, one line in a log.

Nothing here knows of Ray or of time: a `View` comes in, text goes out. Whatever does not fit into
the width is left out, least important first; what strangers wrote comes in printable already.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_ID = 24  # characters of a sample's id that are shown
_GAP = "  "


@dataclass(frozen=True, slots=True)
class View:
    """A run as it is now. `total`: None while nobody knows; `rejects` by reason, most first.

    `engines` is told in words; `trouble` says whether they are worth a word in a log.
    """

    done: int = 0
    total: int | None = None
    is_exact: bool = False
    rate: float = 0.0
    left_s: float | None = None
    captions: int = 0
    parts: int = 0
    rejects: tuple[tuple[str, int], ...] = ()
    failed_parts: int = 0
    engines: str = ""
    is_waiting: bool = False
    caption: tuple[str, str, str] | None = None

    @property
    def percent(self) -> int | None:
        """How much is done, 0 to 99: a run is whole when it says so."""
        if self.total is None:
            return None
        return max(0, min(99, int(100 * self.done / max(1, self.total))))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the block."""
        if self.percent is not None:
            head = Table.grid(padding=(0, 1), expand=True)
            head.add_column(no_wrap=True)
            head.add_column(ratio=1)
            head.add_column(no_wrap=True, justify="right")
            bar = ProgressBar(total=100, completed=self.percent)
            head.add_row(f"{self.percent:3d}%", bar, self._left())
            yield head
        width = options.max_width
        for line in block_lines(self, width):
            yield Text(line, no_wrap=True, overflow="ellipsis")

    def _left(self) -> str:
        return "" if self.left_s is None else f"{duration(self.left_s)} left"


def block_lines(view: View, width: int) -> list[str]:
    """Return the lines below the bar, none wider than `width`."""
    facts = [_images(view), _rate(view), _captions(view), f"{view.parts:,} parts"]
    lines = [fit(facts, width), _rejects(view, width), view.engines, _caption(view, width)]
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines if line]


def log_line(view: View) -> str:
    """Return the run in one line."""
    percent = "" if view.percent is None else f"{view.percent}%"
    facts = [percent, _images(view), _rate(view), view._left(), _captions(view)]
    if not view.captions or view.is_waiting:
        facts.append(view.engines)
    return _GAP.join(fact for fact in [*facts, _rejects(view, 200)] if fact)


def caption_line(view: View) -> str:
    """Return a caption made just now, for a log."""
    return _caption(view, 200)


def fit(facts: list[str], width: int) -> str:
    """Join as many of the facts, from the first, as fit."""
    while len(facts) > 1 and len(_GAP.join(facts)) > width:
        facts = facts[:-1]
    return _GAP.join(fact for fact in facts if fact)


def duration(seconds: float) -> str:
    """Tell a time roughly: 50 s, 12 min, 5.3 h, 12 days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.0f} days"


def clock(seconds: float) -> str:
    """Tell how long something has taken: 0:07, 1:02:03."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


def _images(view: View) -> str:
    if view.total is None:
        return f"{view.done:,} images"
    about = "" if view.is_exact else "about "
    return f"{view.done:,} of {about}{max(view.total, view.done):,} images"


def _rate(view: View) -> str:
    return f"{view.rate:,.1f} images/s" if view.captions else ""


def _captions(view: View) -> str:
    return f"{view.captions:,} captions" if view.captions else ""


def _rejects(view: View, width: int) -> str:
    """Say what was rejected by reason, and what failed; reasons as many as fit."""
    failed = [f"FAILED parts {view.failed_parts:,}"] if view.failed_parts else []
    if not view.rejects:
        return _GAP.join(failed)
    reasons = [f"{reason} {n:,}" for reason, n in view.rejects]
    total = sum(n for _, n in view.rejects)
    while True:
        told = ", ".join(reasons)
        line = _GAP.join([*failed, f"rejects {total:,}: {told}" if told else f"rejects {total:,}"])
        if len(line) <= width or not reasons:
            return line
        reasons.pop()


def _caption(view: View, width: int) -> str:
    if view.caption is None:
        return ""
    sample_id, style, text = view.caption
    if len(sample_id) > _ID:
        sample_id = "…" + sample_id[1 - _ID :]
    line = f"{sample_id} {style}: {text}"
    return line if len(line) <= width else line[: width - 1] + "…"
