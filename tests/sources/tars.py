"""Builds tars for the tests, good ones and bad ones."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from recaption.config import SourceConfig
from recaption.sample import Sample, Shard
from recaption.sources.webdataset import read_samples

Member = tuple[str, bytes]


def tar_bytes(members: Iterable[Member], format: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for name, body in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return out.getvalue()


def sample_members(key: str, size: int = 700) -> list[Member]:
    return [
        (f"{key}.jpg", key.encode() * (size // max(1, len(key)))),
        (f"{key}.txt", f"text of {key}".encode()),
        (f"{key}.json", b'{"key": "%s"}' % key.encode()),
    ]


def write_shard(path: Path, data: bytes, packed: bool = False) -> Shard:
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    return Shard(path.name, str(path), "webdataset", path.stat().st_size)


def read(shard: Shard) -> list[Sample]:
    samples = list(read_samples(shard, SourceConfig(path=shard.url)))
    assert all(sample is not None for sample in samples)
    return [sample for sample in samples if sample is not None]


def gather(shard: Shard) -> tuple[list[Sample], str]:
    """Return the samples before the fault, and the fault or ""."""
    samples: list[Sample] = []
    try:
        for sample in read_samples(shard, SourceConfig(path=shard.url)):
            assert sample is not None
            samples.append(sample)
    except ValueError as error:
        return samples, str(error)
    return samples, ""
