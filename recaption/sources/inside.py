"""What lies inside a source: links, pipes and devices of a stranger's lead nowhere else.

A symbolic link counts where its target lies below the source's root (or below a folder that
`source.path` names, or among the blobs of a snapshot in Hugging Face's cache); `follow_links` lets
all of them count, but for those into /proc, /sys and /dev. Links from archives to archives count,
too: shards are often spread over disks so. What is no regular file is not opened.
"""

# ruff: noqa: PTH100, PTH116, PTH120, PTH123

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from recaption import storage
from recaption.config import STORED, SourceConfig
from recaption.notices import note
from recaption.sample import Shard
from recaption.sources.base import BrokenShard
from recaption.sources.ids import shard_suffix
from recaption.sources.nested import split_inner
from recaption.sources.places import find_places, root_of
from recaption.storage.errors import explained
from recaption.storage.local import walk
from recaption.storage.paths import local_path
from recaption.text import printable

_NEVER = ("/proc", "/sys", "/dev")  # the kernel's view of processes and devices
_SNAPSHOT = re.compile(r"/(?:datasets|models|spaces)--[^/]++(?=/snapshots/[^/])")
_PIECE = 64 << 10
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class UnreadableFileError(ValueError):
    """A file is not read; the message names it and says why."""


class OutsideError(UnreadableFileError):
    """A link leads out of the source; the message says where to."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The folders in which a link's target may lie, as real paths."""

    folders: tuple[str, ...]
    follow_all: bool = False

    def holds(self, real: str) -> bool:
        """Say whether a real path is within bounds."""
        return not _is_below(real, _NEVER) and (self.follow_all or _is_below(real, self.folders))

    def check(self, path: str, real: str) -> None:
        """Raise OutsideError where a path leads to a real one that is out of bounds."""
        if not self.holds(real):
            raise OutsideError(
                f"{printable(path)} is or lies behind a symbolic link out of the source, to"
                f" {printable(real)}; if the data is your own, set source.follow_links=true"
            )


def bounds_of(path: str, source: SourceConfig) -> Bounds:
    """Return where links in a local folder of a source may lead."""
    paths = (source.path,) if isinstance(source.path, str) else tuple(source.path)
    root, named = _named(paths, source.root)
    folders = [root, *(folder for folder in _upwards(path) if folder in named)]
    if not _is_below(path, folders):
        folders.append(path)  # not found in the source: whoever asks for it chose it
    real = [os.path.realpath(folder) for folder in folders]
    blobs = [f"{path[: found.end()]}/blobs" for path in real for found in _SNAPSHOT.finditer(path)]
    return Bounds((*real, *blobs), source.follow_links)


def names_below(folder: str, source: SourceConfig) -> Iterator[str]:
    """Yield the names of all files below a local folder of a source, in order, with `/`.

    Links to folders are followed within bounds. Raises StorageError.
    """
    path = os.path.abspath(local_path(folder))
    bounds = bounds_of(path, source)

    def may_follow(link: str) -> bool:
        is_inside = bounds.holds(os.path.realpath(link))
        if not is_inside:
            note("links to folders out of the source, not followed", link)
        return is_inside

    with explained(folder, "list"):
        yield from walk(path, may_follow)


def check_shard(shard: Shard, source: SourceConfig) -> None:
    """Raise BrokenShard where a local shard is out of the source, or neither file nor folder."""
    if storage.is_remote(shard.url):
        return
    path = os.path.abspath(local_path(split_inner(shard.url)[0]))
    try:
        mode = os.stat(path).st_mode
    except OSError:  # whoever opens it will say so
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening it may block, or do something
        raise BrokenShard(f"{shard.name}: {printable(path)} is {_kind(mode)}, not a file")
    real = os.path.realpath(path)
    if real == path and not _is_below(real, _NEVER):
        return
    try:
        bounds_of(path, source).check(path, real)
    except OutsideError as error:
        if not shard_suffix(real) or _is_below(real, _NEVER):
            raise BrokenShard(f"{shard.name}: {error}") from error
        note("archives that are links out of the source, followed", f"{path} to {real}")


class FolderFiles:
    """Reads the files of a folder, whose links lead nowhere else."""

    def __init__(self, folder: str, source: SourceConfig) -> None:
        self._folder = folder
        self._source = source
        self._bounds: Bounds | None = None

    def read(self, url: str, limit: int) -> bytes:
        """Return a file's content; of a local one at most a byte more than `limit`.

        Raises StorageError, and UnreadableFileError for links out of the source, pipes, devices.
        """
        if storage.is_remote(url):
            return storage.read_bytes(url)
        try:
            return self._read(local_path(url), limit)
        except OSError as error:
            raise storage.explain(error, url, "read") from error

    def _read(self, path: str, limit: int) -> bytes:
        mode = os.lstat(path).st_mode
        if not stat.S_ISLNK(mode):
            return _read_regular(path, mode, limit)
        real = os.path.realpath(path)
        if self._bounds is None:
            self._bounds = bounds_of(os.path.abspath(local_path(self._folder)), self._source)
        self._bounds.check(path, real)
        return _read_regular(real, os.lstat(real).st_mode, limit, is_target=True)


def _read_regular(path: str, mode: int, limit: int, is_target: bool = False) -> bytes:
    """Read a regular file; nothing on the way to one that is a link's target may be a link."""
    if not stat.S_ISREG(mode):
        raise UnreadableFileError(f"{printable(path)} is {_kind(mode)}, not a file")
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(handle, "rb", buffering=0) as file:
        opened = os.fstat(handle)
        if not stat.S_ISREG(opened.st_mode) or (is_target and not _is_at(path, opened)):
            raise UnreadableFileError(f"{printable(path)} was replaced while it was opened")
        return b"".join(_pieces(file, opened.st_size, limit))


def _is_at(path: str, opened: os.stat_result) -> bool:
    return os.path.realpath(path) == path and os.path.samestat(opened, os.lstat(path))


def _pieces(file: io.FileIO, size: int, limit: int) -> Iterator[bytes]:
    left = limit + 1
    while left and (piece := file.read(min(left, max(size + 1, _PIECE)))):
        yield piece
        left -= len(piece)


@lru_cache(maxsize=4)
def _named(paths: tuple[str, ...], root: str) -> tuple[str, frozenset[str]]:
    """Return a source's root, and what its paths name without a pattern."""
    source = SourceConfig.model_validate({"path": list(paths), "root": root}, context=STORED)
    places = find_places(source)
    urls = frozenset(url for place in places if not place.is_glob for url in place.urls)
    return root_of(source, places), urls


def _upwards(path: str) -> Iterator[str]:
    """Yield the path and all folders above it."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _kind(mode: int) -> str:
    return next((name for is_one, name in _KINDS if is_one(mode)), "something else")
