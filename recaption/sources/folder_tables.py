"""The tables of a folder of images: its own, and those of the folders above it, up to the root."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from recaption import storage
from recaption.config import STORED, SourceConfig
from recaption.notices import note
from recaption.sources.base import FOREIGN_IMAGES, IMAGE_EXTENSIONS, extension_of
from recaption.sources.inside import FolderFiles, UnreadableFileError, names_below
from recaption.sources.metadata import Metadata, Placed, Table, open_table
from recaption.sources.places import below, find_places, root_of
from recaption.sources.table_names import fold, name_of
from recaption.sources.table_rows import STEMS, TABLE_LIMIT, is_table
from recaption.storage import FileInfo
from recaption.storage.paths import local_path

_MOST_LISTED = 1_000_000  # images below a table's folder, to see which names come twice
_UNREAD = "tables that cannot be read"


class FolderTables:
    """Gives the images of a folder their rows."""

    def __init__(self, url: str, source: SourceConfig, files: Iterable[FileInfo]) -> None:
        self._url, self._source = url.rstrip("/"), source
        root = _root(self._url, source)
        self._path = below(self._url, root)
        self._urls: dict[int, str] = {}  # of the folders of tables, by the number of their parts
        placed = [table for level in self._levels(root) for table in self._open(*level, files)]
        self._metadata = Metadata(placed, self._is_there, self._is_only)

    def __bool__(self) -> bool:
        """Whether there is a table: then images that are not wanted are asked for, too."""
        return bool(self._metadata)

    def fields(self, file_name: str) -> dict[str, object]:
        """Return the columns of the rows of an image in the folder."""
        return self._metadata.fields(f"{self._path}/{file_name}" if self._path else file_name)

    def finish(self, images: int) -> None:
        """Note the rows that name no image of the folder, if all its images were asked for."""
        if self._metadata.asked == images:
            self._metadata.finish(self._path)

    def _levels(self, root: str) -> Iterator[tuple[str, str]]:
        """Yield the folder and those above it, each with its path below the root."""
        url, path = self._url, self._path
        while True:
            yield url, path
            if not path:
                return
            url, path = url.rpartition("/")[0] or "/", path.rpartition("/")[0]

    def _open(self, url: str, path: str, files: Iterable[FileInfo]) -> Iterator[Placed]:
        is_own = url == self._url
        found = [file for file in files if is_table(file.url)] if is_own else _tables_in(url)
        parts = name_of(path).parts
        self._urls[len(parts)] = url
        for file in found:
            table = self._read(file, url, f"{path}/" if path else "")
            if table is not None:
                yield Placed(parts, table)

    def _read(self, file: FileInfo, folder: str, path: str) -> Table | None:
        name = path + file.url.rpartition("/")[2]
        if (file.size or 0) > TABLE_LIMIT:
            note(_UNREAD, f"{name}: more than {TABLE_LIMIT:,} bytes")
            return None
        try:
            info = storage.info(file.url)
            return _read_table(file.url, info.size, info.version, name, folder, self._source)
        except UnreadableFileError as error:
            note("tables that are not read: links out of the source, pipes", str(error))
        except storage.StorageError as error:
            note(_UNREAD, f"{name}: {error}")
        return None

    def _is_there(self, placed: Placed, folder: str) -> bool:
        """Say whether the first folder of a path is there, beside the table."""
        first = folder.partition("/")[0]
        return bool(first) and first in _entries(self._urls[len(placed.folder)])

    def _is_only(self, placed: Placed, name: str) -> bool:
        twice = _names_twice(self._urls[len(placed.folder)], self._source.model_dump_json())
        return twice is not None and name not in twice


def _root(url: str, source: SourceConfig) -> str:
    """Return the source's root where the folder is below it, else the folder."""
    paths = (source.path,) if isinstance(source.path, str) else tuple(source.path)
    root = _source_root(paths, source.root)
    return root if url == root or url.startswith(f"{root}/") else url


@lru_cache(maxsize=4)
def _source_root(paths: tuple[str, ...], root: str) -> str:
    """Return a source's root; a list of paths is read once."""
    source = SourceConfig(path=list(paths), root=root)
    return root_of(source, find_places(source)).rstrip("/")


def _tables_in(url: str) -> list[FileInfo]:
    """Return the tables of a folder above the images."""
    try:
        if storage.is_remote(url):
            quoted = re.sub(r"([*?[])", r"[\1]", url)
            files = [f for stem in sorted(STEMS) for f in storage.glob(f"{quoted}/{stem}.*")]
            return [file for file in files if is_table(file.url)]
        names = sorted(name for name in os.listdir(local_path(url)) if is_table(name))  # noqa: PTH208
        return [
            FileInfo(f"{url}/{name}", Path(local_path(url), name).stat().st_size, "")
            for name in names
        ]
    except (OSError, storage.StorageError):
        return []


_HELD = 8
_tables: dict[tuple[str, int | None, str], Table] = {}  # of this process


def _read_table(
    url: str, size: int | None, version: str, name: str, folder: str, source: SourceConfig
) -> Table:
    """Return a table, read once in a process while it stays as it is."""
    key = (url, size, version)
    if key not in _tables:
        raw = FolderFiles(folder, source).read(url, TABLE_LIMIT)
        if len(_tables) >= _HELD:
            _tables.pop(next(iter(_tables)))
        _tables[key] = open_table(name, raw, [url])
    return _tables[key]


@lru_cache(maxsize=64)
def _entries(url: str) -> frozenset[str]:
    """Return the folded names of what is in a folder."""
    try:
        if storage.is_remote(url):
            names = storage.list_names(url)
            return frozenset(fold(name.partition("/")[0]) for name in islice(names, _MOST_LISTED))
        return frozenset(map(fold, os.listdir(local_path(url))))  # noqa: PTH208
    except (OSError, storage.StorageError):
        return frozenset()


@lru_cache(maxsize=4)
def _names_twice(url: str, source_json: str) -> frozenset[str] | None:
    """Return the folded names that several images below a folder have; None: too many to tell."""
    source = SourceConfig.model_validate_json(source_json, context=STORED)
    names = storage.list_names(url) if storage.is_remote(url) else names_below(url, source)
    counts = Counter[str]()
    for number, name in enumerate(names):
        if number > _MOST_LISTED:
            return None
        if extension_of(name) in IMAGE_EXTENSIONS or extension_of(name) in FOREIGN_IMAGES:
            counts[fold(name.rpartition("/")[2])] += 1
    return frozenset(name for name, count in counts.items() if count > 1)
