"""What every kind of storage can do, and which kind a url belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from recaption.storage.local import LocalStore
from recaption.storage.paths import FileInfo, is_chained, is_remote, scheme_of
from recaption.storage.retry import RetryPolicy


class Store(Protocol):
    """One kind of storage. Errors are the driver's own; the package's functions explain them."""

    def list_tree(self, url: str) -> Iterator[FileInfo]:
        """Yield all files below a folder, in the order of their names."""
        ...

    def list_names(self, url: str, follow: bool = True) -> Iterator[str]:
        """Yield the relative names of all files below a folder, with or without links."""
        ...

    def glob(self, pattern: str) -> list[FileInfo]:
        """Return the files that match, sorted."""
        ...

    def info(self, url: str) -> FileInfo:
        """Return what is known of one file."""
        ...

    def age_s(self, url: str) -> float | None:
        """Return the seconds since a file was written, by the store's clock; None: not told."""
        ...

    def exists(self, url: str) -> bool:
        """Say whether there is such a file or folder."""
        ...

    def open_read(self, url: str) -> BinaryIO:
        """Open a file for reading."""
        ...

    def read_bytes(self, url: str, most: int = ..., stays: bool = False) -> bytes:
        """Return the content of a file of at most so many bytes; `stays`: of its own host."""
        ...

    def write_bytes(self, url: str, data: bytes) -> None:
        """Write a file, visible whole or not at all."""
        ...

    def put_if_absent(self, url: str, data: bytes) -> bool:
        """Write a file unless there is one; say whether this call wrote it."""
        ...

    def delete(self, urls: Sequence[str]) -> None:
        """Delete files; those that are not there are as good as deleted."""
        ...


def store_of(url: str, retry: RetryPolicy) -> Store:
    """Return the storage that a url belongs to; drivers are imported here, on first use."""
    if not is_remote(url):
        return LocalStore()
    scheme = scheme_of(url)
    if scheme in ("s3", "s3a") and not is_chained(url):
        from recaption.storage.s3 import S3Store

        return S3Store(retry)
    if scheme in ("http", "https") and not is_chained(url):
        from recaption.storage.web import WebStore

        return WebStore(retry)
    if scheme == "shapeworld":
        from recaption.shapeworld.filesystem import register

        register()
    from recaption.storage.generic import GenericStore

    return GenericStore(retry)
