"""Thrift's compact protocol, as far as sizes and places in a Parquet file are told by it.

What is asked for is kept, all else passed over. Where a file is odd, what counts is what pyarrow's
own reader takes: of a field that comes twice the last, of one with another type than it should have
nothing. (apache/thrift, doc/specs/thrift-compact-protocol.md; the fields are in
apache/parquet-format, parquet.thrift.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

I32, I64 = 5, 6
_TRUE, _FALSE, _BYTE, _I16, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 4, *range(7, 13)
_DEPTH = 32  # of structs and lists in each other: a footer has some ten
_ITEMS = 1 << 20  # of a list

Wanted = Mapping[int, Any]
"""By a field's number: I32, I64, the Wanted of a struct, or in a list that of a list's structs."""


class NotThrift(ValueError):
    """Bytes that are no such struct."""


def read_struct(raw: bytes, at: int, wanted: Wanted, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Return the wanted fields of a struct, and where it ends.

    Raises IndexError where the bytes end before, NotThrift.
    """
    if depth > _DEPTH:
        raise NotThrift("structs too deep in each other")
    found: dict[int, Any] = {}
    number = 0
    while (head := raw[at]) != 0:
        kind, at = head & 15, at + 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(raw, at)
        asked = wanted.get(number)
        if asked == kind:
            found[number], at = _zigzag(raw, at)
        elif kind == _STRUCT and isinstance(asked, Mapping):
            within, at = read_struct(raw, at, asked, depth + 1)
            found[number] = {**found.get(number, {}), **within}
        elif kind == _LIST and isinstance(asked, list) and raw[at] & 15 == _STRUCT:
            found[number], at = _read_list(raw, at, asked[0], depth + 1)
        elif kind not in (_TRUE, _FALSE):  # a boolean field has its value in its kind
            at = _pass(raw, at, kind, depth)
    return found, at + 1


def _read_list(raw: bytes, at: int, wanted: Wanted, depth: int) -> tuple[list[dict[int, Any]], int]:
    size, at = _size(raw, at)
    items = []
    for _ in range(size):
        item, at = read_struct(raw, at, wanted, depth)
        items.append(item)
    return items, at


def _pass(raw: bytes, at: int, kind: int, depth: int) -> int:
    """Return where a value ends."""
    if kind in (_I16, I32, I64):
        while raw[at] > 127:
            at += 1
        return at + 1
    if kind == _BINARY:
        size, at = _varint(raw, at)
        at += size
    elif kind in (_TRUE, _FALSE, _BYTE):
        at += 1
    elif kind == _DOUBLE:
        at += 8
    elif kind == _STRUCT:
        return read_struct(raw, at, {}, depth + 1)[1]
    elif kind in (_LIST, _SET):
        return _pass_list(raw, at, depth + 1)
    else:  # a map: no struct of Parquet's has one
        raise NotThrift(f"a value of the unknown kind {kind}")
    if at > len(raw):
        raise IndexError
    return at


def _pass_list(raw: bytes, at: int, depth: int) -> int:
    if depth > _DEPTH:
        raise NotThrift("lists too deep in each other")
    kind = raw[at] & 15
    size, at = _size(raw, at)
    for _ in range(size):
        at = _pass(raw, at, kind, depth)
    return at


def _size(raw: bytes, at: int) -> tuple[int, int]:
    """Return how many items a list has, and where they begin."""
    size, at = raw[at] >> 4, at + 1
    if size == 15:
        size, at = _varint(raw, at)
    if size > _ITEMS:
        raise NotThrift(f"a list of {size:,} items")
    return size, at


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value, shift = raw[at] & 127, 7
    while raw[at] > 127:
        at += 1
        value |= (raw[at] & 127) << shift
        shift += 7
        if shift > 70:
            raise NotThrift("a number without end")
    return value, at + 1


def _zigzag(raw: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(raw, at)
    return (value >> 1) ^ -(value & 1), at


_DICTIONARY = 2  # among the types of pages
_DELTA_BYTE_ARRAY = 7  # among the encodings: a value is the start of the last one, and more
_INNER = {0: (5, 2), _DICTIONARY: (7, 2), 3: (8, 4)}
"""By a page's type: the field of its own header, and in that the field of the encoding."""

_HEADER: Wanted = {
    **dict.fromkeys((1, 2, 3), I32),  # type, sizes unpacked and packed
    **{field: {1: I32, encoding: I32} for field, encoding in _INNER.values()},  # 1: values
}


@dataclass(frozen=True, slots=True)
class PageHeader:
    """Sizes of a page in bytes; `length` is the header's own.

    `repeats` is true where a value of the page may stand for many rows at its full size.
    """

    length: int
    packed: int
    unpacked: int
    values: int
    repeats: bool
    is_dictionary: bool


def read_page_header(raw: bytes) -> PageHeader | None:
    """Return the header that begins `raw`, None where it goes on behind. Raises NotThrift."""
    try:
        fields, length = read_struct(raw, 0, _HEADER)
    except IndexError:
        return None
    unpacked, packed = fields.get(2, -1), fields.get(3, -1)
    if min(unpacked, packed) < 0:
        raise NotThrift("a page without a size")
    number, encoding = _INNER.get(fields.get(1, -1), (0, 0))
    inner = fields.get(number, {})
    is_dictionary = fields.get(1) == _DICTIONARY
    repeats = is_dictionary or inner.get(encoding) == _DELTA_BYTE_ARRAY
    return PageHeader(length, packed, unpacked, max(0, inner.get(1, 0)), repeats, is_dictionary)


_FOOTER: Wanted = {4: [{1: [{3: dict.fromkeys((6, 7, 9, 11), I64)}]}]}
"""row_groups, their columns, of those the meta_data: sizes and offsets as in `Chunk`."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where a column of a row group lies in the file, in bytes, as the footer says."""

    start: int
    packed: int
    unpacked: int
    has_dictionary: bool


def read_chunks(footer: bytes) -> list[list[Chunk]]:
    """Return the columns of each row group. Raises NotThrift."""
    try:
        fields, _ = read_struct(footer, 0, _FOOTER)
    except IndexError as error:
        raise NotThrift("a footer that ends too soon") from error
    return [
        [_chunk(column.get(3, {})) for column in group.get(1, [])] for group in fields.get(4, [])
    ]


def _chunk(meta: Mapping[int, int]) -> Chunk:
    first, dictionary = meta.get(9, 0), meta.get(11, 0)
    start = min(first, dictionary) if dictionary > 0 else first  # as pyarrow finds it
    return Chunk(start, max(0, meta.get(7, 0)), max(0, meta.get(6, 0)), dictionary > 0)
