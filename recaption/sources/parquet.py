"""Parquet: a row is a sample; one column holds the encoded image.

The image column is bytes, or a struct with `bytes` and `path` as Hugging Face writes it, or named
like the format as img2dataset writes it; text in base64 will do. Small columns (text, numbers,
lists of text) become the sample's fields under their own names; a number whose name stands in the
file, as Hugging Face's class labels have one, brings that under `COLUMN_name`, see `class_labels`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import cast

import pyarrow as pa

from recaption import notices
from recaption.config import SourceConfig
from recaption.parquet import DamagedFile, PlainFile
from recaption.parquet.values import ValueTooLarge, is_text, size_of, value_of
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
from recaption.sources.class_labels import LabelNames, read_label_names
from recaption.sources.ids import SeenKeys, sample_id
from recaption.sources.image_text import unpack_text
from recaption.sources.parquet_columns import Columns, find_columns
from recaption.text import printable

_ROWS_AT_ONCE = 16  # of images, so that a batch stays small whatever the row group's size
_IDS_AT_ONCE = 4096
_TEXT_LIMIT = 4 << 20  # bytes of all fields of a row
_PEEKED_AT = 64  # rows in which a text is looked for
_LONGEST_KEY = 4096  # characters


def read_samples(shard: Shard, source: SourceConfig, wanted: Wanted = want_all) -> Samples:
    """Yield the rows of a Parquet file; row groups without a wanted row are not decoded.

    Raises BrokenShard where the file is damaged or has no image column, and StorageError.
    """
    with _broken(shard), PlainFile.open(shard.url) as file:
        labels = read_label_names(file.metadata, file.schema)
        columns = find_columns(
            file.schema, source, shard.name, lambda name: _first_text(file, name), labels.columns
        )
        rows = _Rows(shard, columns, labels, wanted)
        for group in range(len(file.group_rows)):
            yield from rows.read_group(file, group)


@contextmanager
def _broken(shard: Shard) -> Iterator[None]:
    """Turn what is wrong with a damaged file into a BrokenShard; storage's own errors pass."""
    try:
        yield
    except DamagedFile as error:
        raise BrokenShard(f"{shard.name}: {error}") from error


def _first_text(file: PlainFile, name: str) -> str:
    """Return the first text of a column, "" where its first rows have none."""
    if file.schema.names.count(name) != 1:
        return ""
    for batch in islice(file.batches([name], 1), _PEEKED_AT):
        cell = batch.column(0)[0]
        if 0 < size_of(cell) <= IMAGE_LIMIT:
            return str(value_of(cell, IMAGE_LIMIT))
    return ""


class _Rows:
    """Makes samples of a file's rows, group by group."""

    def __init__(self, shard: Shard, columns: Columns, labels: LabelNames, wanted: Wanted) -> None:
        self._shard = shard
        self._columns = columns
        self._labels = labels
        self._wanted = wanted
        self._seen = SeenKeys()
        self._ordinal = 0

    def read_group(self, file: PlainFile, group: int) -> Samples:
        """Yield a row group's samples; of one with no wanted row only the ids are read."""
        columns = self._columns
        end = self._ordinal + file.group_rows[group]
        if any(self._wanted(ordinal) for ordinal in range(self._ordinal, end)):
            names = dict.fromkeys(filter(None, (columns.image, columns.id, *columns.fields)))
            for batch in file.batches(list(names), _ROWS_AT_ONCE, [group]):
                yield from self._samples(batch)
            return
        for batch in file.batches([columns.id], _IDS_AT_ONCE, [group]) if columns.id else ():
            for cell in batch.column(columns.id):
                if (key := _key(cell)) is not None:
                    self._seen.add(key)
        yield from (None for _ in range(self._ordinal, end))
        self._ordinal = end

    def _samples(self, batch: pa.RecordBatch) -> Samples:
        keys = batch.column(self._columns.id) if self._columns.id else None
        for row in range(batch.num_rows):
            key = _key(keys[row]) if keys is not None else None
            is_new = key is None or self._seen.add(key)
            is_wanted = self._wanted(self._ordinal)
            yield self._sample(batch, row, key, is_new) if is_wanted else None
            self._ordinal += 1

    def _sample(self, batch: pa.RecordBatch, row: int, given: str | None, is_new: bool) -> Sample:
        ordinal = self._ordinal
        without = f"row-{ordinal:08d}" if self._columns.id else f"{ordinal:08d}"
        identity = sample_id(self._shard.name, without if given is None else given)
        key = without if given is None else printable(given)
        if not is_new:
            message = f"the id {key} was in this shard before"
            return rejected(f"{identity}#{ordinal}", key, ordinal, Reason.DUPLICATE_KEY, message)
        fields = self._fields(batch, row)
        cell, name = self._image(batch.column(self._columns.image)[row])
        if cell is None:
            message = _say_null(self._columns.image, name, fields)
            return rejected(identity, key, ordinal, Reason.NO_IMAGE, message, name)
        if size_of(cell) > IMAGE_LIMIT:
            message = too_large(key, size_of(cell))
            return rejected(identity, key, ordinal, Reason.UNREADABLE, message, name)
        try:
            image = _bytes_of(cell)
        except ValueError as error:
            message = f"column {self._columns.image} is {error}"
            return rejected(identity, key, ordinal, Reason.UNREADABLE, message, name)
        return Sample(identity, key, ordinal, image, name, fields)

    def _image(self, cell: pa.Scalar) -> tuple[pa.Scalar | None, str]:
        """Return the cell with the bytes, None for null, and their path."""
        path = ""
        if self._columns.part >= 0 and cell.is_valid:
            if self._columns.path >= 0 and is_text(cell[self._columns.path].type):
                path = _text(cell[self._columns.path])
            cell = cell[self._columns.part]
        return cell if cell.is_valid else None, path

    def _fields(self, batch: pa.RecordBatch, row: int) -> dict[str, object]:
        """Return the small values of a row by column; nulls and over-long texts are left out."""
        fields: dict[str, object] = {}
        left = _TEXT_LIMIT
        for name in self._columns.fields:
            cell = batch.column(name)[row]
            if not cell.is_valid:
                continue
            try:
                value = value_of(cell, min(left, FIELD_LIMIT))
            except ValueTooLarge:
                notices.note("texts left out, over 1 MiB", f"{self._shard.name}: {name}")
                continue
            left -= size_of(cell) if isinstance(value, (str, bytes)) else 0
            if value is not None:
                fields[name] = value
        return self._labels.named(fields)


def _key(cell: pa.Scalar) -> str | None:
    """Return an id as text, None where the row has none, or what is none."""
    try:
        value = value_of(cell, FIELD_LIMIT)
    except ValueTooLarge:
        return None
    return None if value is None else str(value)[:_LONGEST_KEY]


def _text(cell: pa.Scalar) -> str:
    value = value_of(cell, FIELD_LIMIT) if size_of(cell) <= FIELD_LIMIT else ""
    return value if isinstance(value, str) else ""


def _bytes_of(cell: pa.Scalar) -> bytes:
    """Return the image's bytes. Raises ValueError where text is not base64."""
    value = value_of(cell, IMAGE_LIMIT)
    return unpack_text(value) if isinstance(value, str) else cast(bytes, value)


def _say_null(column: str, path: str, fields: Mapping[str, object]) -> str:
    if path:
        return f"column {column} has only the path {path}, not the image's bytes"
    status = fields.get("status")
    return f"column {column} is null{f' (status: {status})' if status else ''}"
