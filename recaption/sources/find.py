"""Finds the shards of a place: lists folders and patterns, looks files up."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from recaption import storage
from recaption.config import SourceConfig
from recaption.sources.base import IMAGE_EXTENSIONS, extension_of
from recaption.sources.contents import KINDS, Contents, Found
from recaption.sources.ids import SHARD_SUFFIXES, shard_suffix
from recaption.sources.inside import names_below
from recaption.sources.places import Place, is_folder, is_web, nearest_there, path_of
from recaption.storage import FileInfo, StorageError, Trouble

# Files of a brace range that are looked up one by one; for more of them their folder is listed.
_LOOK_UP_EACH = 16
_LOOK_UP_EACH_LOCAL = 1000


def find_shards(place: Place, source: SourceConfig) -> list[Found]:
    """Return the shards of one place. Raises ValueError where there are none."""
    kind = source.kind
    if is_web(place.written):
        return [_on_web(url, kind) for url in place.urls]
    if place.is_glob:
        return [shard for pattern in place.urls for shard in _match(pattern, place.top, kind)]
    folders = {url for url in place.urls if is_folder(url)}
    shards = [shard for url in place.urls if url in folders for shard in _below(url, source)]
    files = [url for url in place.urls if url not in folders]
    return shards + _look_up(place, files, kind)


def _on_web(url: str, kind: str) -> Found:
    known = SHARD_SUFFIXES.get(shard_suffix(path_of(url)))
    if kind == "folder" or (kind == "auto" and known is None):
        raise ValueError(
            f"source.path {url}: a web server lists no folders; give the urls of files"
            f" ({KINDS.partition(', or')[0]}), or their kind: source.kind=webdataset, parquet, zip"
        )
    return Found(url, known if kind == "auto" and known else kind)


def _below(url: str, source: SourceConfig) -> list[Found]:
    """Return the shards in a folder and all folders below it."""
    contents, kind = Contents(), source.kind
    is_there = contents.add(url, _list(url, source))
    shards = contents.shards(kind)
    if shards:
        return shards
    if not is_there and storage.is_remote(url):
        return [_remote_file(url, kind)]
    raise _nothing_there(url, kind, contents)


def _list(url: str, source: SourceConfig) -> Iterable[FileInfo]:
    if storage.is_remote(url):
        return storage.list_tree(url)
    return (FileInfo(storage.join(url, name), None, "") for name in names_below(url, source))


def _remote_file(url: str, kind: str) -> Found:
    """Return the file of that name, where no folder is: its kind must be told."""
    try:
        size = storage.info(url).size
    except StorageError as error:
        if error.trouble is not Trouble.MISSING:
            raise
        raise ValueError(f"source.path {url}: there is no such file or folder") from error
    return Found(url, _kind_of(url, kind), size)


def _match(pattern: str, top: str, kind: str) -> list[Found]:
    """Return the shards that match; of folders that match, all shards below."""
    contents = Contents()
    is_there = contents.add(top, storage.glob(pattern))
    shards = contents.shards(kind)
    if shards and shards[0].kind != "folder":
        return shards
    if shards and extension_of(pattern) in IMAGE_EXTENSIONS:
        raise ValueError(
            f"source.path {pattern}: matches image files; give their folder, such as {top}"
        )
    is_there |= contents.add(top, storage.glob(f"{pattern.rstrip('/')}/**"))
    shards = contents.shards(kind)
    if shards:
        return shards
    if not is_there:
        close = "" if storage.exists(top) else nearest_there(top)
        raise ValueError(f"source.path {pattern}: nothing matches it{close}")
    raise _nothing_there(pattern, kind, contents)


def _look_up(place: Place, urls: list[str], kind: str) -> list[Found]:
    """Return the files named one by one; says how many of them are missing."""
    sizes = dict(_sizes(urls))
    missing = [url for url in urls if url not in sizes]
    if len(place.urls) == 1 and missing:
        close = nearest_there(missing[0])
        raise ValueError(f"source.path {missing[0]}: there is no such file or folder{close}")
    if missing:
        raise ValueError(
            f"source.path {place.written}: {len(missing):,} of {len(place.urls):,} files are"
            f" missing, the first is {missing[0]}; use * to take what there is"
        )
    return [Found(url, _kind_of(url, kind), sizes[url]) for url in urls]


def _sizes(urls: list[str]) -> Iterable[tuple[str, int | None]]:
    """Yield url and size of the files that exist."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    for url in urls:
        by_folder[url.rpartition("/")[0]].append(url)
    for folder, names in by_folder.items():
        if len(names) > (_LOOK_UP_EACH if storage.is_remote(folder) else _LOOK_UP_EACH_LOCAL):
            wanted = set(names)
            files = storage.glob(re.sub(r"([*?[])", r"[\1]", folder) + "/*")
            yield from ((file.url, file.size) for file in files if file.url in wanted)
        else:
            yield from ((file.url, file.size) for url in names for file in _info(url))


def _info(url: str) -> list[FileInfo]:
    try:
        return [storage.info(url)]
    except StorageError as error:
        if error.trouble in (Trouble.MISSING, Trouble.NOT_A_FILE):
            return []
        raise


def _kind_of(url: str, kind: str) -> str:
    known = SHARD_SUFFIXES.get(shard_suffix(url))
    if kind == "folder":
        raise ValueError(f"source.path {url}: source.kind=folder expects a folder, got a file")
    if kind != "auto":
        return kind
    if known:
        return known
    extension = extension_of(url)
    if extension in IMAGE_EXTENSIONS:
        raise ValueError(f"source.path {url}: got an image; give its folder")
    name = f"the unknown extension .{extension}" if extension else "no extension"
    raise ValueError(
        f"source.path {url}: got {name}, expected one of {KINDS};"
        " if it is one of them, set source.kind=webdataset, parquet or zip"
    )


def _nothing_there(url: str, kind: str, contents: Contents) -> ValueError:
    what = {
        "auto": "neither shards nor images",
        "webdataset": "no tars",
        "parquet": "no Parquet files",
        "zip": "no zips",
        "folder": "no images",
    }[kind]
    found = contents.describe()
    return ValueError(f"source.path {url}: {what} there ({found}); looked for {KINDS}")
