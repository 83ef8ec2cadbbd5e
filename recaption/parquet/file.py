"""A Parquet file opened by its plain types, and read a few rows at once."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import storage
from recaption.parquet.errors import DamagedFile, TooDense, no_parquet, told_plainly
from recaption.parquet.thrift import read_chunks
from recaption.parquet.watch import BUDGET, WatchedStream

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_ARROW_SCHEMA = b"ARROW:schema"  # the footer's key that brings extension types
_HIDDEN = b"hidden:arrow"  # as long, so that the footer's other bytes may stay
_FOOTER_LIMIT = 32 << 20  # bytes; a real one has kilobytes, of thousands of row groups megabytes
_ITEMS = 200_000  # of a list in the footer: columns, row groups
_DEPTH = 32  # of types in each other
_FREE_ROWS = 100_000  # that a file may claim, however small it is
_READ_BUFFER = 1 << 20  # bytes: a column is read in pieces, not as a whole
_TABLE_ROWS = 1024
_TABLE_BUDGET = 512 << 20  # bytes
_TABLE_FREE, _TABLE_RATIO = 256 << 20, 200  # bytes of a table in memory, and per byte of its file


class PlainFile:
    """A Parquet file whose columns are Parquet's plain types, whatever the file says of Arrow's."""

    def __init__(self, stream: BinaryIO, budget: int = BUDGET) -> None:
        """Open a seekable stream; `budget` is the bytes that a batch may take.

        Raises DamagedFile, and StorageError.
        """
        self._budget = budget
        with told_plainly():
            footer = read_footer(stream)
            self._stream = WatchedStream(stream, budget)
            self._file = pq.ParquetFile(
                self._stream,
                metadata=_metadata_of(footer),
                buffer_size=_READ_BUFFER,
                pre_buffer=False,
                page_checksum_verification=True,
                arrow_extensions_enabled=False,
                **_LIMITS,
            )
            self.schema: pa.Schema = self._file.schema_arrow.remove_metadata()
            self.metadata: Mapping[bytes, bytes] = self._file.metadata.metadata or {}
            self.num_rows: int = self._file.metadata.num_rows
            self.group_rows = [
                self._file.metadata.row_group(n).num_rows for n in range(self._file.num_row_groups)
            ]
            # Not from pyarrow's metadata: an odd column there ends the process, not the call.
            self._chunks = read_chunks(footer)
            columns = map(self._file.schema.column, range(len(self._file.schema)))
            self._leaves = [(column.path, column.max_repetition_level > 0) for column in columns]
            self._rows = 0  # at once, at most, once a batch was too large; 0: no limit yet
        _check(self.schema, self.group_rows, self.num_rows, stream)
        if [len(group) for group in self._chunks] != [len(self._leaves)] * len(self.group_rows):
            raise no_parquet("its row groups have other columns than its schema")

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator[PlainFile]:
        """Open a file anywhere. Raises DamagedFile and StorageError."""
        with storage.open_read(url) as stream, storage.seekable(stream, url) as file:
            yield cls(file)

    def batches(
        self, names: Sequence[str], rows: int, groups: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of these columns, at most `rows` at once, fewer where they are large.

        `groups` are the row groups wanted, by default all. Raises DamagedFile and StorageError.
        """
        wanted = range(len(self.group_rows)) if groups is None else groups
        with told_plainly():
            for group in wanted:
                yield from self._group(group, list(names), rows)

    def _group(self, group: int, names: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        done = 0
        while True:
            at_once = min(rows, self._rows or rows, self._expected(group, names))
            try:
                for batch in self._from(group, names, at_once, done):
                    done += batch.num_rows
                    yield batch
                break
            except TooDense as error:
                self._rows = error.rows
        if names and done != self.group_rows[group]:
            expected = f"{self.group_rows[group]:,} as the footer says"
            raise DamagedFile(f"row group {group} has {done:,} rows, expected {expected}")

    def _expected(self, group: int, names: list[str]) -> int:
        """Return how many rows are few enough if the footer tells the truth of dictionaries."""
        wanted = set(names)
        size = sum(
            chunk.unpacked
            for (name, _), chunk in zip(self._leaves, self._chunks[group], strict=True)
            if chunk.has_dictionary and name.partition(".")[0] in wanted
        )
        return int(max(1, self._budget // max(1, size)))

    def _from(self, group: int, names: list[str], rows: int, done: int) -> Iterator[pa.RecordBatch]:
        """Yield the batches of a row group, but for the rows that are done."""
        self._stream.watch(
            (name, is_list, chunk)
            for (name, is_list), chunk in zip(self._leaves, self._chunks[group], strict=True)
        )
        batches = self._file.iter_batches(
            rows, row_groups=[group], columns=names, use_threads=False
        )
        while True:
            self._stream.begin_batch(rows)
            batch = next(batches, None)
            if batch is None:
                return
            passed = min(done, batch.num_rows)
            done -= passed
            if passed < batch.num_rows:
                yield batch.slice(passed)


def read_table(url: str, schema: pa.Schema) -> pa.Table:
    """Read the columns of `schema` from a file, in its types.

    Raises DamagedFile, also where the file unpacks into far more than a real one does, and
    StorageError.
    """
    raw = storage.read_bytes(url)
    file, limit = PlainFile(io.BytesIO(raw), _TABLE_BUDGET), _TABLE_FREE + _TABLE_RATIO * len(raw)
    with told_plainly():
        if missing := [name for name in schema.names if name not in file.schema.names]:
            raise DamagedFile(f"it has no column {', '.join(missing[:20])}")
        batches, size = [], 0
        for batch in file.batches(schema.names, _TABLE_ROWS):
            size += batch.nbytes
            if size > limit:
                raise DamagedFile(
                    f"its {len(raw):,} bytes unpack into more than {limit:,}: made to fill memory"
                )
            batches.append(batch)
        plain = pa.schema([file.schema.field(name) for name in schema.names])
        return pa.Table.from_batches(batches, plain).select(schema.names).cast(schema)


_LIMITS = {
    "thrift_string_size_limit": _FOOTER_LIMIT,
    "thrift_container_size_limit": _ITEMS,
    "schema_depth_limit": _DEPTH,
}


def read_footer(stream: BinaryIO) -> bytes:
    """Return the bytes of the footer, Arrow's schema in it made invisible. Raises DamagedFile."""
    size = stream.seek(0, io.SEEK_END)
    if size < 12:
        raise no_parquet(f"it has {size} bytes")
    stream.seek(size - 8)
    length, magic = struct.unpack("<I4s", stream.read(8))
    if magic == _ENCRYPTED:
        raise DamagedFile("the file is encrypted: write it again without a key")
    if magic != _MAGIC:
        raise no_parquet("it does not end in PAR1")
    if length > size - 12:
        raise no_parquet(f"its footer claims {length:,} bytes, the file has {size:,}")
    if length > _FOOTER_LIMIT:
        raise DamagedFile(
            f"its footer has {length:,} bytes, more than the limit of {_FOOTER_LIMIT:,}:"
            " write it again with larger row groups"
        )
    stream.seek(size - 8 - length)
    return stream.read(length).replace(_ARROW_SCHEMA, _HIDDEN)


def _metadata_of(footer: bytes) -> pq.FileMetaData:
    """Return what a footer tells, parsed by pyarrow as the end of a file of its own."""
    file = b"".join((_MAGIC, footer, struct.pack("<I", len(footer)), _MAGIC))
    return pq.ParquetFile(pa.BufferReader(file), arrow_extensions_enabled=False, **_LIMITS).metadata


def _check(schema: pa.Schema, groups: Sequence[int], rows: int, stream: BinaryIO) -> None:
    """Refuse types that are not plain, and rows that cannot be there. Raises DamagedFile."""
    for field in schema:
        if not _is_plain(field.type):
            raise DamagedFile(f"column {field.name} is {field.type}, expected a plain type")
    if sum(groups) != rows or min(groups, default=0) < 0:
        raise DamagedFile(f"its row groups have {sum(groups):,} rows, its footer says {rows:,}")
    size = stream.seek(0, io.SEEK_END)
    if rows > max(size, _FREE_ROWS):
        raise DamagedFile(f"it claims {rows:,} rows in {size:,} bytes: damaged, or made to stall")


def _is_plain(kind: pa.DataType) -> bool:
    """Say whether a type brings no code, at any depth."""
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_dictionary(kind):
        return False
    return all(_is_plain(kind.field(n).type) for n in range(kind.num_fields))
