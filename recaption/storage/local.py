"""Local disk, and network file systems mounted like one.

Plain strings and `os` throughout: a folder of 100,000 parts is listed on every start.
"""

# ruff: noqa: PTH102, PTH105, PTH108, PTH112, PTH114, PTH116, PTH118, PTH120, PTH123

from __future__ import annotations

import errno
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import RawIOBase
from typing import BinaryIO

from recaption.storage.errors import too_long
from recaption.storage.paths import (
    TEMPORARY_SUFFIX,
    FileInfo,
    join,
    local_path,
    matches,
    split_pattern,
)

_READ_BUFFER = 1 << 20  # bytes

# What link(2) says where the file system has no hard links (FAT, some FUSE and SMB mounts).
_NO_HARD_LINKS = frozenset((errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS))
# What fsync(2) says of a folder on file systems that do not know it.
_NO_FOLDER_SYNC = frozenset((errno.EINVAL, errno.ENOTSUP, errno.EBADF))

FolderId = tuple[int, int]
"""Device and inode."""


class LocalStore:
    """Files reached through the operating system."""

    def list_tree(self, url: str) -> Iterator[FileInfo]:
        """Yield all files below a folder; links to folders are followed, cycles are not."""
        root = local_path(url)
        for name in _walk(root):
            with suppress(FileNotFoundError):  # deleted since the folder was read
                file = _found(join(url, name), os.path.join(root, name))
                if file.size is not None:
                    yield file

    def list_names(self, url: str, follow: bool = True) -> Iterator[str]:
        """Yield the relative names of all files below a folder, without a stat for each."""
        yield from _walk(local_path(url)) if follow else _walk_own(local_path(url))

    def glob(self, pattern: str) -> list[FileInfo]:
        """Return the files that match, sorted; a folder that cannot be read is an error."""
        root, rest = split_pattern(pattern)
        if not rest:
            return [self.info(pattern)] if self.exists(pattern) else []
        top = local_path(root) or "."
        if "**" in rest:
            names: Iterator[str] = (name for name in _walk(top) if matches(name, rest))
        else:
            names = _match_levels(top, "", rest.split("/"))
        return [_found(root + name, os.path.join(top, name)) for name in names]

    def info(self, url: str) -> FileInfo:
        """Return size and time of change."""
        path = local_path(url)
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return _file_info(url, os.stat(path))

    def age_s(self, url: str) -> float | None:
        """Return the age of a file by the clock of its file system, which may be a server's."""
        path = local_path(url)
        written = os.stat(path).st_mtime
        try:
            with _temporary_beside(path, b"") as temporary:
                return os.stat(temporary).st_mtime - written
        except OSError:  # it cannot be written: then by our clock
            return time.time() - written

    def exists(self, url: str) -> bool:
        """Say whether there is such a file or folder."""
        try:
            os.stat(local_path(url))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def open_read(self, url: str) -> BinaryIO:
        """Open a file; the kernel reads ahead."""
        return open(local_path(url), "rb", buffering=_READ_BUFFER)

    def read_bytes(self, url: str, most: int = 0, stays: bool = False) -> bytes:
        """Return the content of a file."""
        with open(local_path(url), "rb", buffering=0) as file:
            if not most:
                return file.readall()
            data = b"".join(_pieces(file, most + 1))
        if len(data) > most:
            raise too_long(url, most)
        return data

    def write_bytes(self, url: str, data: bytes) -> None:
        """Write beside the target, flush to the disk, rename over it; never over a device."""
        path = local_path(url)
        _check_replaceable(path)
        with _temporary_beside(path, data) as temporary:
            os.replace(temporary, path)
        _sync_folder(os.path.dirname(path))

    def put_if_absent(self, url: str, data: bytes) -> bool:
        """Write beside the target, flush to the disk, link to the target's name if it is free."""
        path = local_path(url)
        if os.path.lexists(path):
            return False
        with _temporary_beside(path, data) as temporary:
            created = _link_if_absent(temporary, path)
            if created is None:
                created = _write_exclusively(path, data)
        if created:
            _sync_folder(os.path.dirname(path))
        return created

    def delete(self, urls: Sequence[str]) -> None:
        """Delete files."""
        for url in urls:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(local_path(url))


def _check_replaceable(path: str) -> None:
    """Raise OSError where a device, pipe or socket is in a file's place: a rename would end it."""
    with suppress(FileNotFoundError, NotADirectoryError):
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, "It is a device, pipe or socket, not a file", path)


def _found(url: str, path: str) -> FileInfo:
    """Describe a file that a folder lists; of a link into nothing only its name is known."""
    try:
        return _file_info(url, os.stat(path))
    except OSError:
        if not os.path.islink(path):
            raise
        return FileInfo(url, None, "")


def _pieces(file: RawIOBase, size: int) -> Iterator[bytes]:
    """Yield what there is of `size` bytes; one read of a pipe or a device gives less."""
    while size and (piece := file.read(min(size, _READ_BUFFER))):
        yield piece
        size -= len(piece)


