"""The files of a large table: plain, gzip or bzip2, one or many, local or remote."""

from __future__ import annotations

import bz2
import gzip
from typing import IO, cast

from recaption import storage
from recaption.storage.shown import location_of


def ending_of(url: str) -> str:
    """Return what a table's name ends with, in lower case, whatever a signed url has behind it."""
    return location_of(url).rpartition("/")[2].lower()


def find_files(path: str) -> list[str]:
    """Return the files of a table: those that a pattern matches, or the one."""
    is_pattern = any(sign in path for sign in "*?[") and not storage.exists(path)
    return [file.url for file in storage.glob(path)] if is_pattern else [path]


def open_bytes(url: str) -> IO[bytes]:
    """Open a table, unpacked where its name ends in .gz or .bz2."""
    raw = storage.open_read(url)
    if ending_of(url).endswith(".bz2"):
        return cast(IO[bytes], bz2.BZ2File(raw))
    is_gzip = ending_of(url).endswith(".gz")
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if is_gzip else raw
