"""Progress of a run: a live block in a terminal, plain lines in a job's log.

It is there before Ray, torch or vLLM are imported, and tells what is being waited for: the parts
of a start-up by `doing`, then the run itself, whose figures come from the coordinator.
"""

from __future__ import annotations

import contextlib
import json
import platform
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.live import Live
from rich.text import Text

from recaption import storage
from recaption.notices import describe_notices
from recaption.progress_view import View, caption_line, clock, log_line
from recaption.storage.shown import fit_to_print
from recaption.text import printable

if TYPE_CHECKING:
    from recaption.config import RunConfig
    from recaption.coordinator import Snapshot
    from recaption.extent import Extent
    from recaption.job import Job
    from recaption.summary import Tally

_WINDOW_S = 60.0
_ENOUGH_S = 3.0  # of captioning, before a time left is told
_BEAT_S = 20.0
_BUSY_S = 5.0  # between lines in a log while nothing is captioned yet
_CAPTION_S = 4.0  # for which a caption is shown
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

    @property
    def seconds(self) -> float:
        """How long was looked at."""
        return self.points[-1][0] - self.points[0][0] if self.points else 0.0


class Progress:
    """Shows a run while it runs, and what it waits for before."""

    def __init__(
        self,
        console: Console,
        every_s: float = 10.0,
        show_captions: bool | Literal["auto"] = "auto",
    ) -> None:
        """`every_s`: seconds between lines in a log; captions are shown in a terminal, if auto."""
        self._console = console
        self._every_s = every_s
        is_on = console.is_terminal if show_captions == "auto" else show_captions
        self._shows_captions = is_on
        self._doing, self._since = "", time.monotonic()
        self._watch: _Watch | None = None
        self._is_shown = False
        self._printed = 0.0

    @classmethod
    def of(cls, console: Console, run: RunConfig) -> Progress:
        """Return the progress that a recipe asks for."""
        return cls(console, run.progress_s, run.show_captions)

    @contextlib.contextmanager
    def showing(self) -> Iterator[Progress]:
        """Show what is done until the block ends; within another such block nothing changes."""
        if self._is_shown:
            yield self
            return
        self._is_shown = True
        with _in_thread(self._show_live if self._console.is_terminal else self._print_lines):
            try:
                yield self
            finally:
                self._doing = ""
                self._is_shown = False

    def doing(self, what: str) -> None:
        """Say what is done from now on, until something else or a run is shown."""
        self._doing, self._since = what, time.monotonic()
        if self._is_shown and not self._console.is_terminal:
            self._print(what)

    @contextlib.contextmanager
    def watching(
        self, job: Job, tally: Tally, coordinator: Any, extent: Extent, last_boot_s: float = 0.0
    ) -> Iterator[None]:
        """Show the run until the block ends, here and to `recaption status`."""
        watch = _Watch(tally, coordinator, extent, last_boot_s)
        beat = LiveRun(job)
        with self.showing(), _in_thread(lambda stop: beat.keep(watch, stop)):
            self._watch = watch
            try:
                yield
            finally:
                self._watch = None
                self.doing("closing the engines")
        beat.end()

    def tell(self, notices: list[str]) -> None:
        """Show what the user should hear of, a line each."""
        for notice in notices:
            self._console.print(f"note: {notice}", highlight=False, soft_wrap=True, markup=False)

    def _print_lines(self, stop: threading.Event) -> None:
        while not stop.wait(min(0.5, self._every_s)):
            watch, quiet_s = self._watch, time.monotonic() - self._printed
            if watch is None:
                if self._doing and quiet_s >= _BUSY_S:
                    self._print(self._told_doing())
            elif quiet_s >= (self._every_s if watch.has_begun else min(self._every_s, _BUSY_S)):
                view = watch.view()
                self.tell(watch.new_notices())
                self._print(log_line(view))
                if self._shows_captions and (line := caption_line(view)):
                    self._print(line)

    def _print(self, line: str) -> None:
        self._printed = time.monotonic()
        stamp = time.strftime("%H:%M:%S")
        line = f"{stamp}  {fit_to_print(line)}"
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _show_live(self, stop: threading.Event) -> None:
        with Live(Text(""), console=self._console, refresh_per_second=4, transient=True) as live:
            while not stop.wait(0.25):
                watch = self._watch
                if watch is None:
                    live.update(Text(self._told_doing(), no_wrap=True, overflow="ellipsis"))
                else:
                    live.update(watch.view(self._shows_captions))
                    self.tell(watch.new_notices())

    def _told_doing(self) -> str:
        what = fit_to_print(self._doing)
        return f"{what}  {clock(time.monotonic() - self._since)}" if what else ""


