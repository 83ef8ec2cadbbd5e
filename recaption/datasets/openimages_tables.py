"""The tables of Open Images: the small one of the classes, and the CSVs that have gigabytes.

A large one is read in blocks of a MiB. What is told of one image in rows that follow each other
becomes one text within Arrow, so that Python handles images, not rows.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from recaption.datasets import ODD_ROWS, Tables
from recaption.datasets.index import Index, Rows, open_index
from recaption.datasets.table_files import find_files, open_bytes
from recaption.notices import note
from recaption.text import decode_text, printable

COLUMNS = {
    "human_labels": ("ImageID", "LabelName", "Confidence"),
    "machine_labels": ("ImageID", "LabelName", "Confidence"),
    "boxes": (
        *("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"),
        *("IsGroupOf", "IsDepiction"),
    ),
    "images": ("ImageID", "Title", "License", "Author", "OriginalLandingURL"),
}
"""The columns of the large tables that count; the first is the key."""

_VERSION = 2  # of the index
_BLOCK = 1 << 20  # bytes read at once
_CELL, _ROW = "\x1f", "\x1e"  # between cells and rows; where a cell holds one its row is left out
_LABEL = re.compile(r"/[a-z]+/\S+")  # /m/01yrx, /g/11b7
_HEADER = ["LabelName", "DisplayName"]


def load_classes(tables: Tables) -> dict[str, str]:
    """Return display names by label; older tables have no header. Raises RecipeError."""
    text = io.StringIO(decode_text(tables.bytes_of("classes")), newline="")
    names: dict[str, str] = {}
    for row in _csv_rows(tables, text):
        if row and row != _HEADER:
            if len(row) != 2 or not _LABEL.fullmatch(row[0]):
                got = f"the row {printable(','.join(row))[:80]!r}"
                raise tables.fail("classes", got, "/m/CODE,NAME, or the header LabelName,...")
            names[row[0]] = printable(row[1])
    return names


def _csv_rows(tables: Tables, text: io.StringIO) -> Iterator[list[str]]:
    try:
        yield from csv.reader(text)
    except csv.Error as error:
        raise tables.fail("classes", f"no CSV ({error})", "rows /m/CODE,NAME") from error


def index_table(tables: Tables, name: str) -> Index | None:
    """Return the index of a large table, None where the recipe names none. Raises RecipeError."""
    if name not in tables:
        return None
    urls = find_files(tables.path(name))
    return open_index(f"openimages-{name}", _VERSION, urls, lambda: _rows(tables, name, urls))


def rows_of(index: Index | None, name: str, image_id: str) -> list[list[str]]:
    """Return the rows of an image, of each the cells behind the key."""
    found = index.get(image_id) if index else []
    rows = (row.split(_CELL) for run in found for row in run.split(_ROW))
    return [row for row in rows if len(row) == len(COLUMNS[name]) - 1]


def _rows(tables: Tables, name: str, urls: Sequence[str]) -> Rows:
    """Yield ImageIDs with their rows. Raises RecipeError where a file is laid out otherwise."""
    expected = f"CSV with the columns {', '.join(COLUMNS[name])}"
    for url in urls:
        try:
            with open_bytes(url) as stream:
                header = _header(stream)
            if missing := set(COLUMNS[name]) - set(header):
                got = f"the header {','.join(header)[:200]!r} in {url}, without {min(missing)}"
                raise tables.fail(name, got, expected)
            with open_bytes(url) as stream:
                yield from _file_rows(stream, header, COLUMNS[name], url)
        except (pa.ArrowException, OSError, EOFError, zlib.error, csv.Error) as error:
            got = f"{url}, which cannot be read ({printable(str(error))[:200]})"
            raise tables.fail(name, got, expected) from error


def _header(stream: IO[bytes]) -> list[str]:
    line = stream.readline(1 << 16).decode("utf-8-sig", "replace")
    return [cell.strip() for cell in next(csv.reader([line]), [])]


def _file_rows(stream: IO[bytes], header: list[str], columns: Sequence[str], url: str) -> Rows:
    odd = 0

    def skip(row: pa_csv.InvalidRow) -> str:
        nonlocal odd
        odd += 1
        return "skip"

    reader = pa_csv.open_csv(
        stream,
        pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK, skip_rows=1, column_names=header),
        pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        # As bytes, and not checked: one odd letter in a title must not stop the rest.
        pa_csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.binary())
        ),
    )
    for batch in reader:
        yield from _runs(batch)
    if odd:
        note(ODD_ROWS, f"{url}: more or fewer cells than the header", odd)


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    """Yield each key that rows in a row share, with those rows."""
    if not batch.num_rows:
        return
    keys, *cells = batch.columns
    rows = pc.binary_join_element_wise(*cells, _CELL.encode())
    runs = pc.run_end_encode(keys)
    ends = pa.concat_arrays([pa.array([0], pa.int32()), runs.run_ends])
    joined = pc.binary_join(pa.ListArray.from_arrays(ends, rows), _ROW.encode())
    for key, run in zip(runs.values.to_pylist(), joined.to_pylist(), strict=True):
        yield key.decode("ascii", "replace").lower(), run.decode("utf-8", "replace")
