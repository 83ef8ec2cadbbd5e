"""What a run will read and cost, from a listing and a small probe of its shards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from recaption import keyed
from recaption.job import Job
from recaption.parts import PreparedSample
from recaption.sample import Sample, Shard
from recaption.sources import read_parts
from recaption.status import read_runs

_PROBED = 3
_MEMBER = 768  # bytes of a tar's header, and of the padding on average, of one member
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a job. Counts of what is not listed are estimates from the probe.

    `prompt_tokens` counts text, not the image; `caption_tokens` is the most it can be.
    `images_per_second` is of one engine, as measured or given; None: not known.
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

    @property
    def engine_hours(self) -> float | None:
        """Hours of one engine for the whole job."""
        rate = self.images_per_second
        return self.images / rate / 3600 if rate else None


def make_plan(job: Job, images_per_second: float | None = None) -> Plan:
    """Estimate a job. Reads the first part of up to three shards; writes nothing."""
    pending = job.pending(job.ledger.committed())
    probes = [_probe(job, shard) for shard in _choose(pending, job.recipe.seed)]
    samples = [s for probe in probes for s in probe.samples]
    images = _count_images(pending, probes)
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
    )


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
    ]
    hours = plan.engine_hours
    if hours is None:
        return [*lines, "time      unknown: no run in this corpus yet; give --images-per-second"]
    lines.append(f"time      {hours:,.2f} engine-hours at {plan.images_per_second:,.1f} images/s")
    if price is not None:
        lines.append(f"cost      {hours * price:,.2f} at {price:g} per engine-hour")
    return lines


def _choose(shards: Sequence[Shard], seed: int) -> list[Shard]:
    return sorted(shards, key=lambda s: keyed.digest("probe", seed, s.name))[:_PROBED]


@dataclass(frozen=True, slots=True)
class _Probe:
    """The first part of a shard; `is_whole` if it is all of it; `bytes` as it takes in a tar."""

    shard: Shard
    is_whole: bool
    samples: list[PreparedSample]
    bytes: int


def _probe(job: Job, shard: Shard) -> _Probe:
    for read in islice(read_parts(shard, job.recipe.source), 1):
        samples = [job.preparer.sample(s) for s in read.samples]
        size = sum(_bytes_in_tar(s) for s in read.samples)
        return _Probe(shard, read.part.is_last, samples, size)
    raise AssertionError("a shard has at least one part")


def _bytes_in_tar(sample: Sample) -> int:
    texts = [v if isinstance(v, str) else json.dumps(v) for v in sample.fields.values()]
    sizes = [len(sample.image or b""), *(len(text.encode("utf-8", "replace")) for text in texts)]
    return sum(_MEMBER + size for size in sizes)


def _count_images(shards: list[Shard], probes: list[_Probe]) -> int:
    """Count whole shards as read, and the rest by bytes per image or by the mean of the probes."""
    known = {p.shard.name: len(p.samples) for p in probes if p.is_whole}
    rest = [s for s in shards if s.name not in known]
    probed = sum(len(p.samples) for p in probes)
    if not rest or not probed:
        return sum(known.values())
    per_image = _bytes_per_image(probes, probed)
    counts = [s.size / per_image if s.size else probed / len(probes) for s in rest]
    return sum(known.values()) + round(sum(counts))


def _bytes_per_image(probes: list[_Probe], probed: int) -> float:
    whole = [p for p in probes if p.is_whole and p.shard.size]
    if whole:
        return sum(p.shard.size or 0 for p in whole) / sum(len(p.samples) for p in whole)
    return sum(p.bytes for p in probes) / probed


def _measured_rate(job: Job) -> float | None:
    runs, _ = read_runs(job.made_by.corpus)
    same = [r for r in runs if r["fingerprint"] == job.made_by.fingerprint and r["parts"]]
    return float(same[-1]["images_per_second"]) or None if same else None
