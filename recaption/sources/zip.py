"""Zip archives: the members with one key are one sample, by the rule of WebDataset.

As there, the key is a member's path up to the first dot of its last part, and of several images
with one key the first is captioned. Unlike a tar, a zip has a table of contents: it is read first,
so that the members of a sample need not be adjacent, and then only what is wanted is read, by
ranges of a remote file. (A web server that sends whole files only: through a temporary file.)

Samples come in the order of the table. Nothing is unpacked onto a disk, and no member is read
beyond the size that the table declares. What cannot be read is a rejected sample; where the table
itself cannot be, the shard is broken.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from recaption import storage
from recaption.config import SourceConfig
from recaption.datasets import skipped_fields
from recaption.sample import Reason, Sample, Shard
from recaption.sources.base import (
    FIELD_LIMIT,
    IMAGE_EXTENSIONS,
    IMAGE_LIMIT,
    TEXT_EXTENSIONS,
    BrokenShard,
    Samples,
    Wanted,
    parse_field,
    rejected,
    too_large,
    want_all,
)
from recaption.sources.ids import sample_id
from recaption.sources.tar_header import looks_like
from recaption.sources.webdataset import split_name
from recaption.text import printable

_METHODS = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))  # zlib alone can be told to stop
_OTHER_METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}
_IS_ENCRYPTED, _IS_UTF8 = 0x1, 0x800  # bits of a member's flags
_ARCHIVES = frozenset(("zip", "tar", "tgz", "gz", "zst", "7z", "rar"))
_SPOOLED = 64 << 20  # bytes of a whole archive that are kept in memory

# What zipfile and its codecs say of damaged bytes; ValueError also of offsets and names.
_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError)
_DAMAGE = (*_DAMAGES, OverflowError, ValueError)


def read_samples(shard: Shard, source: SourceConfig, wanted: Wanted = want_all) -> Samples:
    """Yield the samples of a zip in its order; unwanted ones are passed over unread.

    Raises BrokenShard before the first sample, and StorageError.
    """
    with _open_zip(shard) as archive:
        reader = _Reader(shard, archive, TEXT_EXTENSIONS - skipped_fields(source))
        ordinal = 0
        for group in _group(archive.infolist()):
            for nth in range(group.count):
                yield reader.sample(group, nth, ordinal) if wanted(ordinal) else None
                ordinal += 1


def count_samples(shard: Shard) -> int:
    """Return how many samples a zip has, by its table of contents."""
    with _open_zip(shard) as archive:
        return sum(group.count for group in _group(archive.infolist()))


@contextmanager
def _open_zip(shard: Shard) -> Iterator[zipfile.ZipFile]:
    with storage.open_read(shard.url) as stream, _seekable(stream) as file:
        start = file.read(512)
        try:
            archive = zipfile.ZipFile(file)
        except storage.StorageError:
            raise
        except _DAMAGE as error:
            raise BrokenShard(f"{shard.name}: {_say_broken(start, error)}") from error
        with archive:
            yield archive


@contextmanager
def _seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Yield the stream, or a temporary copy of one that only goes forward."""
    if stream.seekable():
        yield stream
        return
    with tempfile.SpooledTemporaryFile(_SPOOLED) as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def _say_broken(start: bytes, error: Exception) -> str:
    if not start:
        return "the file is empty (0 bytes)"
    if not start.startswith(b"PK"):
        return f"not a zip archive{looks_like(start)}"
    reason = printable(str(error)) or type(error).__name__
    return (
        "the zip's table of contents, which is at its end, is missing or damaged; the file may be"
        f" truncated ({reason})"
    )


@dataclass(slots=True)
class _Group:
    """The members of one sample, by extension."""

    key: str
    is_new: bool
    members: dict[str, zipfile.ZipInfo] = field(default_factory=dict)

    @property
    def images(self) -> list[zipfile.ZipInfo]:
        """The image to caption, then those that dots in their names made companions of it."""
        plain = self._with_dots(False)
        return plain[:1] or self._with_dots(True)

    @property
    def count(self) -> int:
        """How many samples come of it: each companion is a rejected one."""
        return max(1, len(self.images))

    def _with_dots(self, has_dots: bool) -> list[zipfile.ZipInfo]:
        return [
            member
            for extension, member in self.members.items()
            if extension.rpartition(".")[2] in IMAGE_EXTENSIONS and ("." in extension) is has_dots
        ]