def _file_info(url: str, stat: os.stat_result) -> FileInfo:
    return FileInfo(url, stat.st_size, str(stat.st_mtime_ns))


def _walk(folder: str) -> Iterator[str]:
    yield from walk(folder, lambda _: True)


def walk(folder: str, may_follow: Callable[[str], bool]) -> Iterator[str]:
    """Yield the names of all files below a folder, in the order of full names.

    Of links to folders those are followed for whose path `may_follow` is true: not into a folder
    on the way there, which would be a cycle, and into each folder once, since links to links to
    links make more paths than can be walked.
    """
    yield from _walk_below(folder, "", frozenset(), set(), may_follow)


def _walk_below(
    folder: str,
    prefix: str,
    above: frozenset[FolderId],
    linked: set[FolderId],
    may_follow: Callable[[str], bool],
) -> Iterator[str]:
    """Walk a folder: `above` are those on the way here, `linked` those that links led into."""
    try:
        here = _folder_id(folder)
        names = [] if here in above else _names_in(folder)
    except FileNotFoundError:
        return
    for name in names:
        if not name.endswith("/"):
            yield prefix + name
            continue
        path = os.path.join(folder, name[:-1])
        if os.path.islink(path) and not (may_follow(path) and _is_first(path, linked)):
            continue
        yield from _walk_below(path, prefix + name, above | {here}, linked, may_follow)


def _is_first(link: str, linked: set[FolderId]) -> bool:
    """Say whether no link led into a link's folder before, and remember it."""
    try:
        target = _folder_id(link)
    except FileNotFoundError:
        return False
    if target in linked:
        return False
    linked.add(target)
    return True


def _walk_own(folder: str, prefix: str = "") -> Iterator[str]:
    """Yield the names of the regular files below, in the same order; follow no link."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name
                for e in entries
                if e.is_dir(follow_symlinks=False) or e.is_file(follow_symlinks=False)
            )
    except FileNotFoundError:
        return
    for name in found:
        if name.endswith("/"):
            yield from _walk_own(os.path.join(folder, name[:-1]), prefix + name)
        else:
            yield prefix + name


def find_link(root: str, url: str) -> str:
    """Return the first link on the way from a local root to what is below it, "" for none."""
    top = local_path(root).rstrip("/")
    path = top or ("/" if local_path(root) else "")
    for name in local_path(url)[len(top) :].split("/"):
        path = os.path.join(path, name)
        if name and os.path.islink(path):
            return path
    return ""


def _match_levels(folder: str, prefix: str, patterns: list[str]) -> Iterator[str]:
    """Yield the names of files that match one pattern per level, each behind `prefix`."""
    pattern, *rest = patterns
    for name in _names_in(folder):
        is_folder = name.endswith("/")
        if is_folder != bool(rest) or not matches(name.rstrip("/"), pattern):
            continue
        if is_folder:
            yield from _match_levels(os.path.join(folder, name[:-1]), prefix + name, rest)
        else:
            yield prefix + name


def _names_in(folder: str) -> list[str]:
    """Return what is in a folder, sorted, with / behind folders, so that whole paths are sorted.

    Nothing is in a folder that is not there: it may have been deleted since its parent was read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted([f"{e.name}/" if _is_folder(e) else e.name for e in entries])
    except FileNotFoundError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: opening it will say so
        return False


def _folder_id(folder: str) -> FolderId:
    stat = os.stat(folder)
    return stat.st_dev, stat.st_ino


@contextmanager
def _temporary_beside(path: str, data: bytes) -> Iterator[str]:
    """Write and flush a file in the target's folder; remove it again if it is still there."""
    folder = os.path.dirname(path)
    _make_folders(folder)
    temporary = os.path.join(folder, f".{uuid.uuid4().hex}{TEMPORARY_SUFFIX}")
    try:
        _write_new(temporary, data)
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _write_new(path: str, data: bytes) -> None:
    """Create a file and flush it to the disk. Raises FileExistsError if there is one."""
    with open(path, "xb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


def _link_if_absent(temporary: str, path: str) -> bool | None:
    """Give the file the target's name too, unless it is taken; None: no hard links here."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        # On NFS a reply can be lost and the request sent again: see whether the link is ours.
        return os.path.samestat(os.stat(temporary), os.lstat(path))
    except OSError as error:
        if error.errno in _NO_HARD_LINKS:
            return None
        raise
    return True


def _write_exclusively(path: str, data: bytes) -> bool:
    """Create the target by name, then fill it: atomic in who wins, not in what a reader sees."""
    try:
        _write_new(path, data)
    except FileExistsError:
        return False
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(path)
        raise
    return True


def _make_folders(folder: str) -> None:
    """Create a folder and those above it, each flushed to the disk."""
    if not folder or os.path.isdir(folder):
        return
    _make_folders(os.path.dirname(folder))
    with suppress(FileExistsError):
        os.mkdir(folder)
        _sync_folder(os.path.dirname(folder))


def _sync_folder(folder: str) -> None:
    """Flush a folder's list of names to the disk."""
    handle = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)
