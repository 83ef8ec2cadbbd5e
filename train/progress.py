"""What a run tells of itself while it runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from train.doing import WAITING, Doing, what_is_done

_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run is, and what it measured last; `rate` in images per second."""

    images: int
    total: int
    rate: float = 0.0
    left_s: float = 0.0
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """How much of the run is done."""
        return self.images / self.total if self.total else 0.0

    def seen(self) -> str:
        """Images seen, and the share."""
        return f"{self.images:,}/{self.total:,} {self.share:.1%}"

    def pace(self) -> list[str]:
        """Images per second and time left, where they are known."""
        if not self.rate:
            return []
        left = self.left_s or (self.total - self.images) / self.rate
        return [f"{self.rate:,.1f} images/s", f"left {clock(left)}"]

    def measured(self) -> list[str]:
        """Losses first, then the learning rate and the share of crops with own captions."""
        losses = {k: v for k, v in self.values.items() if k.rpartition("/")[2] == "loss"}
        told = [f"{name} {value:.4g}" for name, value in losses.items()]
        if "rate" in self.values:
            told.append(f"lr {self.values['rate']:.2g}")
        if "own" in self.values:
            told.append(f"own captions {self.values['own']:.0%}")
        return told

    def line(self) -> str:
        """One line: images seen, share, images per second, time left, loss."""
        return "  ".join([f"images {self.seen()}", *self.pace(), *self.measured()])


@dataclass(frozen=True, slots=True)
class News:
    """What is known of a run at a moment; `age_s`: seconds since its worker was heard."""

    report: Report | None = None
    doing: Doing | None = None
    notes: Sequence[str] = ()
    age_s: float = 0.0


class Teller:
    """How a worker tells what it does. It is kept until it is taken."""

    def __init__(self) -> None:
        self._report: Report | None = None
        self._notes: list[str] = []

    def report(self, report: Report) -> None:
        """Tell how far the run is and what it measured."""
        self._report = report

    def seen(self, images: int, total: int) -> None:
        """Tell how far the run is; costs next to nothing."""
        self._report = replace(self._report or Report(images, total), images=images)

    def note(self, text: str) -> None:
        """Tell something else, in a line."""
        self._notes.append(text)

    def take(self) -> News:
        """Return how far the run is, and the notes since the last call."""
        notes, self._notes = self._notes, []
        return News(self._report, what_is_done(), notes)


class RateMeter:
    """Images per second between two readings."""

    def __init__(self, images: int) -> None:
        self._last = (time.monotonic(), images)

    def update(self, images: int) -> float:
        """Return the rate since the reading before."""
        (t0, n0), (t1, n1) = self._last, (time.monotonic(), images)
        self._last = (t1, n1)
        return (n1 - n0) / max(t1 - t0, 1e-9)


class Pace:
    """Images per second over the last minute of training, and the time left of all."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()
        self._first: tuple[float, int] | None = None
        self._paused, self._last, self._images = 0.0, 0.0, 0

    def update(self, now: float, report: Report, doing: Doing | None) -> Report:
        """Return a report with rate and time left, both 0 before anything was trained.

        What is done besides, such as evaluating, counts in the time left, not in the rate.
        """
        if doing is not None and doing.what != WAITING:
            self._paused += now - self._last if self._last else 0.0
        self._last = now
        if self._first is None or report.images < self._images:  # or restarted from a checkpoint
            self._first = (now, report.images)
            self._points.clear()
        self._images = report.images
        if report.images == self._first[1]:
            self._first = (now, report.images)  # the clock starts with the first step
        points, trained = self._points, now - self._paused
        points.append((trained, report.images))
        while len(points) > 2 and trained - points[0][0] > _WINDOW_S:
            points.popleft()
        (t0, n0), (t1, n1) = points[0], points[-1]
        rate = (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0
        overall = (report.images - self._first[1]) / max(now - self._first[0], 1e-9)
        left = (report.total - report.images) / overall if overall else 0.0
        return replace(report, rate=rate, left_s=left)


def own_share(counts: Mapping[str, float]) -> float | None:
    """Return the share of crops under a caption of their own, of those that need one."""
    of = [counts.get(f"data/crops {name}", 0.0) for name in ("own", "overlap", "full", "whole")]
    return of[0] / sum(of) if sum(of) else None


def clock(seconds: float) -> str:
    """Return h:mm:ss."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}"