def _group(members: Iterable[zipfile.ZipInfo]) -> list[_Group]:
    """Return the samples in the order of their first members; a key may come again."""
    groups: list[_Group] = []
    latest: dict[str, _Group] = {}
    for member in members:
        member.filename = _name(member)
        split = None if member.is_dir() else split_name(member.filename)
        if split is None:
            continue
        key, extension = split
        group = latest.get(key)
        if group is None or extension in group.members:
            group = latest[key] = _Group(key, is_new=group is None)
            groups.append(group)
        group.members[extension] = member
    return groups


def _name(member: zipfile.ZipInfo) -> str:
    """Return the name: UTF-8 where it can be, even if the archiver did not mark it as such."""
    if member.flag_bits & _IS_UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode()
    except UnicodeError:
        return member.filename


class _UnreadableMember(Exception):
    """A member cannot be read; the message says which and why."""


class _Reader:
    """Reads samples out of an open archive."""

    def __init__(self, shard: Shard, archive: zipfile.ZipFile, texts: frozenset[str]) -> None:
        self._shard = shard
        self._archive = archive
        self._texts = texts
        assert archive.fp is not None
        self._size = archive.fp.seek(0, os.SEEK_END)

    def sample(self, group: _Group, nth: int, ordinal: int) -> Sample:
        """Return the sample of a group, or for nth > 0 the rejected one of a companion."""
        identity, key, images = sample_id(self._shard.name, group.key), group.key, group.images
        name = images[nth].filename if images else ""

        def reject(reason: Reason, message: str, again: bool = False) -> Sample:
            own = f"{identity}#{ordinal}" if again else identity
            return rejected(own, key, ordinal, reason, message, name)

        if nth:
            message = _say_companion(name, key, images[0].filename)
            return reject(Reason.DUPLICATE_KEY, message, again=True)
        if not group.is_new:
            message = f"the key {key} was in this shard before"
            return reject(Reason.DUPLICATE_KEY, message, again=True)
        if not images:
            return reject(Reason.NO_IMAGE, _say_no_image(group))
        try:
            image, fields = self._read(images[0]), self._fields(group)
        except _UnreadableMember as error:
            return reject(Reason.UNREADABLE, str(error))
        return Sample(identity, key, ordinal, image, name, fields)

    def _fields(self, group: _Group) -> dict[str, object]:
        return {
            extension: parse_field(extension, self._read(member))
            for extension, member in group.members.items()
            if extension.rpartition(".")[2] in self._texts and member.file_size <= FIELD_LIMIT
        }

    def _read(self, member: zipfile.ZipInfo) -> bytes:
        """Return a member's content, its checksum verified. Raises _UnreadableMember."""
        why = self._say_unreadable(member)
        if why:
            raise _UnreadableMember(why)
        size = member.file_size
        try:
            with self._archive.open(member) as stream:
                body = stream.read(size)  # of a bomb, no more than it declared is unpacked
        except storage.StorageError:
            raise
        except _DAMAGE as error:
            reason = str(error) or type(error).__name__
            raise _UnreadableMember(f"{member.filename} is damaged ({reason})") from error
        if len(body) < size:
            got = f"{len(body):,} of {size:,} bytes"
            raise _UnreadableMember(f"{member.filename} is damaged (it has {got})")
        return body

    def _say_unreadable(self, member: zipfile.ZipInfo) -> str:
        name, largest = member.filename, max(member.file_size, member.compress_size)
        if member.flag_bits & _IS_ENCRYPTED:
            return f"{name} is encrypted: pack the images again without a password"
        if largest > IMAGE_LIMIT:
            return too_large(name, largest)
        if member.compress_type not in _METHODS:
            method = _OTHER_METHODS.get(member.compress_type, f"method {member.compress_type}")
            return f"{name} is packed with {method}, expected deflate or nothing: pack it again"
        if not 0 <= member.header_offset < self._size:
            return f"{name} is damaged (it lies at byte {member.header_offset:,}, out of the file)"
        return ""


def _say_companion(name: str, key: str, image_name: str) -> str:
    return (
        f"{name} has the key {key}, as {image_name} has: a key ends at the first dot of a file's"
        " name; rename the files"
    )


def _say_no_image(group: _Group) -> str:
    found = ", ".join(sorted(f".{extension}" for extension in group.members)[:8])
    if any(extension.rpartition(".")[2] in _ARCHIVES for extension in group.members):
        return f"{group.key} is an archive within the archive ({found}): unpack it first"
    return f"{group.key} has no image among its members ({found})"
