"""Tables beside images, in their folder, above it or in their archive: each image gets its row.

A row belongs to the image whose path it names, seen from the table's folder. Where none is named
so, spelling counts less (see `table_names`): the path of another machine that ends as the image's
does, a name without folder, without extension. What fits several images or rows is joined to none.
Rows that find no image and images that find no row are noted: a table that matches nothing is loud.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, cast

from recaption import keyed
from recaption.datasets.index import Rows, open_index
from recaption.notices import note
from recaption.sources.base import FIELD_LIMIT
from recaption.sources.table_names import Name, fits, name_of
from recaption.sources.table_rows import file_of, read_rows

_IN_MEMORY = 4 << 20  # bytes of a table up to which its rows are held; larger ones are indexed
_VERSION = 1  # of the index
_MOST_ALIKE = 64  # rows of one file name that are compared
_MOST_FOLDERS = 10_000  # whose rows are counted
_MOST_LOOKED_AT = 100_000  # rows, for the first that names no image
_ROW_LIMIT = 4 * FIELD_LIMIT  # characters

NO_ROW = "images that no row of the tables beside them names"
NO_IMAGE = "rows of tables that name no image"
UNCLEAR = "rows of tables that may mean several images, joined to none"


class _Lookup(Protocol):
    def get(self, key: str) -> Sequence[str]:
        """Return the values of a key, in the order of the table."""
        ...


class _Held:
    """A small table's rows, in memory."""

    def __init__(self, rows: Rows) -> None:
        self._rows: dict[str, list[str]] = {}
        for key, value in rows:
            self._rows.setdefault(key, []).append(value)

    def get(self, key: str) -> Sequence[str]:
        """Return the values of a key, in the order of the table."""
        return self._rows.get(key, ())


@dataclass(frozen=True, slots=True)
class Table:
    """A table's rows by number, path and stem; how many name an image in which folder."""

    name: str
    rows: _Lookup
    count: int
    folders: dict[str, int]

    def row(self, number: int) -> tuple[str, dict[str, Any]]:
        """Return what a row calls its image, and its columns."""
        return cast(tuple[str, dict[str, Any]], tuple(json.loads(self.rows.get(f"#{number}")[0])))


def open_table(name: str, raw: bytes, urls: Sequence[str]) -> Table:
    """Return a table; `urls` are the files that it is in, for the index of a large one."""
    if len(raw) <= _IN_MEMORY:
        rows: _Lookup = _Held(_indexed(name, raw))
    else:
        own = f"metadata-{keyed.hexdigest('table', name, length=12)}"
        rows = open_index(own, _VERSION, urls, lambda: _indexed(name, raw))
    count, folders = json.loads(rows.get("*")[0])
    return Table(name, rows, count, folders)


def _indexed(name: str, raw: bytes) -> Rows:
    """Yield each row under its number, and that under the path and the stem that it names."""
    count, folders = 0, Counter[str]()
    for row in read_rows(name, raw):
        written = file_of(row)
        packed = json.dumps((written, row), default=str) if written else ""
        if not written or len(packed) > _ROW_LIMIT:
            note("rows of tables without a file name, or far too long", f"{name}: {str(row)[:200]}")
            continue
        own = name_of(written)
        yield f"#{count}", packed
        yield f"={own.path}", str(count)
        yield f"~{own.stem}", str(count)
        if not own.is_far and (own.folder in folders or len(folders) < _MOST_FOLDERS):
            folders[own.folder] += 1
        count += 1
    yield "*", json.dumps((count, folders))


@dataclass(slots=True)
class Placed:
    """A table and the folder that it lies in, and what of it was found so far."""

    folder: tuple[str, ...]
    table: Table
    found: set[int] = field(default_factory=set)
    loosely: dict[int, str] = field(default_factory=dict)  # images by row, not quite as written


