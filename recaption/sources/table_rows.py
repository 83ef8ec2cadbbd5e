"""Rows of a table that lies beside images: CSV with whatever separator, JSON, Parquet.

What cannot be read of a table is noted and left out, the rest counts.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from recaption.notices import note
from recaption.parquet import DamagedFile, PlainFile
from recaption.parquet.values import rows_of
from recaption.sources.base import FIELD_LIMIT, extension_of
from recaption.text import decode_text, lines_of, printable

Row = Mapping[str, object]

STEMS = frozenset(("metadata", "captions", "labels"))
"""Names without extension of the files that are taken for tables, in lower case."""

TABLE_LIMIT = 256 << 20
"""Bytes above which a table is left out."""

_SEPARATORS = ",;\t|"
_JSON_LIMIT = 32 << 20  # bytes of one that is parsed as a whole
_ROWS_AT_ONCE = 256
_MOST_DAMAGED = 1000  # rows of a CSV table: each may cost another look at what follows
_NAME = "file_name"
_DAMAGED = "rows of tables that are damaged or cut short, left out"
_TOO_MANY = "rows of CSV tables with more cells than names: the rest went into the last"


def is_table(name: str) -> bool:
    """Say whether a file's name is that of a table beside images."""
    file = name.rpartition("/")[2].lower()
    stem, _, extension = file.rpartition(".")
    return stem in STEMS and extension in _READERS


def read_rows(name: str, raw: bytes) -> Iterator[Row]:
    """Yield the rows of a table, by column."""
    try:
        for row in _READERS[extension_of(name)](name, raw):
            yield {str(column): value for column, value in row.items() if value is not None}
    except DamagedFile as error:
        note("tables that cannot be read", f"{name}: {error}")


def _csv_rows(name: str, raw: bytes) -> Iterator[Row]:
    lines = lines_of(decode_text(raw))
    head = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=head.count)
    if separator == "\t":
        cells = (_split_plainly(line) for line in lines)
        return _named(name, _split_plainly(head), separator, cells)
    quote = "'" if head.lstrip().startswith("'") else '"'
    form = _Form(separator, quote, f"{separator} " in head)
    return _named(name, next(form.read([head]), []), separator, _cells(name, lines, form))


def _split_plainly(line: str) -> list[str]:
    """Split at tabs; a quote within a cell means nothing, as captions have stray ones."""
    cells = line.split("\t")
    return [_unquoted(cell) for cell in cells]


def _unquoted(cell: str) -> str:
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if is_quoted else cell


@dataclass(frozen=True, slots=True)
class _Form:
    """How a CSV table separates and quotes cells; some put a space behind the separator."""

    separator: str
    quote: str
    has_spaces: bool

    def read(self, lines: Iterable[str], strict: bool = False) -> Iterator[list[str]]:
        """Yield the cells of rows. Raises csv.Error."""
        return csv.reader(
            (f"{line}\n" for line in lines),
            delimiter=self.separator,
            quotechar=self.quote,
            skipinitialspace=self.has_spaces,
            strict=strict,
        )


def _cells(name: str, lines: Iterator[str], form: _Form) -> Iterator[list[str]]:
    """Yield the cells of each row; one whose quote nothing closes is left out, its line alone."""
    number, damaged = 1, 0
    while damaged < _MOST_DAMAGED:
        taken: list[str] = []
        error = ""
        try:
            for row in form.read(_remembered(lines, taken)):
                if error := _say_open(taken, form):
                    break
                number += len(taken)
                taken.clear()
                yield row
        except csv.Error as odd:
            error = str(odd)
        if not error:
            return
        number, damaged = number + 1, damaged + 1
        note(_DAMAGED, f"{name}, line {number:,}: {error}")
        lines = chain(taken[1:], lines)
    note("tables that cannot be read", f"{name}: {damaged:,} damaged rows to line {number:,}")


