"""A folder of images: each image file directly in it is a sample, in the order of names.

A sample's key is the full file name, so that `a.jpg` and `a.png` are two samples. What lies beside
an image belongs to it: `<stem>.txt`, `<stem>.json` (or `.cls`, `.caption`), or with the full name
in front, and its row in `metadata.csv`, `metadata.jsonl`, `captions.jsonl`, ... of the folder.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from stat import S_ISREG

from recaption import storage
from recaption.config import SourceConfig
from recaption.sample import Reason, Sample, Shard
from recaption.sources.base import (
    FIELD_LIMIT,
    IMAGE_EXTENSIONS,
    IMAGE_LIMIT,
    TEXT_EXTENSIONS,
    BrokenShard,
    Samples,
    Wanted,
    extension_of,
    parse_field,
    rejected,
    too_large,
    want_all,
)
from recaption.sources.ids import sample_id
from recaption.storage import FileInfo
from recaption.storage.paths import local_path
from recaption.text import decode_text, printable

logger = logging.getLogger(__name__)

_TABLES = ("metadata.csv", "metadata.jsonl", "captions.csv", "captions.jsonl")
_FILE_COLUMNS = ("file_name", "filename", "file", "image", "path")
_REMOTE_READS_AT_ONCE = 8
_SAMPLE_TROUBLES = frozenset((storage.Trouble.MISSING, storage.Trouble.DENIED))

Fields = dict[str, object]


def read_samples(shard: Shard, source: SourceConfig, wanted: Wanted = want_all) -> Samples:
    """Yield a sample for each image file of a folder; unwanted ones are not opened.

    Raises StorageError where the folder cannot be listed, or the store cannot be reached.
    """
    folder = _Folder(shard, list_folder(shard.url))
    if not folder.images:
        raise BrokenShard(f"{shard.name}: the folder {shard.url} holds no images any more")
    reads = (
        (lambda ordinal=ordinal: folder.read(ordinal)) if wanted(ordinal) else None
        for ordinal in range(len(folder.images))
    )
    at_once = _REMOTE_READS_AT_ONCE if storage.is_remote(shard.url) else 1
    yield from _in_order(reads, at_once)


def list_folder(url: str) -> list[FileInfo]:
    """Return the files directly in a folder, hidden ones left out, sorted. Raises StorageError."""
    if storage.is_remote(url):
        return storage.glob(re.sub(r"([*?[])", r"[\1]", url.rstrip("/")) + "/*")
    try:
        with os.scandir(local_path(url)) as entries:
            found = [_describe(url, entry) for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise storage.explain(error, url, "list") from error
    return sorted(filter(None, found), key=lambda file: file.url)


def _describe(folder: str, entry: os.DirEntry[str]) -> FileInfo | None:
    """Return name and size of a file; None for a folder, a pipe or a device."""
    url = f"{folder.rstrip('/')}/{entry.name}"
    try:
        stat = entry.stat()
    except OSError:  # a link into nothing: reading it will say so
        return FileInfo(url, None, "")
    return FileInfo(url, stat.st_size, "") if S_ISREG(stat.st_mode) else None


class _Folder:
    """What is in a folder, and how a sample is made of it."""

    def __init__(self, shard: Shard, files: list[FileInfo]) -> None:
        self.images = [file for file in files if extension_of(file.url) in IMAGE_EXTENSIONS]
        self._shard = shard
        self._texts = {_name(f): f for f in files if extension_of(f.url) in TEXT_EXTENSIONS}
        tables = [file for file in files if _name(file) in _TABLES]
        self._rows = _read_tables(tables)

    def read(self, ordinal: int) -> Sample:
        """Read one image and what lies beside it."""
        file = self.images[ordinal]
        file_name = _name(file)
        identity = sample_id(self._shard.name, file_name)
        key = printable(file_name)
        name = printable(f"{PurePosixPath(self._shard.url.rstrip('/')).name}/{file_name}")
        if file.size is not None and file.size > IMAGE_LIMIT:
            message = too_large(key, file.size)
            return rejected(identity, key, ordinal, Reason.UNREADABLE, message, name)
        try:
            fields = self._fields(file_name)
            image = storage.read_bytes(file.url)
        except storage.StorageError as error:
            if storage.is_remote(file.url) and error.trouble not in _SAMPLE_TROUBLES:
                raise
            return rejected(identity, key, ordinal, Reason.UNREADABLE, str(error), name)
        return Sample(identity, key, ordinal, image, name, fields)

    def _fields(self, key: str) -> Fields:
        fields: Fields = dict(self._rows.get(key, {}))
        stem = key.rpartition(".")[0]
        for extension in sorted(TEXT_EXTENSIONS):
            file = self._texts.get(f"{key}.{extension}") or self._texts.get(f"{stem}.{extension}")
            if file is not None and (file.size or 0) <= FIELD_LIMIT:
                raw = storage.read_bytes(file.url)
                if len(raw) <= FIELD_LIMIT:
                    fields[extension] = parse_field(extension, raw)
        return fields


def _name(file: FileInfo) -> str:
    return file.url.rpartition("/")[2]


def _in_order(reads: Iterable[Callable[[], Sample] | None], at_once: int) -> Samples:
    """Do the reads, several at once and that many ahead, and yield what they give in order."""
    if at_once == 1:
        yield from (read() if read else None for read in reads)
        return
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="read-folder")
    ahead: deque[Future[Sample] | None] = deque()
    try:
        for read in reads:
            ahead.append(pool.submit(read) if read else None)
            if len(ahead) > at_once:
                first = ahead.popleft()
                yield first.result() if first else None
        yield from (future.result() if future else None for future in ahead)
    finally:
        pool.shutdown(cancel_futures=True)


def _read_tables(tables: list[FileInfo]) -> dict[str, Fields]:
    """Return the folder's metadata by file name."""
    rows: dict[str, Fields] = {}
    for table in tables:
        text = decode_text(storage.read_bytes(table.url))
        for row in _parse_table(table.url, text):
            name = _file_of(row)
            if name:
                rows.setdefault(name, {}).update(row)
    return rows


def _parse_table(url: str, text: str) -> Iterator[Mapping[str, object]]:
    if url.endswith(".csv"):
        reader = csv.DictReader(io.StringIO(text), strict=False)
        try:
            yield from ({k: v for k, v in row.items() if isinstance(k, str)} for row in reader)
        except csv.Error as error:
            logger.warning("%s: line %d is not CSV (%s)", url, reader.line_num, error)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            logger.warning("%s: line %d is not JSON (%s)", url, number, error)
            continue
        if isinstance(row, dict):
            yield row


def _file_of(row: Mapping[str, object]) -> str:
    """Return the file name that a row is about, "" if it names none."""
    by_name = {column.lower(): value for column, value in row.items()}
    for column in _FILE_COLUMNS:
        value = by_name.get(column)
        if isinstance(value, str) and value:
            return value.removeprefix("./")
    return ""
