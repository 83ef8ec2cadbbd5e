"""The count of a run: what its receipts add up to, and how fast it went."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from recaption import storage
from recaption.notices import Notice, describe_notices
from recaption.storage.shown import fit_to_print, without_secrets
from recaption.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from recaption.job import Job
    from recaption.parts import Receipt


MENDED = ("repaired", "pruned", "fused", "fallback")
"""How captions fared that the safeguards changed."""


ENOUGH = 1000
"""Samples after which a run that has captioned none of them is not worth going on with."""


class RunFailedError(RuntimeError):
    """A run cannot go on: no engine boots, the corpus cannot be written. The message says why."""


@dataclass(slots=True)
class Tally:
    """Adds up receipts as they come in."""

    parts: int = 0
    parts_before: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    read: int = 0
    captioned: int = 0
    rejected: int = 0
    captions: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    retried_requests: int = 0
    shards_done: int = 0
    passes: int = 0
    started: float = field(default_factory=time.monotonic)

    def add(self, receipt: Receipt) -> None:
        """Count a receipt."""
        if receipt.fault:
            self.failed[receipt.part.name] = receipt.fault
            return
        self.failed.pop(receipt.part.name, None)
        self.parts += 1
        self.shards_done += receipt.part.is_last
        self.read += receipt.read
        self.captioned += receipt.captioned
        self.rejected += receipt.rejected
        self.captions += receipt.captions
        self.rejects.update(dict(receipt.rejects))
        self.outcomes.update(dict(receipt.outcomes))
        self.retried_requests += receipt.retried_requests

    def forget(self, start: str) -> None:
        """Forget the failed parts whose fault begins so."""
        self.failed = {part: why for part, why in self.failed.items() if not why.startswith(start)}

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    @property
    def is_hopeless(self) -> bool:
        """Whether enough was read to see that nothing of it is captioned."""
        return self.read >= ENOUGH and not self.captioned

    def close(
        self,
        job: Job,
        state: str,
        engine_deaths: int = 0,
        timeline: Sequence[tuple[float, int]] = (),
        notices: tuple[Notice, ...] = (),
        boot_s: float = 0.0,
    ) -> Summary:
        """Return what was added up; `timeline` is the coordinator's."""
        styles = len(job.recipe.caption.styles)
        return Summary(
            run_id=job.made_by.run_id,
            corpus=job.made_by.corpus,
            fingerprint=job.made_by.fingerprint,
            state=state,
            shards=len(job.shards),
            parts=self.parts,
            parts_before=self.parts_before,
            failed_parts=dict(self.failed),
            read=self.read,
            captioned=self.captioned,
            rejected=self.rejected,
            captions=self.captions,
            rejects=dict(self.rejects),
            retried_requests=self.retried_requests,
            engine_deaths=engine_deaths,
            passes=self.passes,
            seconds=round(self.seconds, 2),
            images_per_second=round(steady_rate(timeline) / styles, 2),
            outcomes=dict(self.outcomes),
            notices=notices,
            boot_s=round(boot_s, 1),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did.

    `state` is complete, incomplete (parts failed), rejected (all was read, and more of it rejected
    than the recipe allows), stopped (by the user) or failed (it could not go on).
    """

    run_id: str
    corpus: str
    fingerprint: str
    state: str
    shards: int
    parts: int
    parts_before: int
    failed_parts: dict[str, str]
    read: int
    captioned: int
    rejected: int
    captions: int
    rejects: dict[str, int]
    retried_requests: int
    engine_deaths: int
    passes: int
    seconds: float
    images_per_second: float
    outcomes: dict[str, int] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    boot_s: float = 0.0

    def held_to(self, reject_limit: float) -> Summary:
        """Return the summary, as rejected where a complete run rejected more than the limit."""
        is_over = self.state == "complete" and is_over_limit(
            self.read, self.captioned, self.rejected, reject_limit
        )
        return replace(self, state="rejected") if is_over else self

    @property
    def exit_code(self) -> int:
        """0, or 1 where something was lost."""
        return 0 if self.state == "complete" else 1


def steady_rate(timeline: Sequence[tuple[float, int]]) -> float:
    """Return requests per second without start and drain: between 10% and 90% of the requests.

    Of a run too short for that, over all of it.
    """
    if len(timeline) < 2:
        return 0.0
    total = timeline[-1][1]
    middle = [(t, n) for t, n in timeline if 0.1 * total <= n <= 0.9 * total]
    points = middle if len(middle) > 2 else timeline
    (t0, n0), (t1, n1) = points[0], points[-1]
    return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0


def is_over_limit(read: int, captioned: int, rejected: int, limit: float) -> bool:
    """Say whether a run rejected more than it may; a limit of 1 allows everything."""
    return limit < 1 and read > 0 and (rejected > limit * read or not captioned)


def write_summary(summary: Summary) -> str:
    """Write a summary into its corpus; return its URL."""
    url = storage.join(summary.corpus, "runs", f"{summary.run_id}.json")
    kept = asdict(summary) | {"corpus": without_secrets(summary.corpus)}
    storage.write_bytes(url, json.dumps(kept, indent=1).encode())
    return url


def describe(summary: Summary) -> list[str]:
    """Tell a summary in lines."""
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(summary.rejects.items()))
    mended = {name: n for name, n in sorted(summary.outcomes.items()) if name in MENDED and n}
    lines = [
        f"{summary.state}: {summary.parts:,} parts in {summary.seconds:,.0f} s"
        + (f" ({summary.parts_before:,} were done before)" if summary.parts_before else ""),
        f"  samples   {summary.read:,} read = {summary.captioned:,} captioned"
        f" + {summary.rejected:,} rejected" + (f" ({reasons})" if reasons else ""),
        f"  captions  {summary.captions:,}"
        + (f", {summary.retried_requests} requests run again" if summary.retried_requests else "")
        + (f", {summary.engine_deaths} engines died" if summary.engine_deaths else "")
        + "".join(f", {n:,} {name}" for name, n in mended.items()),
        f"  rate      {summary.images_per_second:,.1f} images/s in steady state",
        f"  corpus    {without_secrets(summary.corpus)} (version {summary.fingerprint})",
    ]
    lines += [f"  NOTE      {line}" for line in describe_notices(summary.notices)]
    failed = summary.failed_parts.items()
    return lines + [f"  FAILED    {printable(part)}: {printable(why)}" for part, why in failed]


def tell_end(summary: Summary, console: Console) -> None:
    """Print how a run ended."""
    lines = describe(summary)
    if summary.state == "stopped":
        lines.append("stopped; the same command continues where it ended")
    if summary.state == "rejected":
        lines.append(_too_many_rejects(summary))
    console.print(*map(fit_to_print, lines), sep="\n", soft_wrap=True, markup=False)


def _too_many_rejects(summary: Summary) -> str:
    if not summary.read:
        return (
            "nothing was left to do, but the run before rejected more than run.reject_limit allows:"
            f" `recaption report {summary.corpus}` shows which and why"
        )
    share = (
        f"{summary.rejected:,} of {summary.read:,} samples ({summary.rejected / summary.read:.1%})"
    )
    return (
        f"rejected {share}, more than run.reject_limit allows: `recaption report"
        f" {summary.corpus}` shows which and why; `recaption retry` asks again, and a higher"
        " run.reject_limit accepts it"
    )
