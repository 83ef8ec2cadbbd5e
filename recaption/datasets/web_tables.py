"""Metadata of web collections, as they publish it: Parquet, TSV, CSV or JSON, in one file or many.

| collection | columns that count |
|---|---|
| LAION, Re-LAION | `URL`, `TEXT`; `url`, `caption`; `SAMPLE_ID`, `hash`, `similarity` |
| DataComp | `uid`, `url`, `text`, `sha256`, `clip_l14_similarity_score` |
| COYO | `id`, `url`, `text`, `clip_similarity_vitl14` |
| CC3M, CC12M | two columns without names, in either order: the one that holds URLs is the url |
| SBU | one JSON object with the parallel arrays `image_urls` and `captions` |

A column's name counts in any case.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import cast

from recaption import storage
from recaption.config import RecipeError
from recaption.datasets import ODD_ROWS
from recaption.datasets.table_files import ending_of
from recaption.datasets.web_row import COLUMNS, IDS, TEXT, is_url
from recaption.notices import note
from recaption.parquet import DamagedFile, PlainFile
from recaption.parquet.values import rows_of
from recaption.text import is_hidden, printable

Row = Mapping[str, object]
Fail = Callable[[str, str], RecipeError]
"""Makes the error of (what was got, what was expected)."""

_ENDINGS = {  # by these a folder's files are chosen, the first kind that there is
    "parquet": re.compile(r"\.parquet$"),
    "tsv": re.compile(r"\.tsv\d*$"),
    "csv": re.compile(r"\.csv$"),
    "jsonl": re.compile(r"\.(jsonl|ndjson)$"),
    "json": re.compile(r"\.json$"),
}
_CHOICES = ".parquet, .tsv, .csv, .jsonl or .json"
_ROWS_AT_ONCE = 1024
_CELL_LIMIT = 1 << 20  # bytes of a cell
_LINES_LOOKED_AT = 100
_MOST_DAMAGED = 10_000  # rows of a CSV file
_NAMES = f"a text ({', '.join(TEXT)}) and what to join by ({', '.join(chain(*IDS.values()))})"


def find_tables(path: str, fail: Fail) -> list[str]:
    """Return the files of a table: one, those of a glob, or those in a folder."""
    if _is_file(path):
        urls = [path]
    elif re.search(r"[*?[]", path):
        urls = [file.url for file in storage.glob(path)]
    else:
        names = storage.list_names(path)
        urls = [storage.join(path, name) for name in names if not is_hidden(name)]
    by_kind = {kind: [url for url in urls if _kind(url) == kind] for kind in _ENDINGS}
    found = next(filter(None, by_kind.values()), [])
    if not found:
        raise fail("no file of a kind that is read", _CHOICES)
    return found


def _is_file(path: str) -> bool:
    """Say so by looking: Spark calls a folder x.parquet. What else is wrong, listing will say."""
    try:
        storage.info(path)
    except storage.StorageError:
        return False
    return True


def read_rows(url: str, fail: Fail) -> Iterator[Row]:
    """Yield the rows of a file, by column. Raises RecipeError where it lacks what is needed."""
    match _kind(url):
        case "parquet":
            return _parquet_rows(url, fail)
        case "tsv":
            return _named_rows(url, _tsv_cells(url), fail)
        case "csv":
            return _named_rows(url, _csv_cells(url, fail), fail)
        case "jsonl":
            return _json_lines(url, fail)
        case _:
            return _json_rows(url, fail)


def _kind(url: str) -> str:
    name = ending_of(url)
    return next((kind for kind, ending in _ENDINGS.items() if ending.search(name)), "")


def _check(url: str, columns: Iterable[object], fail: Fail) -> None:
    """Check that rows with these columns can be joined and say something."""
    names = [str(column) for column in columns]
    lowered = {name.lower() for name in names}
    if not lowered & set(TEXT) or not lowered & set(chain(*IDS.values())):
        got = ", ".join(names[:20]) or "none"
        raise fail(f"the columns {printable(got)[:300]} in {url}", _NAMES)


def _parquet_rows(url: str, fail: Fail) -> Iterator[Row]:
    try:
        with PlainFile.open(url) as file:
            _check(url, file.schema.names, fail)
            times = Counter(file.schema.names)
            names = [n for n, count in times.items() if n.lower() in COLUMNS and count == 1]
            for batch in file.batches(names, _ROWS_AT_ONCE):
                yield from rows_of(batch, _CELL_LIMIT)
    except DamagedFile as error:
        raise fail(f"{url}: {error}", "a Parquet file") from error


def _lines(url: str) -> Iterator[str]:
    with storage.open_read(url) as stream:
        yield from io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="\n")


def _tsv_cells(url: str) -> Iterator[list[str]]:
    """Yield the cells of each line; a quote within means nothing, as captions have stray ones."""
    for line in _lines(url):
        yield [_unquoted(cell) for cell in line.rstrip("\r\n").split("\t")]


def _unquoted(cell: str) -> str:
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if is_quoted else cell


def _csv_cells(url: str, fail: Fail) -> Iterator[list[str]]:
    reader, damaged = csv.reader(_lines(url)), 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            damaged += 1
            if reader.line_num <= 1 or damaged > _MOST_DAMAGED:
                raise fail(f"{url}, which cannot be read ({error})", "CSV") from error
            note(ODD_ROWS, f"{url}, line {reader.line_num:,}: {error}")
            continue
        if row is None:
            return
        yield row


def _named_rows(url: str, cells: Iterator[list[str]], fail: Fail) -> Iterator[Row]:
    """Yield rows of cells by column; the names come from the first row, or from what is in it."""
    head = list(islice(cells, _LINES_LOOKED_AT))
    if not head:
        return
    if any(map(is_url, head[0])):
        names = _guess_names(url, head, fail)
    else:
        names = head.pop(0)
        _check(url, names, fail)
    for row in chain(head, cells):
        if len(row) == len(names):
            yield dict(zip(names, row, strict=True))
        elif any(row):
            got = f"{len(row)} cells, not {len(names)}"
            note(ODD_ROWS, f"{url}: {got}: {' '.join(row)[:100]}")


def _guess_names(url: str, head: list[list[str]], fail: Fail) -> list[str]:
    """Return ["text", "url"] or ["url", "text"] for two columns without names."""
    pairs = [row for row in head if len(row) == 2]
    urls = [sum(is_url(row[column]) for row in pairs) for column in (0, 1)]
    if len(head[0]) != 2 or urls[0] == urls[1]:
        got = f"{len(head[0])} columns without names in {url}"
        raise fail(got, "a first line with names, or a caption and a URL in each line")
    return ["url", "text"] if urls[0] > urls[1] else ["text", "url"]


def _json_lines(url: str, fail: Fail) -> Iterator[Row]:
    is_checked = False
    for number, line in enumerate(_lines(url), 1):
        if line.strip():
            row = _parse_line(url, line, number, fail if not is_checked else None)
            if isinstance(row, dict):
                if not is_checked:
                    _check(url, row, fail)
                is_checked = True
                yield row


def _parse_line(url: str, line: str, number: int, fail: Fail | None) -> object:
    """Return a line's value; behind the first row, what is damaged is left out and noted."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        if fail:
            raise fail(f"{url}, line {number}: {printable(str(error))}", "JSON") from error
        note(ODD_ROWS, f"{url}, line {number:,}: {printable(str(error))}")
        return None


def _json_rows(url: str, fail: Fail) -> Iterator[Row]:
    """Yield the rows of a JSON list of objects, or of an object of parallel arrays."""
    table = _parse(url, storage.read_bytes(url).decode("utf-8-sig", "replace"), "", fail)
    if isinstance(table, dict):
        yield from _parallel_rows(url, table, fail)
        return
    rows = [row for row in table if isinstance(row, dict)] if isinstance(table, list) else []
    if not rows:
        raise fail(f"{url} without rows", "a list of objects, or an object of arrays")
    _check(url, rows[0], fail)
    yield from rows


def _parallel_rows(url: str, table: Row, fail: Fail) -> Iterator[Row]:
    arrays = {
        name: cast(list[object], value)
        for name, value in table.items()
        if isinstance(value, list) and name.lower() in COLUMNS
    }
    _check(url, arrays, fail)
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{count:,} {name}" for name, count in lengths.items())
        raise fail(f"{got} in {url}", "as many of each")
    for values in zip(*arrays.values(), strict=True):
        yield dict(zip(arrays, values, strict=True))


def _parse(url: str, text: str, where: str, fail: Fail) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise fail(f"{url}{where}: {printable(str(error))}", "JSON") from error
