"""Images with all their captions, shard by shard, as training reads them."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import keyed, storage
from recaption.config import SourceConfig
from recaption.corpus.joined import JoinedSample, joined
from recaption.corpus.reader import CorpusReader
from recaption.decode import container
from recaption.job import list_source
from recaption.sources.ids import shard_suffix

_SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def export_webdataset(
    reader: CorpusReader, source: SourceConfig, out: str, tick: Callable[[int], None]
) -> int:
    """Write a tar per part: `.jpg` (or what it is), `.txt` (first caption), `.json` (all)."""
    return _export(reader, source, out, ".tar", _tar, tick)


def export_parquet(
    reader: CorpusReader, source: SourceConfig, out: str, tick: Callable[[int], None]
) -> int:
    """Write a Parquet file per part: sample_id, image bytes, alt-text, captions as a list."""
    return _export(reader, source, out, ".parquet", _parquet, tick)


def _export(
    reader: CorpusReader,
    source: SourceConfig,
    out: str,
    suffix: str,
    encode: Callable[[list[JoinedSample]], bytes],
    tick: Callable[[int], None],
) -> int:
    shards = {shard.name: shard for shard in list_source(source)[1]}
    names = _plain_names(reader.committed().parts)
    written = 0
    for part, records in reader.iter_parts():
        samples = list(joined(source, shards, part, reader.captions(records)))
        name = f"{names[part.shard]}-{part.index:05d}{suffix}"
        storage.write_bytes(storage.join(out, name), encode(samples))
        written += len(samples)
        tick(len(samples))
    return written


def _plain_names(shards: Iterable[str]) -> dict[str, str]:
    """Return a file name for each shard, without folders; a hash where two would be the same."""
    plain = {s: _UNSAFE.sub("_", s[: len(s) - len(shard_suffix(s))]).strip("_") for s in shards}
    times = Counter(plain.values())
    return {
        shard: name if name and times[name] == 1 else f"{name}-{keyed.hexdigest(shard, length=8)}"
        for shard, name in plain.items()
    }


def _tar(samples: list[JoinedSample]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        add = partial(_add, tar)
        for one in samples:
            key = f"{one.sample.ordinal:09d}"
            suffix = _SUFFIXES.get(container.identify(one.image), "img")
            add(f"{key}.{suffix}", one.image)
            add(f"{key}.txt", one.captions[0]["caption"].encode("utf-8", "replace"))
            add(f"{key}.json", json.dumps(_document(one), ensure_ascii=False).encode())
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _document(one: JoinedSample) -> dict[str, Any]:
    first = one.captions[0]
    shared = ("sample_id", "dataset", "shard", "key", "image_sha256", "width", "height")
    own = [k for k in first if k not in {*shared, "alt_text", "class_names", "image_name"}]
    return {
        **{name: first[name] for name in (*shared, "alt_text", "class_names")},
        "captions": [{name: row[name] for name in own} for row in one.captions],
    }


_PARQUET = pa.schema(
    [
        ("sample_id", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("alt_text", pa.string()),
        ("class_names", pa.list_(pa.string())),
        ("captions", pa.list_(pa.string())),
        ("provenance", pa.string()),  # JSON: all captions with all columns
    ]
)


def _parquet(samples: list[JoinedSample]) -> bytes:
    rows = [
        {
            "sample_id": one.sample.sample_id,
            "image": {"bytes": one.image, "path": one.sample.image_name},
            "alt_text": one.captions[0]["alt_text"],
            "class_names": one.captions[0]["class_names"],
            "captions": [row["caption"] for row in one.captions],
            "provenance": json.dumps(_document(one), ensure_ascii=False),
        }
        for one in samples
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_PARQUET), buffer, compression="zstd")
    return buffer.getvalue()
