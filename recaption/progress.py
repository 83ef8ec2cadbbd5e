"""Progress of a run: a live line in a terminal, plain lines in a job's log."""

from __future__ import annotations

import contextlib
import json
import platform
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from recaption import storage
from recaption.coordinator import Snapshot
from recaption.job import Job
from recaption.notices import describe_notices
from recaption.status import LIVE
from recaption.storage.shown import fit_to_print
from recaption.summary import Tally

_WINDOW_S = 60.0
_BEAT_S = 20.0
_REASON = 200  # characters of what the engines wait for


@dataclass(slots=True)
class Rate:
    """Images per second over the last minute."""

    points: deque[tuple[float, float]] = field(default_factory=deque)

    def update(self, now: float, images: float) -> float:
        """Add a reading; return the rate."""
        self.points.append((now, images))
        while len(self.points) > 2 and now - self.points[0][0] > _WINDOW_S:
            self.points.popleft()
        (t0, n0), (t1, n1) = self.points[0], self.points[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0


class Progress:
    """Shows a run while it runs."""

    def __init__(self, console: Console, every_s: float = 10.0) -> None:
        self._console = console
        self._every_s = every_s

    @contextlib.contextmanager
    def watching(self, job: Job, tally: Tally, coordinator: Any) -> Iterator[None]:
        """Show the run until the block ends, here and to `recaption status`."""
        stop = threading.Event()
        watch = _Watch(job, tally, coordinator)
        show = self._show_live if self._console.is_terminal else self._print_lines
        beat = LiveRun(job)
        threads = [
            threading.Thread(target=show, args=(watch, stop), daemon=True),
            threading.Thread(target=beat.keep, args=(watch, stop), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=5)
            beat.end()

    def _print_lines(self, watch: _Watch, stop: threading.Event) -> None:
        while not stop.wait(self._every_s):
            stamp = time.strftime("%H:%M:%S")
            line = fit_to_print(watch.line())
            self.tell(watch.new_notices())
            self._console.print(f"{stamp}  {line}", highlight=False, soft_wrap=True, markup=False)

    def _show_live(self, watch: _Watch, stop: threading.Event) -> None:
        with Live(Text(""), console=self._console, refresh_per_second=4, transient=True) as live:
            while not stop.wait(0.5):
                live.update(Text(watch.line()))
                self.tell(watch.new_notices())

    def tell(self, notices: list[str]) -> None:
        """Show what the user should hear of, a line each."""
        for notice in notices:
            self._console.print(f"note: {notice}", highlight=False, soft_wrap=True, markup=False)


class LiveRun:
    """A small file in the corpus that says that a run is under way, and how it goes."""

    def __init__(self, job: Job) -> None:
        self._run_id = job.made_by.run_id
        self._url = storage.join(job.made_by.corpus, "runs", self._run_id + LIVE)

    def keep(self, watch: _Watch, stop: threading.Event) -> None:
        """Write it now and every while until `stop`; it is no matter if it cannot be written."""
        while True:
            beat = {
                "run_id": self._run_id,
                "host": platform.node(),
                "time": time.time(),
                "line": watch.line(),
            }
            with contextlib.suppress(storage.StorageError):
                storage.write_bytes(self._url, json.dumps(beat).encode())
            if stop.wait(_BEAT_S):
                return

    def end(self) -> None:
        """Remove it."""
        with contextlib.suppress(storage.StorageError):
            storage.delete([self._url])


class _Watch:
    def __init__(self, job: Job, tally: Tally, coordinator: Any) -> None:
        self._job = job
        self._tally = tally
        self._coordinator = coordinator
        self._rate = Rate()
        self._first_done = tally.shards_done
        self._engines = Snapshot()
        self._told: set[str] = set()

    def new_notices(self) -> list[str]:
        """Return what was noted of a kind that was not told before; counts come with the end."""
        new = [notice for notice in self._engines.notices if notice.kind not in self._told]
        self._told |= {notice.kind for notice in new}
        return describe_notices(new)

    def line(self) -> str:
        """One line: engines, shards, parts, samples, captions, rejects, rate, time left."""
        self._ask_coordinator()
        tally, engines = self._tally, self._engines
        styles = len(self._job.recipe.caption.styles)
        images = max(engines.requests / styles, tally.read)
        rate = self._rate.update(time.monotonic(), images)
        captions = max(engines.captions, tally.captions)
        return (
            f"{_engines(engines)}  shards {tally.shards_done}/{len(self._job.shards)}"
            f"  parts {tally.parts:,}  samples {int(images):,}  captions {captions:,}"
            f"  rejects {tally.rejects.total():,}  {rate:,.1f} images/s  {self._left(images, rate)}"
            + (f"  FAILED parts {len(tally.failed)}" if tally.failed else "")
        )

    def _ask_coordinator(self) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            self._engines = ray.get(self._coordinator.snapshot.remote(), timeout=5)

    def _left(self, images: float, rate: float) -> str:
        """Time left at this rate, if the shards to come are as large as those that are done."""
        done = self._tally.shards_done - self._first_done
        if not done or not rate:
            return "left ?"
        total = self._tally.read / done * (len(self._job.shards) - self._first_done)
        return f"left {_clock(max(0.0, total - images) / rate)}"


def _engines(s: Snapshot) -> str:
    states = [(s.ready, "ready"), (s.booting, "booting"), (s.lost, "lost")]
    told = ", ".join(f"{n} {name}" for n, name in states if n) or "starting"
    died = f", {s.deaths} died" if s.deaths else ""
    why = "; ".join(s.waiting or s.errors)
    return f"engines {told}{died}" + (f": {why[:_REASON]}" if why else "")


def _clock(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}"
