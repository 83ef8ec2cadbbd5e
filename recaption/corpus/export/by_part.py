"""WebDataset and Parquet: a file per part, images with all captions chosen of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import storage
from recaption.corpus.export.images import suffix_of
from recaption.corpus.export.names import check_are_ours, plain_names
from recaption.corpus.export.rows import as_json, document_of, key_of
from recaption.corpus.export.tables import PARQUET, table_of
from recaption.corpus.export.walk import Chosen, Walk
from recaption.corpus.schema import CAPTIONS
from recaption.corpus.tables import read_captions
from recaption.tars import tar_bytes

_MIXED = "jpg"
_FORMAT = pa.schema([CAPTIONS.field("image_format")])

Encode = Callable[[list[Chosen]], bytes]


def export_webdataset(walk: Walk, out: str) -> None:
    """Write a tar per part that has captions: image, `.txt` (first caption), `.json` (all).

    Images are named by their format; where there are several, all are called `.jpg`, whatever
    they are: readers ask that all samples of a set have the same parts, and look at the bytes.
    """
    _export(walk, out, ".tar", partial(_tar, suffix=_suffix(walk)))


def export_parquet(walk: Walk, out: str) -> None:
    """Write a Parquet file per part that has captions, see `tables.PARQUET`."""
    _export(walk, out, ".parquet", _parquet)


def _export(walk: Walk, out: str, suffix: str, encode: Encode) -> None:
    names = plain_names(walk.reader.committed().parts)
    stems = set(names.values())

    def is_ours(name: str) -> bool:
        stem, _, index = name.removesuffix(suffix).rpartition("-")
        return stem in stems and index.isdigit()

    there = set(check_are_ours(out, lambda name: name.endswith(suffix), is_ours))
    for part, images in walk.parts():
        name = f"{names[part.shard]}-{part.index:05d}{suffix}"
        if images:
            storage.write_bytes(storage.join(out, name), encode(images))
        elif name in there:
            storage.delete([storage.join(out, name)])


def _suffix(walk: Walk) -> str:
    """Return what the images of the export are called."""
    if not walk.is_found:
        return _MIXED
    found: set[str] = set()
    for _, records in walk.reader.iter_parts():
        column = read_captions(walk.reader.ledger, records, _FORMAT)["image_format"]
        found |= {suffix_of(name) for name in set(column.to_pylist())}
        if len(found) > 1:
            return _MIXED
    return next(iter(found), _MIXED)


def _tar(images: list[Chosen], suffix: str) -> bytes:
    return tar_bytes(file for one in images for file in _files(one, suffix))


def _files(one: Chosen, suffix: str) -> Iterator[tuple[str, bytes]]:
    key, document = key_of(one.sample_id), document_of(one.captions)
    yield f"{key}.{suffix}", one.image
    yield f"{key}.txt", document["captions"][0]["caption"].encode("utf-8", "replace")
    yield f"{key}.json", as_json(document).encode()


def _parquet(images: list[Chosen]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table_of(images, PARQUET), buffer, compression="zstd")
    return buffer.getvalue()
