"""What is known of an image beforehand, data set by data set.

A data set is one module of the name that `source.adapter` takes. It has

- `TABLES`: the tables that it can join, as a recipe names them under `source.tables`
- `sample_id(sample)`: the data set's own id of an image, "" where it has none: then the shard's
  name and the sample's key are the id
- `open_reader(tables, source)`: returns the function from a sample to its Hints; called once in
  each process, so that what is small is loaded there. What is large is indexed once on disk, see
  `index`.

A reader is pure and never fails: what is missing or odd gives an empty hint. Everything in
`sample.fields` and in the tables was written by strangers: a hint is data for a fenced place in the
prompt, never an instruction, and is passed on as text only.

It may have `SKIPPED_FIELDS`: extensions of members beside an image that are not even read.

`generic` serves whatever has no module of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from recaption import storage
from recaption.config import STORED, RecipeError, SourceConfig, nearest
from recaption.sample import Hints, Sample
from recaption.storage.shown import without_secrets
from recaption.text import printable

_MOST_CHARS = 300  # of what a message quotes from a table

UNKNOWN = "images that the data set's tables do not have"
"""What is noted of an image that finds no partner in the tables that a recipe names."""

ODD_ROWS = "rows of the data set's tables that are damaged or odd, left out"

HintReader = Callable[[Sample], Hints]
"""Tells what is known of a sample's image."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that an adapter joins: its name in the recipe, what it is, whether it must be."""

    name: str
    what: str
    is_required: bool = False


class Tables:
    """The tables of a recipe, checked: what is asked for by name exists."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = dict(paths)

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def path(self, name: str) -> str:
        """Return the path or URL of a table that the recipe names."""
        return self._paths[name]

    def bytes_of(self, name: str) -> bytes:
        """Return the whole content of a small table."""
        return storage.read_bytes(self._paths[name])

    def fail(self, name: str, got: str, expected: str) -> RecipeError:
        """Return the error that a table is not laid out as it is published."""
        where = f"source.tables.{name}: {without_secrets(self._paths[name])}"
        return RecipeError(f"{where}: got {printable(got)[:_MOST_CHARS]}, expected {expected}")


class Adapter(Protocol):
    """What each module of this package has."""

    TABLES: tuple[Table, ...]

    def sample_id(self, sample: Sample) -> str:
        """Return the data set's own id of an image, "" for none."""
        ...

    def open_reader(self, tables: Tables, source: SourceConfig) -> HintReader:
        """Return the function from a sample to its hints. Raises RecipeError for an odd table."""
        ...


@lru_cache(maxsize=16)
def load_adapter(name: str) -> Adapter:
    """Return the module of an adapter that `SourceConfig` knows."""
    return cast(Adapter, import_module(f"{__name__}.{name}"))


def skipped_fields(source: SourceConfig) -> frozenset[str]:
    """Return the extensions of members that hold nothing for the recipe's adapter."""
    adapter = load_adapter(source.adapter)
    return cast(frozenset[str], getattr(adapter, "SKIPPED_FIELDS", frozenset()))


def check_tables(source: SourceConfig) -> None:
    """Check the names and places of a recipe's tables. Raises RecipeError."""
    known = {table.name: table for table in load_adapter(source.adapter).TABLES}
    for name in source.tables:
        if name not in known:
            choices = f"tables: {', '.join(known)}" if known else "it has none"
            raise RecipeError(
                f"source.tables.{name}: the adapter {source.adapter} has no such"
                f" table{nearest(name, known)} ({choices})"
            )
    for name, table in known.items():
        if table.is_required and name not in source.tables:
            raise RecipeError(
                f"source.tables.{name}: missing; the adapter {source.adapter} needs {table.what}"
            )
    for name, path in source.tables.items():
        if not _is_there(path):
            raise RecipeError(
                f"source.tables.{name}: looked for {path}, which is not there;"
                f" expected {known[name].what}"
            )


def _is_there(path: str) -> bool:
    """Whether a table is a file, a folder, or a pattern that something matches."""
    if storage.exists(path):
        return True
    is_folder = not storage.is_remote(path) and Path(path).expanduser().is_dir()
    return is_folder or (any(sign in path for sign in "*?[") and bool(storage.glob(path)))


def open_reader(source: SourceConfig) -> HintReader:
    """Return the reader of a recipe's hints; within a process the same one for the same recipe."""
    return _open_reader(source.model_dump_json())


@lru_cache(maxsize=4)
def _open_reader(source_json: str) -> HintReader:
    source = SourceConfig.model_validate_json(source_json, context=STORED)
    try:
        return load_adapter(source.adapter).open_reader(Tables(source.tables), source)
    except (RecipeError, storage.StorageError):
        raise
    except Exception as error:  # of a damaged table: csv's, zlib's, a number of 5,000 digits
        tables = ", ".join(map(without_secrets, source.tables.values())) or "no table"
        raise RecipeError(
            f"source.adapter={source.adapter} cannot read its tables ({tables}):"
            f" {printable(f'{type(error).__name__}: {error}')[:_MOST_CHARS]}"
        ) from error
