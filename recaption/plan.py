"""What a run will read and cost, from a listing and a small probe of its shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recaption.job import Job
from recaption.notices import Notice, describe_notices, take_notices
from recaption.parts import PreparedSample
from recaption.probe import count_images, probe_some
from recaption.status import read_runs
from recaption.text import printable

_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of what is left of a job. Counts of what is not listed are estimates of the probe.

    `faults` are of shards that could not be read, `why` tells of the first reject of each
    reason, `notices` is what else the probe met. `prompt_tokens` counts text, not the image;
    `caption_tokens` is the most it can be. `images_per_second` is of one engine, as measured or
    given; None: not known.
    """

    shards: int
    pending: int
    bytes: int | None
    images: int
    probed_images: int
    probed_rejects: int
    captions: int
    requests: int
    prompt_tokens: int
    caption_tokens: int
    images_per_second: float | None
    faults: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 where the probe met nothing that could be captioned, else 0."""
        is_met = bool(self.faults or self.probed_images)
        return int(is_met and self.probed_images == self.probed_rejects)

    @property
    def engine_hours(self) -> float | None:
        """Hours of one engine for the whole job."""
        rate = self.images_per_second
        return self.images / rate / 3600 if rate else None


def make_plan(job: Job, images_per_second: float | None = None) -> Plan:
    """Estimate a job. Reads the first part of up to three shards; writes nothing."""
    committed = job.ledger.committed()
    pending = job.pending(committed)
    probes = probe_some(job, pending)
    samples = [s for probe in probes for s in probe.samples]
    done = sum(len(committed.of(s.name)) for s in pending) * job.recipe.source.part_samples
    images = job.trial or max(0, count_images(pending, probes) - done)
    requests = [r for s in samples for r in s.requests]
    asked = sum(1 for s in samples if s.requests)
    chars = sum(len(r.prompt) for r in requests) / max(1, asked)
    per_image = job.recipe.captions_per_image
    sizes = [s.size for s in pending]
    return Plan(
        shards=len(job.shards),
        pending=len(pending),
        bytes=None if None in sizes else sum(n for n in sizes if n),
        images=images,
        probed_images=len(samples),
        probed_rejects=sum(s.rejection is not None for s in samples),
        captions=images * per_image,
        requests=images * len(job.recipe.caption.styles),
        prompt_tokens=int(images * chars / _CHARS_PER_TOKEN),
        caption_tokens=images * per_image * job.recipe.sampling.max_tokens,
        images_per_second=images_per_second or _measured_rate(job),
        faults=tuple(probe.fault for probe in probes if probe.fault),
        why=_why(samples),
        notices=take_notices(),
    )


def _why(samples: Sequence[PreparedSample]) -> tuple[str, ...]:
    """Tell of the first reject of each reason."""
    first: dict[str, str] = {}
    for sample in samples:
        if (rejection := sample.rejection) is not None:
            told = f"{rejection.reason}: {sample.sample.sample_id}: {rejection.message}"
            first.setdefault(str(rejection.reason), told)
    return tuple(first.values())


def describe_plan(plan: Plan, price: float | None) -> list[str]:
    """Tell a plan in lines."""
    size = f", {plan.bytes / 1e9:,.1f} GB" if plan.bytes else ""
    rejects = f", {plan.probed_rejects} of them rejected" if plan.probed_rejects else ""
    lines = [
        f"shards    {plan.pending:,} of {plan.shards:,} to do{size}",
        f"images    about {plan.images:,} (probe: {plan.probed_images:,} images{rejects})",
        f"requests  about {plan.requests:,} for {plan.captions:,} captions",
        f"tokens    about {plan.prompt_tokens:,} of prompt text, at most"
        f" {plan.caption_tokens:,} of captions",
        *(f"REJECTED  {printable(why)}" for why in plan.why),
        *(f"BROKEN    {printable(fault)}" for fault in plan.faults),
        *(f"NOTE      {line}" for line in describe_notices(plan.notices)),
        *(["NOTHING   of what was looked into can be captioned"] if plan.exit_code else []),
    ]
    hours = plan.engine_hours
    if hours is None:
        return [*lines, "time      unknown: no run in this corpus yet; give --images-per-second"]
    lines.append(f"time      {hours:,.2f} engine-hours at {plan.images_per_second:,.1f} images/s")
    if price is not None:
        lines.append(f"cost      {hours * price:,.2f} at {price:g} per engine-hour")
    return lines


def _measured_rate(job: Job) -> float | None:
    runs, _ = read_runs(job.made_by.corpus)
    same = [r for r in runs if r["fingerprint"] == job.made_by.fingerprint and r["parts"]]
    return float(same[-1]["images_per_second"]) or None if same else None