@contextlib.contextmanager
def _in_thread(work: Any) -> Iterator[None]:
    """Do work in a thread, which gets an event that tells it to stop, while the block runs."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)


class LiveRun:
    """A small file in the corpus that says that a run is under way, and how it goes."""

    def __init__(self, job: Job) -> None:
        from recaption.status import LIVE

        self._run_id = job.made_by.run_id
        self._url = storage.join(job.made_by.corpus, "runs", self._run_id + LIVE)

    def keep(self, watch: _Watch, stop: threading.Event) -> None:
        """Write it now and every while until `stop`; it is no matter if it cannot be written."""
        while True:
            beat = {
                "run_id": self._run_id,
                "host": platform.node(),
                "time": time.time(),
                "line": log_line(watch.view()),
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
    """Looks at a run: its receipts so far, and what the coordinator knows of its engines."""

    def __init__(self, tally: Tally, coordinator: Any, extent: Extent, last_boot_s: float) -> None:
        from recaption.coordinator import Snapshot

        self._tally = tally
        self._coordinator = coordinator
        self._extent = extent
        self._last_boot_s = last_boot_s
        self._rate = Rate()
        self._engines = Snapshot()
        self._told: set[str] = set()
        self._lock = threading.Lock()  # what shows it and what writes it down both look
        self._caption: tuple[str, str, str] | None = None
        self._caption_at = 0.0

    @property
    def has_begun(self) -> bool:
        """Whether an engine has captioned something."""
        return self._engines.captions > 0

    def new_notices(self) -> list[str]:
        """Return what was noted of a kind that was not told before; counts come with the end."""
        new = [notice for notice in self._engines.notices if notice.kind not in self._told]
        self._told |= {notice.kind for notice in new}
        return describe_notices(new)

    def view(self, shows_captions: bool = True) -> View:
        """Look at the run now."""
        self._ask_coordinator()
        with self._lock:
            return self.view_of(self._engines, time.monotonic(), shows_captions)

    def view_of(self, engines: Snapshot, now: float, shows_captions: bool = True) -> View:
        """Return the run as it is with engines as they are."""
        tally, extent = self._tally, self._extent
        images = max(engines.samples, tally.read)
        if not engines.ready and not images:
            self._rate.points.clear()  # so that a boot does not count as slow captioning
        rate = self._rate.update(now, images)
        before, total = extent.before(engines.known), extent.total(engines.known)
        done = before + images
        is_sure = rate > 0 and self._rate.seconds >= _ENOUGH_S and total is not None
        return View(
            done=round(done),
            total=None if total is None else round(total),
            is_exact=extent.is_exact,
            rate=rate,
            left_s=max(0.0, total - done) / rate if is_sure and total is not None else None,
            captions=max(engines.captions, tally.captions),
            parts=tally.parts,
            rejects=tuple(tally.rejects.most_common()),
            failed_parts=len(tally.failed),
            engines=told_engines(engines, self._last_boot_s),
            is_waiting=bool(engines.booting or engines.lost or engines.waiting),
            caption=self._shown(engines, now) if shows_captions else None,
        )

    def _shown(self, engines: Snapshot, now: float) -> tuple[str, str, str] | None:
        """Return the caption that is shown now: a new one every few seconds."""
        made = engines.caption
        if made is not None and now - self._caption_at >= _CAPTION_S:
            self._caption = (printable(made.sample_id), made.style, printable(made.text))
            self._caption_at = now
        return self._caption

    def _ask_coordinator(self) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            self._engines = ray.get(self._coordinator.snapshot.remote(), timeout=5)


def told_engines(s: Snapshot, last_boot_s: float = 0.0) -> str:
    """Say how the engines are: how many, what they are waiting for, since when."""
    states = [(s.ready, "ready"), (s.booting, "booting"), (s.lost, "lost")]
    told = ", ".join(f"{n} {name}" for n, name in states if n)
    if not told:
        return "engines starting: their processes start, the first images are read"
    died = f", {s.deaths} died" if s.deaths else ""
    since = f" {clock(s.booting_s)}" if s.booting else ""
    since += f" (last time {clock(last_boot_s)})" if since and last_boot_s else ""
    why = "; ".join(s.waiting or s.errors)
    return f"engines {told}{since}{died}" + (f": {why[:_REASON]}" if why else "")
