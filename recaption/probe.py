"""How many images there are: the first samples of a few shards are read, the rest is by size."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from recaption import keyed, storage
from recaption.job import Job
from recaption.parquet import PlainFile
from recaption.parts import PreparedSample
from recaption.sample import Shard
from recaption.sources import map_parts
from recaption.sources.folder import list_folder, list_images
from recaption.sources.gunzip import Gunzip
from recaption.sources.tar import TarReader, open_tar
from recaption.sources.webdataset import split_name
from recaption.sources.zip import count_samples

_SHARDS = 3
_SAMPLES = 256  # of a shard
_BROKEN = (ValueError, OSError, EOFError, zlib.error)
_BLOCK = 512  # of a tar: a header is one, a body is filled up to whole ones
_UNPACKED = 4 << 20  # bytes of a packed tar from which its packing is told
_TAR_END = 5 * 1024  # bytes of zeros at a tar's end, about: two blocks, filled up to 10 KiB


@dataclass(frozen=True, slots=True)
class Probe:
    """A shard's first samples, made ready; `images` is how many the whole shard has, about.

    `fault` says why the shard could not be read.
    """

    shard: Shard
    images: float = 0.0
    samples: list[PreparedSample] = field(default_factory=list)
    fault: str = ""


def probe_some(job: Job, shards: Sequence[Shard]) -> list[Probe]:
    """Look into a few of these shards, chosen by key: the same recipe, the same ones."""
    order = sorted(shards, key=lambda s: keyed.digest("probe", job.recipe.seed, s.name))
    return [_probe(job, shard) for shard in order[:_SHARDS]]


def count_images(shards: Sequence[Shard], probes: Sequence[Probe]) -> int:
    """Estimate the images in all shards: by bytes per image, or as in the mean shard probed."""
    known = {probe.shard.name: probe.images for probe in probes if not probe.fault}
    rest = [shard for shard in shards if shard.name not in known]
    images = sum(known.values())
    if not rest or not images:
        return round(images)
    sizes = [probe.shard.size for probe in probes if probe.shard.name in known]
    per_image = sum(size or 0 for size in sizes) / images
    mean = images / len(known)
    counts = [s.size / per_image if s.size and per_image else mean for s in rest]
    return round(images + sum(counts))


def _probe(job: Job, shard: Shard) -> Probe:
    n = min(_SAMPLES, job.recipe.source.part_samples)
    source = job.recipe.source.model_copy(update={"part_samples": n})
    read = next(iter(map_parts(shard, source, job.preparer.sample)))
    if read.fault:
        return Probe(shard, fault=read.fault)
    if read.part.is_last:
        return Probe(shard, len(read.samples), read.samples)
    try:
        return Probe(shard, _count(shard, len(read.samples)), read.samples)
    except _BROKEN as e:  # behind the samples that were read
        return Probe(shard, fault=str(e))


def _count(shard: Shard, first: int) -> float:
    """Count a shard's images: as it tells itself, else by the bytes that the first so many take."""
    if shard.kind == "folder":
        return len(list_images(list_folder(shard.url)))
    if shard.kind == "parquet":
        with PlainFile.open(shard.url) as file:
            return file.num_rows
    if shard.kind == "zip":
        return count_samples(shard)
    if not shard.size:
        return first
    with open_tar(shard) as archive:
        size = _pass_samples(archive, first)
    if shard.url.endswith("gz"):
        return shard.size / (size * _packed_share(shard)) * first
    return max(1, shard.size - _TAR_END) / size * first


def _packed_share(shard: Shard) -> float:
    """Return which share of its bytes gzip has left of a shard, by its start."""
    with storage.open_read(shard.url) as stream:
        unpacked = len(io.BufferedReader(Gunzip(stream)).read(_UNPACKED))
        return stream.tell() / max(1, unpacked)


def _pass_samples(archive: TarReader, samples: int) -> int:
    """Pass over the first samples; return their bytes in the tar, unpacked."""
    size, keys, last = 0, 0, ""
    while (member := archive.next()) is not None:
        split = split_name(member[0])
        if split is not None and split[0] != last:
            keys, last = keys + 1, split[0]
        if keys > samples:
            break
        size += _BLOCK + -(-member[1] // _BLOCK) * _BLOCK
    return max(1, size)
