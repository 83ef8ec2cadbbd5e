"""Parquet: a row is a sample; one column holds the encoded image.

The image column is bytes, or a struct with `bytes` and `path` as Hugging Face writes it, or named
like the format as img2dataset writes it. Small columns (text, numbers, lists of text) become the
sample's fields under their own names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import storage
from recaption.config import SourceConfig
from recaption.sample import Reason, Sample, Shard
from recaption.sources.base import (
    FIELD_LIMIT,
    IMAGE_LIMIT,
    BrokenShard,
    Samples,
    Wanted,
    rejected,
    too_large,
    want_all,
)
from recaption.sources.ids import SeenKeys, sample_id
from recaption.sources.parquet_columns import Columns, find_columns
from recaption.text import decode_text

_ROWS_AT_ONCE = 16  # of images, so that a batch stays small whatever the row group's size
_IDS_AT_ONCE = 4096
_READ_BUFFER = 1 << 20  # bytes: a column is read in pieces, not as a whole


def read_samples(shard: Shard, source: SourceConfig, wanted: Wanted = want_all) -> Samples:
    """Yield the rows of a Parquet file; row groups without a wanted row are not decoded.

    Raises BrokenShard where the file is damaged or has no image column, and StorageError.
    """
    with _broken(shard), _open(shard) as file:
        rows = _Rows(shard, find_columns(file.schema_arrow, source, shard.name), wanted)
        for group in range(file.num_row_groups):
            yield from rows.read_group(file, group)


@contextmanager
def _broken(shard: Shard) -> Iterator[None]:
    """Turn what pyarrow says of a damaged file into a BrokenShard; storage's own errors pass."""
    try:
        yield
    except (storage.StorageError, BrokenShard):
        raise
    except (pa.ArrowException, OSError, MemoryError, KeyError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:300]
        message = f"{shard.name}: not a Parquet file, or a damaged or truncated one"
        raise BrokenShard(f"{message} ({reason or type(error).__name__})") from error


@contextmanager
def _open(shard: Shard) -> Iterator[pq.ParquetFile]:
    options = {"buffer_size": _READ_BUFFER, "pre_buffer": False, "page_checksum_verification": True}
    with (
        storage.open_read(shard.url) as stream,
        storage.seekable(stream, shard.url) as seekable,
        pq.ParquetFile(seekable, **options) as file,
    ):
        yield file


class _Rows:
    """Makes samples of a file's rows, group by group."""

    def __init__(self, shard: Shard, columns: Columns, wanted: Wanted) -> None:
        self._shard = shard
        self._columns = columns
        self._wanted = wanted
        self._seen = SeenKeys()
        self._ordinal = 0

    def read_group(self, file: pq.ParquetFile, group: int) -> Samples:
        """Yield a row group's samples; of one with no wanted row only the ids are read."""
        columns = self._columns
        end = self._ordinal + file.metadata.row_group(group).num_rows
        if any(self._wanted(ordinal) for ordinal in range(self._ordinal, end)):
            names = dict.fromkeys(filter(None, (columns.image, columns.id, *columns.fields)))
            for batch in _batches(file, group, list(names), _ROWS_AT_ONCE):
                yield from self._samples(batch)
            return
        for batch in _batches(file, group, [columns.id], _IDS_AT_ONCE) if columns.id else ():
            for key in batch.column(columns.id):
                self._seen.add(str(_value(key)))
        yield from (None for _ in range(self._ordinal, end))
        self._ordinal = end

    def _samples(self, batch: pa.RecordBatch) -> Samples:
        keys = batch.column(self._columns.id) if self._columns.id else None
        for row in range(batch.num_rows):
            key = _value(keys[row]) if keys is not None else None
            is_new = key is None or self._seen.add(str(key))
            is_wanted = self._wanted(self._ordinal)
            yield self._sample(batch, row, key, is_new) if is_wanted else None
            self._ordinal += 1

    def _sample(self, batch: pa.RecordBatch, row: int, given: Any, is_new: bool) -> Sample:
        ordinal = self._ordinal
        without = f"row-{ordinal:08d}" if self._columns.id else f"{ordinal:08d}"
        key = without if given is None else str(given)
        identity = sample_id(self._shard.name, key)
        if not is_new:
            message = f"the id {key} was in this shard before"
            return rejected(f"{identity}#{ordinal}", key, ordinal, Reason.DUPLICATE_KEY, message)
        fields = _fields(batch, row, self._columns.fields)
        image, name = _image(_value(batch.column(self._columns.image)[row]))
        if image is None:
            message = _say_null(self._columns.image, name, fields)
            return rejected(identity, key, ordinal, Reason.NO_IMAGE, message, name)
        if len(image) > IMAGE_LIMIT:
            message = too_large(key, len(image))
            return rejected(identity, key, ordinal, Reason.UNREADABLE, message, name)
        return Sample(identity, key, ordinal, image, name, fields)


def _batches(
    file: pq.ParquetFile, group: int, names: list[str], rows: int
) -> Iterator[pa.RecordBatch]:
    yield from file.iter_batches(rows, row_groups=[group], columns=names, use_threads=False)


def _value(cell: pa.Scalar) -> Any:
    """Return a cell as Python's; text that is not UTF-8, which Parquet forbids, is decoded."""
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return decode_text(bytes(cell.as_buffer())) if hasattr(cell, "as_buffer") else None


def _image(value: Any) -> tuple[bytes | None, str]:
    """Return bytes and path of a cell of the image column."""
    if isinstance(value, Mapping):
        path = value.get("path")
        return value.get("bytes"), path if isinstance(path, str) else ""
    return value, ""


def _say_null(column: str, path: str, fields: Mapping[str, object]) -> str:
    if path:
        return f"column {column} has only the path {path}, not the image's bytes"
    status = fields.get("status")
    return f"column {column} is null{f' (status: {status})' if status else ''}"


def _fields(batch: pa.RecordBatch, row: int, names: tuple[str, ...]) -> dict[str, object]:
    """Return the small values of a row by column; nulls and over-long texts are left out."""
    fields: dict[str, object] = {}
    for name in names:
        value = _value(batch.column(name)[row])
        if value is not None and not (isinstance(value, str) and len(value) > FIELD_LIMIT):
            fields[name] = value
    return fields
