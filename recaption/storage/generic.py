"""Any other store that fsspec has a driver for: gs://, hf://, memory://, ..."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO, cast

from fsspec.core import url_to_fs

from recaption.storage.errors import too_long
from recaption.storage.paths import FileInfo, is_chained, matches, split_pattern
from recaption.storage.ranges import Answer, RangedFile, RangeReader
from recaption.storage.retry import RetryPolicy, retried_here
from recaption.storage.shown import without_secrets

_PUT_LOCK = threading.Lock()  # makes put_if_absent exact within one process


class GenericStore:
    """Files behind an fsspec driver, which has retries of its own below ours."""

    def __init__(self, retry: RetryPolicy) -> None:
        self.retry = retry

    def _driver(self, url: str) -> tuple[Any, str]:
        """Return fsspec's driver for a url, and what the url is called there."""
        return cast(tuple[Any, str], url_to_fs(url))

    def list_tree(self, url: str) -> Iterator[FileInfo]:
        """Yield all files below a folder, in the order of their names."""
        fs, path = self._driver(url)
        fs.invalidate_cache()
        doing = f"list {without_secrets(url)}"
        found = retried_here(lambda: _find(fs, path), self.retry, doing)
        below = path.rstrip("/") + "/"
        for name, entry in sorted((item[len(below) :], found[item]) for item in found):
            yield _file_info(f"{url.rstrip('/')}/{name}", entry)

    def list_names(self, url: str, follow: bool = True) -> Iterator[str]:
        """Yield the relative names of all files below a folder; drivers follow no links."""
        root = url.rstrip("/")
        for file in self.list_tree(url):
            yield file.url[len(root) + 1 :]

    def glob(self, pattern: str) -> list[FileInfo]:
        """Return the files that match, sorted."""
        root, rest = split_pattern(pattern)
        if not rest:
            return [self.info(pattern)] if self.exists(pattern) else []
        found = self.list_tree(root)
        return [file for file in found if matches(file.url[len(root) :], rest)]

    def info(self, url: str) -> FileInfo:
        """Return what the driver knows of a file."""
        fs, path = self._driver(url)
        fs.invalidate_cache()
        entry = retried_here(lambda: fs.info(path), self.retry, f"look at {without_secrets(url)}")
        if entry.get("type") == "directory":
            raise IsADirectoryError(f"{url} is a folder")
        return _file_info(url, entry)

    def age_s(self, url: str) -> float | None:
        """Return None: drivers do not tell their store's time."""
        return None

    def exists(self, url: str) -> bool:
        """Say whether there is such a file or folder."""
        fs, path = self._driver(url)
        fs.invalidate_cache()
        return bool(
            retried_here(lambda: fs.exists(path), self.retry, f"look for {without_secrets(url)}")
        )

    def open_read(self, url: str) -> BinaryIO:
        """Open a file: by ranges, or the driver's way where one url is inside another."""
        if not is_chained(url):
            return RangeReader.open(self._ranged_by_driver(url))
        fs, path = self._driver(url)
        opened = retried_here(
            lambda: fs.open(path, "rb"), self.retry, f"open {without_secrets(url)}"
        )
        opened.file_system = fs  # an archive is closed when nobody holds its file system any more
        return cast(BinaryIO, opened)

    def read_bytes(self, url: str, most: int = 0, stays: bool = False) -> bytes:
        """Return the content of a file."""
        fs, path = self._driver(url)
        window = {"start": 0, "end": most + 1} if most else {}
        doing = f"read {without_secrets(url)}"
        data = bytes(retried_here(lambda: fs.cat_file(path, **window), self.retry, doing))
        if most and len(data) > most:
            raise too_long(url, most)
        return data

    def write_bytes(self, url: str, data: bytes) -> None:
        """Write a file in one call of the driver's."""
        fs, path = self._driver(url)
        retried_here(lambda: fs.pipe_file(path, data), self.retry, f"write {without_secrets(url)}")

    def put_if_absent(self, url: str, data: bytes) -> bool:
        """Look, write, read back: exact within a process, last writer wins between processes."""
        fs, path = self._driver(url)
        with _PUT_LOCK:
            if self.exists(url):
                return False
            with suppress(FileExistsError):
                create = {"mode": "create"}  # atomic with some drivers, ignored by others
                fs.pipe_file(path, data, **create)
            return self.read_bytes(url) == data

    def delete(self, urls: Sequence[str]) -> None:
        """Delete files one by one."""
        for url in urls:
            with suppress(FileNotFoundError):
                self._delete_one(url)

    def _delete_one(self, url: str) -> None:
        fs, path = self._driver(url)
        retried_here(lambda: fs.rm_file(path), self.retry, f"delete {without_secrets(url)}")

    def _ranged_by_driver(self, url: str) -> RangedFile:
        fs, path = self._driver(url)
        file = self.info(url)

        @asynccontextmanager
        async def open_range(offset: int, length: int | None) -> AsyncIterator[Answer]:
            size = file.size or 0
            end = size if length is None else min(size, offset + length)
            yield Answer(size, file.version, _read_by_driver(fs, path, offset, end))

        return RangedFile(url, open_range, self.retry)


async def _read_by_driver(fs: Any, path: str, start: int, end: int) -> AsyncIterator[bytes]:
    if start < end:
        yield bytes(await asyncio.to_thread(fs.cat_file, path, start, end))


def _find(fs: Any, path: str) -> dict[str, dict[str, Any]]:
    try:
        return cast(dict[str, dict[str, Any]], fs.find(path, detail=True))
    except FileNotFoundError:
        return {}


def _file_info(url: str, entry: dict[str, Any]) -> FileInfo:
    known = (entry.get(name) for name in ("etag", "ETag", "md5Hash", "sha256", "mtime", "created"))
    version = next((str(value) for value in known if value), "")
    size = entry.get("size")
    return FileInfo(url, None if size is None else int(size), version)
