"""Captions and the images they describe, brought together again part by part."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from recaption import storage
from recaption.config import SourceConfig
from recaption.sample import Part, Sample, Shard
from recaption.sources import map_parts

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class JoinedSample:
    """An image as found, with its captions in order of region, style and slot."""

    sample: Sample
    image: bytes
    captions: Rows


def rows_by_sample(captions: pa.Table) -> dict[str, Rows]:
    """Return captions by sample id, each sample's in order of region, style and slot."""
    found: dict[str, Rows] = {}
    for row in captions.to_pylist():
        found.setdefault(row["sample_id"], []).append(row)
    for rows in found.values():
        rows.sort(key=lambda r: (r["region"], r["style"], r["slot"]))
    return found


def joined(
    source: SourceConfig, shards: Mapping[str, Shard], part: Part, captions: pa.Table
) -> Iterator[JoinedSample]:
    """Yield a part's captioned images with their captions, read again from the shard.

    `captions` has the columns sample_id, image_sha256, region, style, slot and any others. Raises
    StorageError where the shard is not what it was when it was captioned.
    """
    yield from with_images(source, shards, part, rows_by_sample(captions))


def with_images(
    source: SourceConfig, shards: Mapping[str, Shard], part: Part, captions: Mapping[str, Rows]
) -> Iterator[JoinedSample]:
    """Yield the images of these samples of a part, as `joined` does, in the order of the shard."""
    missing = dict(captions)
    if not missing:
        return
    for sample in part_samples(source, shards, part, frozenset(missing)):
        rows = missing.pop(sample.sample_id, None)
        if rows and sample.image is not None:
            if hashlib.sha256(sample.image).hexdigest() != rows[0]["image_sha256"]:
                raise storage.StorageError(
                    f"{part.shard}: {sample.sample_id} is not the image that was captioned; was"
                    " the shard replaced since? Caption it into a new corpus"
                )
            yield JoinedSample(sample, sample.image, rows)
    if missing:
        raise storage.StorageError(
            f"{part.shard}: {len(missing)} captioned samples are not in the shard any more, such"
            f" as {min(missing)}; was it replaced since it was captioned?"
        )


def part_samples(
    source: SourceConfig,
    shards: Mapping[str, Shard],
    part: Part,
    wanted: Collection[str] | None = None,
) -> list[Sample]:
    """Read the samples of one part; of those whose ids are not wanted, images are not held.

    Raises StorageError where they cannot be read.
    """

    def keep(sample: Sample) -> Sample:  # what was not captioned may be far too large
        is_wanted = wanted is None or sample.sample_id in wanted
        return sample if is_wanted else replace(sample, image=None, fields={})

    shard = shards.get(part.shard)
    if shard is None:
        raise storage.StorageError(
            f"{part.shard}: no such shard below {source.path}; give the images' place (export:"
            " --source, training: data.images)"
        )
    others = range(part.index)
    for read in map_parts(shard, source, keep, others, part.index + 1):
        if read.fault:
            raise storage.StorageError(read.fault)
        return read.samples
    return []
