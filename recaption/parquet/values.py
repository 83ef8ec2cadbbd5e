"""Cells of a plain Parquet file as Python's values, each within a limit of bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import cast

import pyarrow as pa

from recaption.text import decode_text

log = logging.getLogger(__name__)

_ITEM = 16  # bytes that an item of a list counts for, besides its own


class ValueTooLarge(ValueError):
    """A cell holds more bytes than may be taken of it."""


def size_of(cell: pa.Scalar) -> int:
    """Return the bytes of a cell of bytes or text, without copying them; 0 of null."""
    return len(cell.as_buffer()) if cell.is_valid else 0


def value_of(cell: pa.Scalar, limit: int) -> object:
    """Return a cell as Python's; text that is not UTF-8, which Parquet forbids, is decoded.

    What Python cannot tell, such as a day in the year 300,000, is None. Raises ValueTooLarge.
    """
    return _value(cell, _Left(limit))


def rows_of(batch: pa.RecordBatch, limit: int) -> Iterator[dict[str, object]]:
    """Yield the rows of a batch by column; what is over the limit, a cell, is None."""
    columns = [_column(column, limit) for column in batch.columns]
    for values in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, values, strict=True))


def _column(column: pa.Array, limit: int) -> list[object]:
    """Return a column's values: all at once where none can be large, and all are as they should."""
    if column.nbytes <= limit and not pa.types.is_nested(column.type):
        try:
            return cast(list[object], column.to_pylist())
        except Exception as error:  # one value's fault, which its own turn shows
            log.info("a column is read value by value: %s", error)
    return [_or_none(cell, limit) for cell in column]


def _or_none(cell: pa.Scalar, limit: int) -> object:
    try:
        return value_of(cell, limit)
    except ValueTooLarge:
        return None


class _Left:
    """How many bytes may still be taken."""

    def __init__(self, limit: int) -> None:
        self.left = limit

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise ValueTooLarge


def _value(cell: pa.Scalar, left: _Left) -> object:
    if not cell.is_valid:
        return None
    kind = cell.type
    if is_bytes(kind) or is_text(kind):
        left.take(size_of(cell))
    elif pa.types.is_nested(kind):
        return _nested(cell, left)
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return decode_text(bytes(cell.as_buffer()))
    except Exception as error:
        log.info("a value of type %s left out: %s", kind, error)
        return None


def _nested(cell: pa.Scalar, left: _Left) -> object:
    if pa.types.is_struct(cell.type):
        left.take(_ITEM * cell.type.num_fields)
        names = (cell.type.field(n).name for n in range(cell.type.num_fields))
        return {name: _value(cell[n], left) for n, name in enumerate(names)}
    left.take(_ITEM * len(cell.values))  # a list, or a map: a list of structs
    return [_value(item, left) for item in cell.values]


def is_bytes(kind: pa.DataType) -> bool:
    """Say whether a type is bytes, of whatever length."""
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in (*tests, pa.types.is_binary_view))


def is_text(kind: pa.DataType) -> bool:
    """Say whether a type is text."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def is_list(kind: pa.DataType) -> bool:
    """Say whether a type is a list."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)
