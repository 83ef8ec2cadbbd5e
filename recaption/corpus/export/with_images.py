"""Images with all their captions, shard by shard, as training reads them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import storage
from recaption.config import RecipeError, SourceConfig
from recaption.corpus.export.names import plain_names
from recaption.corpus.export.rows import as_json, key_of, typed
from recaption.corpus.joined import JoinedSample, joined
from recaption.corpus.reader import CorpusReader
from recaption.corpus.schema import CAPTIONS
from recaption.corpus.tables import read_captions
from recaption.job import list_source
from recaption.sample import Shard

_SUFFIXES = {"JPEG": "jpg", "MPO": "jpg"}
_MIXED = "jpg"
_FORMAT = pa.schema([CAPTIONS.field("image_format")])
_SHARED = (
    *("sample_id", "dataset", "shard", "key", "image_name", "image_sha256"),
    *("width", "height", "alt_text", "class_names"),
)

Encode = Callable[[list[JoinedSample]], bytes]


def export_webdataset(
    reader: CorpusReader, source: SourceConfig, out: str, tick: Callable[[int], None]
) -> int:
    """Write a tar per part that has captions: image, `.txt` (first caption), `.json` (all).

    Images are named by their format; where there are several, all are called `.jpg`, whatever
    they are: readers ask that all samples of a set have the same parts, and look at the bytes.
    """
    return _export(reader, source, out, ".tar", partial(_tar, suffix=_suffix(reader)), tick)


def export_parquet(
    reader: CorpusReader, source: SourceConfig, out: str, tick: Callable[[int], None]
) -> int:
    """Write a Parquet file per part that has captions: id, image, alt-text, captions as a list."""
    return _export(reader, source, out, ".parquet", partial(_parquet, suffix=_suffix(reader)), tick)


def _export(
    reader: CorpusReader,
    source: SourceConfig,
    out: str,
    suffix: str,
    encode: Encode,
    tick: Callable[[int], None],
) -> int:
    shards = {shard.name: shard for shard in _list(reader.corpus, source)}
    names = plain_names(reader.committed().parts)
    there = _earlier_files(out, suffix)
    _check_are_ours(out, there, names, suffix)
    written = 0
    for part, records in reader.iter_parts():
        samples = list(joined(source, shards, part, reader.captions(records)))
        name = f"{names[part.shard]}-{part.index:05d}{suffix}"
        if samples:
            storage.write_bytes(storage.join(out, name), encode(samples))
        elif name in there:
            storage.delete([storage.join(out, name)])
        written += len(samples)
        tick(len(samples))
    return written


def _list(corpus: str, source: SourceConfig) -> list[Shard]:
    try:
        return list_source(source)[1]
    except (RecipeError, storage.StorageError) as e:
        raise RecipeError(
            f"the corpus's images: {e}; if they moved, give their place now as --source, or for"
            f" good: `recaption move {corpus} --source PLACE`"
        ) from e


def _earlier_files(out: str, suffix: str) -> set[str]:
    """Return the files that a reader of the export would take for its own."""
    if not storage.exists(out):
        return set()
    return {name for name in storage.list_names(out) if name.endswith(suffix)}


def _check_are_ours(out: str, there: set[str], names: dict[str, str], suffix: str) -> None:
    """Raise where a folder holds other files, which would be read as if they were of the export."""
    stems = set(names.values())
    for name in sorted(there):
        stem, _, index = name.removesuffix(suffix).rpartition("-")
        if stem not in stems or not index.isdigit():
            raise RecipeError(
                f"{out}: holds {name}, which is not of this export, and would be read as a part of"
                " it; give an empty folder or a new one"
            )


def _suffix(reader: CorpusReader) -> str:
    """Return what the images of the export are called."""
    found: set[str] = set()
    for _, records in reader.iter_parts():
        column = read_captions(reader.ledger, records, _FORMAT)["image_format"]
        kinds = {name or "JPEG" for name in column.to_pylist()}
        found |= {_SUFFIXES.get(kind, kind.lower()) for kind in kinds}
        if len(found) > 1:
            return _MIXED
    return next(iter(found), _MIXED)


def _tar(samples: list[JoinedSample], suffix: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        add = partial(_add, tar)
        for one in samples:
            key = key_of(one.sample.sample_id)
            add(f"{key}.{suffix}", one.image)
            document = _document(one)
            add(f"{key}.txt", document["captions"][0]["caption"].encode("utf-8", "replace"))
            add(f"{key}.json", as_json(document).encode())
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _document(one: JoinedSample) -> dict[str, Any]:
    """Return what is known of an image, and of each of its captions."""
    rows = [typed(row) for row in one.captions]
    return {
        **{name: rows[0][name] for name in _SHARED},
        "captions": [{k: v for k, v in row.items() if k not in _SHARED} for row in rows],
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


def _parquet_row(one: JoinedSample, document: dict[str, Any], suffix: str) -> dict[str, Any]:
    return {
        "sample_id": one.sample.sample_id,
        "image": {"bytes": one.image, "path": f"{key_of(one.sample.sample_id)}.{suffix}"},
        "alt_text": document["alt_text"],
        "class_names": one.captions[0]["class_names"] and document["class_names"],
        "captions": [row["caption"] for row in document["captions"]],
        "provenance": as_json(document),
    }


def _parquet(samples: list[JoinedSample], suffix: str) -> bytes:
    rows = [_parquet_row(one, _document(one), suffix) for one in samples]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_PARQUET), buffer, compression="zstd")
    return buffer.getvalue()
