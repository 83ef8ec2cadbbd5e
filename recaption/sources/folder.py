"""A folder of images: each image file directly in it is a sample, in the order of names.

A sample's key is the full file name, so that `a.jpg` and `a.png` are two samples. What lies beside
an image belongs to it: `<stem>.txt`, `<stem>.json` (or `.cls`, `.caption`), in any case, or with
the full name in front, and its row in `metadata.csv`, `metadata.jsonl`, `captions.parquet`, ... of
the folder or of one above, see `metadata`. Images of kinds that are not read come last, as rejects.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from stat import S_ISDIR, S_ISREG

from recaption import storage
from recaption.config import SourceConfig
from recaption.datasets import skipped_fields
from recaption.notices import note
from recaption.sample import Reason, Sample, Shard
from recaption.sources.base import (
    FIELD_LIMIT,
    FOREIGN_IMAGES,
    IMAGE_EXTENSIONS,
    IMAGE_LIMIT,
    MASKS,
    TEXT_EXTENSIONS,
    BrokenShard,
    Samples,
    Wanted,
    extension_of,
    is_mask,
    rejected,
    say_failed,
    say_foreign,
    too_large,
    want_all,
)
from recaption.sources.fields import parse_field
from recaption.sources.folder_tables import FolderTables
from recaption.sources.ids import sample_id
from recaption.sources.inside import FolderFiles, UnreadableFileError
from recaption.storage import FileInfo
from recaption.storage.paths import local_path
from recaption.text import printable

_REMOTE_READS_AT_ONCE = 8
_SAMPLE_TROUBLES = frozenset((storage.Trouble.MISSING, storage.Trouble.DENIED))

Fields = dict[str, object]


def read_samples(shard: Shard, source: SourceConfig, wanted: Wanted = want_all) -> Samples:
    """Yield a sample for each image file of a folder; unwanted ones are not opened.

    Raises StorageError where the folder cannot be listed, or the store cannot be reached.
    """
    folder = _Folder(shard, source)
    if not folder.images:
        raise BrokenShard(f"{shard.name}: the folder {shard.url} holds no images any more")
    reads = (folder.reading(ordinal, wanted(ordinal)) for ordinal in range(len(folder.images)))
    at_once = _REMOTE_READS_AT_ONCE if storage.is_remote(shard.url) else 1
    yield from _in_order(reads, at_once)
    folder.tables.finish(len(folder.images))


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
    """Return name and size of a file; None for a folder, no size for what reading will reject."""
    url = f"{folder.rstrip('/')}/{entry.name}"
    try:
        stat = entry.stat()
    except OSError:  # a link into nothing
        return FileInfo(url, None, "")
    if S_ISDIR(stat.st_mode):
        return None
    return FileInfo(url, stat.st_size if S_ISREG(stat.st_mode) else None, "")


def list_images(files: list[FileInfo]) -> list[FileInfo]:
    """Return which of a folder's files are samples: images, then those of kinds that are not read.

    Masks beside images are none, nor is what is there as an image that is read, too.
    """
    masks = [file for file in files if is_mask(_name(file))]
    if masks:
        note(MASKS, masks[0].url, len(masks))
    files = [file for file in files if not is_mask(_name(file))] if masks else files
    images = [file for file in files if extension_of(file.url) in IMAGE_EXTENSIONS]
    foreign = [file for file in files if extension_of(file.url) in FOREIGN_IMAGES]
    stems = {_stem(_name(file)) for file in images} if foreign else set()
    twins = [file for file in foreign if _stem(_name(file)) in stems]
    if twins:
        note("images of kinds that are not read, beside the same as JPEG or the like", twins[0].url)
    return images + [file for file in foreign if _stem(_name(file)) not in stems]


class _Folder:
    """What is in a folder, and how a sample is made of it."""

    def __init__(self, shard: Shard, source: SourceConfig) -> None:
        files = list_folder(shard.url)
        self.images = list_images(files)
        self._shard = shard
        self._reader = FolderFiles(shard.url, source)
        self._extensions = sorted(TEXT_EXTENSIONS - skipped_fields(source))
        texts = [file for file in files if extension_of(file.url) in TEXT_EXTENSIONS]
        self._texts: dict[str, FileInfo] = {}
        for file in texts:
            self._texts.setdefault(f"{_stem(_name(file))}.{extension_of(file.url)}", file)
        self.tables = FolderTables(shard.url, source, files)

    def reading(self, ordinal: int, is_wanted: bool) -> Callable[[], Sample] | None:
        """Return what reads one image and what lies beside it; None where it is not wanted.

        Rows of tables are found here, in the order of images, wanted or not: which row an image
        has may depend on which images came before it.
        """
        if not is_wanted and not self.tables:
            return None
        try:
            row: Fields | Exception = self.tables.fields(_name(self.images[ordinal]))
        except Exception as error:  # nobody foresaw it: this sample alone
            row = error
        return (lambda: self._read(ordinal, row)) if is_wanted else None

    def _read(self, ordinal: int, row: Fields | Exception) -> Sample:
        file = self.images[ordinal]
        file_name = _name(file)
        identity = sample_id(self._shard.name, file_name)
        key = printable(file_name)
        name = printable(f"{PurePosixPath(self._shard.url.rstrip('/')).name}/{file_name}")
        if extension_of(file_name) in FOREIGN_IMAGES:
            return rejected(identity, key, ordinal, Reason.NOT_AN_IMAGE, say_foreign(key), name)
        if file.size is not None and file.size > IMAGE_LIMIT:
            message = too_large(key, file.size)
            return rejected(identity, key, ordinal, Reason.UNREADABLE, message, name)
        try:
            if isinstance(row, Exception):
                raise row
            fields = row | self._fields(file_name)
            image = self._reader.read(file.url, IMAGE_LIMIT)
        except storage.StorageError as error:
            if storage.is_remote(file.url) and error.trouble not in _SAMPLE_TROUBLES:
                raise
            return rejected(identity, key, ordinal, Reason.UNREADABLE, str(error), name)
        except UnreadableFileError as error:
            return rejected(identity, key, ordinal, Reason.UNREADABLE, str(error), name)
        except Exception as error:  # nobody foresaw it: this sample alone
            message = say_failed(key, error)
            return rejected(identity, key, ordinal, Reason.FAILED, message, name)
        if len(image) > IMAGE_LIMIT:
            message = too_large(key, len(image))
            return rejected(identity, key, ordinal, Reason.UNREADABLE, message, name)
        return Sample(identity, key, ordinal, image, name, fields)

    def _fields(self, key: str) -> Fields:
        fields: Fields = {}
        stem = _stem(key)
        for extension in self._extensions:
            file = self._texts.get(f"{key}.{extension}") or self._texts.get(f"{stem}.{extension}")
            raw = None if file is None else self._text(file)
            if file is not None and raw is not None:
                fields[extension] = parse_field(_name(file), raw)
        return fields

    def _text(self, file: FileInfo) -> bytes | None:
        """Return the text beside an image; None where it is too long or not to be looked at."""
        try:
            fits = (file.size or 0) <= FIELD_LIMIT
            raw = self._reader.read(file.url, FIELD_LIMIT) if fits else None
        except UnreadableFileError as error:
            note(
                "texts beside images that are not read: links out of the source, pipes", str(error)
            )
            return None
        if raw is None or len(raw) > FIELD_LIMIT:
            note(
                f"texts beside images that are left out: more than {FIELD_LIMIT:,} bytes", file.url
            )
            return None
        return raw


def _stem(name: str) -> str:
    """Return a file's name without its extension."""
    return name.rpartition(".")[0]


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