def _remembered(lines: Iterator[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _say_open(taken: list[str], form: _Form) -> str:
    """Say that a row's quotes do not close where they should: at its end, or in a later line."""
    if len(taken) == 1 and taken[0].count(form.quote) % 2 == 0:
        return ""
    try:
        list(form.read(taken, strict=True))
    except csv.Error as error:
        is_open = len(taken) > 1 or "unexpected end" in str(error)
        return f"a quote is never closed ({error})" if is_open else ""
    return ""


def _named(
    name: str, header: list[str], separator: str, rows: Iterable[list[str]]
) -> Iterator[Row]:
    """Yield the rows by column: what a sentence's commas parted too far is put together again."""
    names = [column.strip() for column in header]
    for number, row in enumerate(rows, 2):
        if len(row) > len(names) and any(cell.strip() for cell in row[len(names) :]):
            note(_TOO_MANY, f"{name}, row {number}: {separator.join(row)[:100]}")
            row[len(names) - 1 :] = [separator.join(row[len(names) - 1 :])]
        if any(row):
            yield {column: cell for column, cell in zip(names, row, strict=False) if column}


def _json_line_rows(name: str, raw: bytes) -> Iterator[Row]:
    for number, line in enumerate(lines_of(decode_text(raw)), 1):
        if not line.strip():
            continue
        row = _parse(line) if len(line) <= 4 * FIELD_LIMIT else None
        if isinstance(row, dict):
            yield row
        else:
            note(_DAMAGED, f"{name}, line {number}: {line[:100]}")


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_rows(name: str, raw: bytes) -> Iterator[Row]:
    """Yield rows of a list of objects, of an object by file name, of parallel lists, of COCO."""
    if len(raw) > _JSON_LIMIT:
        note("tables that cannot be read", f"{name}: {len(raw):,} bytes, write it as .jsonl")
        return
    table = _parse(decode_text(raw))
    if table is None:
        note("tables that cannot be read", f"{name}: not JSON, or cut short")
    if isinstance(table, list):
        yield from (row for row in table if isinstance(row, dict))
    elif isinstance(table, dict) and isinstance(table.get("annotations"), list):
        yield from _coco_rows(table)
    elif isinstance(table, dict) and table and all(isinstance(v, list) for v in table.values()):
        yield from _parallel_or_lists(table)
    elif isinstance(table, dict):
        for file, value in table.items():
            yield (
                {_NAME: file, **value} if isinstance(value, dict) else {_NAME: file, "text": value}
            )


def _parallel_or_lists(table: Mapping[str, list[object]]) -> Iterator[Row]:
    """Yield rows of columns as lists, or of files that have a list of captions each."""
    if any(name.lower() in FILE_COLUMNS for name in table):
        for values in zip(*table.values(), strict=False):
            yield dict(zip(table, values, strict=False))
        return
    yield from ({_NAME: file, "captions": captions} for file, captions in table.items())


def _coco_rows(table: Mapping[str, object]) -> Iterator[Row]:
    """Yield the captions of each image of COCO's layout: `images`, and `annotations` by id."""
    captions: dict[object, list[object]] = {}
    for one in _dicts(table.get("annotations")):
        if isinstance(one.get("caption"), str) and isinstance(one.get("image_id"), (int, str)):
            captions.setdefault(one["image_id"], []).append(one["caption"])
    for image in _dicts(table.get("images")):
        if isinstance(image.get("id"), (int, str)) and isinstance(image.get(_NAME), str):
            yield {_NAME: image[_NAME], "captions": captions.get(image["id"], [])}


def _dicts(value: object) -> Iterator[dict[str, object]]:
    yield from (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _parquet_rows(name: str, raw: bytes) -> Iterator[Row]:
    file = PlainFile(io.BytesIO(raw))
    names = [n for n in file.schema.names if file.schema.names.count(n) == 1]
    for batch in file.batches(names, _ROWS_AT_ONCE):
        yield from rows_of(batch, FIELD_LIMIT)


_READERS: dict[str, Callable[[str, bytes], Iterator[Row]]] = {
    **dict.fromkeys(("csv", "tsv"), _csv_rows),
    **dict.fromkeys(("jsonl", "ndjson"), _json_line_rows),
    "json": _json_rows,
    "parquet": _parquet_rows,
}

FILE_COLUMNS = (
    *("file_name", "filename", "file", "image", "image_path", "path", "filepath", "file_path"),
    *("img", "img_path", "image_name", "image_file", "image_filename", "image_file_name"),
    *("name", "key", "image_id", "id", "url", "image_url"),
)
"""Columns that may name a row's image, in the order of trust, in lower case."""


def file_of(row: Row) -> str:
    """Return the file name that a row is about, "" if it names none."""
    by_name = {column.strip().lower(): value for column, value in row.items()}
    for column in FILE_COLUMNS:
        value = by_name.get(column)
        if isinstance(value, Mapping):
            value = value.get("path")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return printable(value)
    return ""
