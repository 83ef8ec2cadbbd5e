"""A few samples from all over a source, prepared as a run prepares them; cheap at any size."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from recaption import keyed
from recaption.job import Job
from recaption.parquet import PlainFile
from recaption.parts import PreparedSample
from recaption.sample import Shard
from recaption.sources import map_parts
from recaption.sources.folder import list_folder, list_images
from recaption.sources.zip import count_samples

_FARTHEST = 10_000  # samples into a shard: passing over costs little, but not nothing
_BROKEN = (ValueError, OSError, EOFError, zlib.error)


def choose_samples(job: Job, most: int) -> Iterator[PreparedSample | str]:
    """Yield so many samples of shards that are chosen by key, in the order of their names.

    In the place of a shard that cannot be read comes its fault.
    """
    order = sorted(job.shards, key=lambda s: keyed.digest("preview", job.recipe.seed, s.name))
    chosen = sorted(order[:most], key=lambda shard: shard.name)
    for index, shard in enumerate(chosen):
        share = most // len(chosen) + (index < most % len(chosen))
        yield from _read(job, shard, share)


def _read(job: Job, shard: Shard, count: int) -> Iterator[PreparedSample | str]:
    wanted = _ordinals(shard, count)
    alone = job.recipe.source.model_copy(update={"part_samples": 1})
    passed = set(range(wanted[-1])).difference(wanted)
    for read in map_parts(shard, alone, job.preparer.sample, passed, wanted[-1] + 1):
        yield from ([read.fault] if read.fault else read.samples)


def _ordinals(shard: Shard, count: int) -> list[int]:
    """Return which samples of a shard to take: of a tar, which is read in order, the first."""
    try:
        samples = min(_samples_in(shard), _FARTHEST)
    except _BROKEN:  # reading will say why
        samples = 0
    if samples <= count:
        return list(range(count))
    return [k * samples // count for k in range(count)]


def _samples_in(shard: Shard) -> int:
    """Return how many samples a shard has, as far as it tells without being read; else 0."""
    if shard.kind == "folder":
        return len(list_images(list_folder(shard.url)))
    if shard.kind == "zip":
        return count_samples(shard)
    if shard.kind == "parquet":
        with PlainFile.open(shard.url) as file:
            return file.num_rows
    return 0