class Metadata:
    """The rows of images, by path; thread-safe. `is_there` says whether a folder exists.

    `is_only` says of a file's name whether no other image below a table's folder has it.
    """

    def __init__(
        self,
        tables: Iterable[Placed],
        is_there: Callable[[Placed, str], bool] = lambda table, folder: False,
        is_only: Callable[[Placed, str], bool] = lambda table, name: True,
    ) -> None:
        self._tables = sorted(tables, key=lambda placed: len(placed.folder))  # the nearest last
        self._is_there = lru_cache(1024)(lambda at, folder: is_there(self._tables[at], folder))
        self._is_only = is_only
        self._lock = threading.Lock()
        self.asked = 0  # images

    def __bool__(self) -> bool:
        return bool(self._tables)

    def add(self, placed: Placed) -> None:
        """Take in another table."""
        self._tables = sorted((*self._tables, placed), key=lambda one: len(one.folder))

    def fields(self, path: str) -> dict[str, object]:
        """Return the columns of an image's rows; what the nearest table says goes first."""
        self.asked += 1
        if not self._tables:
            return {}
        own, fields, seen = name_of(path), dict[str, object](), list[str]()
        is_found = False
        with self._lock:
            for at, placed in enumerate(self._tables):
                depth = len(placed.folder)
                if own.parts[:depth] == placed.folder and len(own.parts) > depth:
                    seen.append(placed.table.name)
                    numbers = self._find(at, placed, Name(own.parts[depth:]))
                    is_found |= bool(numbers)
                    for number in reversed(numbers):
                        fields.update(placed.table.row(number)[1])
        if seen and not is_found:
            note(NO_ROW, f"{path} (in {', '.join(seen)})")
        return fields

    def _find(self, at: int, placed: Placed, image: Name) -> list[int]:
        """Return the numbers of an image's rows in a table, the first one first."""
        exact = [int(number) for number in placed.table.rows.get(f"={image.path}")]
        if exact:
            placed.found.update(exact)
            return exact[:_MOST_ALIKE]
        alike = placed.table.rows.get(f"~{image.stem}")[: _MOST_ALIKE + 1]
        by_path: dict[str, list[int]] = {}
        for number in map(int, alike):
            name = name_of(placed.table.row(number)[0])
            if fits(name, image) and self._may_mean(at, placed, name, image):
                by_path.setdefault(name.path, []).append(number)
        if not by_path:
            return []
        numbers = next(iter(by_path.values()))
        other = placed.loosely.setdefault(numbers[0], image.path)
        if len(by_path) > 1 or len(alike) > _MOST_ALIKE or other != image.path:
            note(UNCLEAR, f"{placed.table.name}, for {image.path}: {next(iter(by_path))}")
            return []
        placed.found.update(numbers)
        return numbers

    def _may_mean(self, at: int, placed: Placed, row: Name, image: Name) -> bool:
        """Say whether what a row names is no other file than the image."""
        if len(row.parts) > len(image.parts):  # other folders in front: not one that is there
            return row.is_far or not self._is_there(at, row.folder)
        is_shorter = len(row.parts) < len(image.parts)
        return not is_shorter or self._is_only(placed, image.parts[-1])

    def finish(self, folder: str) -> None:
        """Note the rows that name no image of a folder, once all its images were asked for."""
        own = name_of(folder).parts
        for at, placed in enumerate(self._tables):
            below = own[len(placed.folder) :]
            if own[: len(placed.folder)] == placed.folder:
                self._note_rows(at, placed, below)

    def finish_all(self) -> None:
        """Note the rows that name no image of an archive."""
        for placed in self._tables:
            missing = placed.table.count - len(placed.found)
            if missing > 0:
                note(NO_IMAGE, _first(placed, lambda name: True), missing)

    def _note_rows(self, at: int, placed: Placed, below: tuple[str, ...]) -> None:
        """Count the rows that name files of this folder, or of one that is not there."""
        folders = {"/".join(below)}
        if not below:
            folders.update(f for f in placed.table.folders if not self._is_there(at, f))
        counted = sum(placed.table.folders.get(folder, 0) for folder in folders)
        if not below:
            counted += placed.table.count - sum(placed.table.folders.values())  # far ones
        missing = counted - len(placed.found)
        if missing > 0:
            is_ours = lambda name: name.folder in folders or (name.is_far and not below)  # noqa: E731
            note(NO_IMAGE, _first(placed, is_ours), missing)


def _first(placed: Placed, is_ours: Callable[[Name], bool]) -> str:
    """Return a table's name and its first row that found no image."""
    for number in _numbers(placed):
        written, _ = placed.table.row(number)
        if is_ours(name_of(written)):
            return f"{placed.table.name}, row {number + 1:,} names {written}"
    return placed.table.name


def _numbers(placed: Placed) -> Iterator[int]:
    count = min(placed.table.count, _MOST_LOOKED_AT)
    return (number for number in range(count) if number not in placed.found)
