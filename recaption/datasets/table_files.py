"""Large text tables, line by line: plain, gzip or bzip2, local or remote."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, cast

from recaption import storage

SEPARATOR = "\x1f"
"""Between the values of a row in an index; a table's text that holds one loses it."""


@contextmanager
def open_text(url: str) -> Iterator[io.TextIOBase]:
    """Open a text file, unpacked where its name ends in .gz or .bz2."""
    with storage.open_read(url) as raw:
        stream: IO[bytes] = raw
        if url.endswith(".gz"):
            stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw))
        elif url.endswith(".bz2"):
            stream = bz2.BZ2File(raw)
        yield io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")


def read_columns(url: str, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the first of `columns` and the others, joined, of each row of a CSV with a header.

    Raises ValueError where the header lacks one of them.
    """
    with open_text(url) as file:
        rows = csv.reader(file)
        header = [name.strip().lstrip("\ufeff") for name in next(rows, [])]
        missing = [name for name in columns if name not in header]
        if missing:
            raise ValueError(
                f"{url}: got the header {','.join(header)[:120]!r},"
                f" expected the columns {', '.join(columns)}"
            )
        key, *rest = (header.index(name) for name in columns)
        longest = max(key, *rest)
        for row in rows:
            if len(row) > longest:
                yield row[key], SEPARATOR.join([row[k].replace(SEPARATOR, " ") for k in rest])


def values_of(row: str) -> list[str]:
    """Return the values that `read_columns` joined."""
    return row.split(SEPARATOR)
