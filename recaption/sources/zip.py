"""Zip archives: the members with one key are samples, by the rule of `group`.

Unlike a tar, a zip has a table of contents: it is read first, so that the members of a sample need
not be adjacent, and then only what is wanted is read, by ranges of a remote file. (A web server
that sends whole files only: through a temporary file.)

Samples come in the order of their keys in the table. Nothing is unpacked onto a disk, and no member
is read beyond the size that the table declares. What cannot be read is a rejected sample; where the
table itself cannot be, the shard is broken.
"""

from __future__ import annotations

import hashlib
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np

from recaption import storage
from recaption.config import SourceConfig
from recaption.datasets import skipped_fields
from recaption.notices import note
from recaption.sample import Reason, Sample, Shard
from recaption.sources.archive_tables import ArchiveTables, is_archived_table
from recaption.sources.base import (
    FIELD_LIMIT,
    FOREIGN_IMAGES,
    IMAGE_LIMIT,
    MASKS,
    TEXT_EXTENSIONS,
    TOO_LONG,
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
from recaption.sources.group import Arranged, arrange, is_image
from recaption.sources.ids import sample_id
from recaption.sources.tar_header import looks_like
from recaption.sources.webdataset import (
    COMPANION,
    LONGEST_NAME,
    normal_name,
    say_no_image,
    split_name,
)
from recaption.sources.zip_table import BadZipError, Entry, Table
from recaption.text import printable

_METHODS = frozenset((0, 8))  # stored, deflate: zlib alone can be told to stop
_OTHER_METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}
_IS_ENCRYPTED = 0x1  # a bit of a member's flags
_MOST_MEMBERS = 1024  # of a key, but for its images
_MOST_TEXT = 4 * FIELD_LIMIT  # bytes of all texts of a sample


def read_samples(shard: Shard, source: SourceConfig, wanted: Wanted = want_all) -> Samples:
    """Yield the samples of a zip in its order; unwanted ones are passed over unread.

    Raises BrokenShard before the first sample, and StorageError.
    """
    with _open_zip(shard) as table:
        reader = _Reader(shard, table, TEXT_EXTENSIONS - skipped_fields(source))
        reader.open_tables()
        ordinal = 0
        for group in _groups(table):
            if len(group.members) > 1:
                _note_unused(group)
            for one, key in group.samples:
                if not wanted(ordinal):
                    reader.pass_over(group, one)
                yield reader.sample(group, one, key, ordinal) if wanted(ordinal) else None
                ordinal += 1
        reader.tables.finish(ordinal)


def count_samples(shard: Shard) -> int:
    """Return how many samples a zip has, by its table of contents."""
    with _open_zip(shard) as table:
        return sum(len(group.samples) for group in _groups(table))


@contextmanager
def _open_zip(shard: Shard) -> Iterator[Table]:
    with storage.open_read(shard.url) as stream, storage.seekable(stream, shard.url) as file:
        start = file.read(512)
        try:
            yield Table(file)
        except BadZipError as error:
            raise BrokenShard(f"{shard.name}: {_say_broken(start, error)}") from error


def _say_broken(start: bytes, error: Exception) -> str:
    if not start:
        return "the file is empty (0 bytes)"
    if not start.startswith(b"PK"):
        return f"not a zip archive{looks_like(start)}"
    return (
        "the zip's table of contents, which is at its end, is missing or damaged; the file may be"
        f" truncated ({printable(str(error))})"
    )


@dataclass(frozen=True, slots=True)
class _Member:
    """A member by its place in the table."""

    name: str
    key: str
    extension: str
    at: int


@dataclass(frozen=True, slots=True)
class _Group:
    """Members of one key, and the samples that they are, each with its own key."""

    members: list[_Member]
    samples: list[tuple[Arranged, str]]
    is_again: bool = False  # all of it was there before


def _groups(table: Table) -> Iterator[_Group]:
    """Yield the members of each key, in the order of their keys in the table."""
    for places in _runs(table, table.places(), _key):
        if len(places) > _MOST_MEMBERS:
            yield from _many(table, places)
            continue
        first, *again = _rounds([_member(table, at) for at in places])
        yield _arrange(first)
        yield from (_again(members) for members in again)


def _many(table: Table, places: Sequence[int]) -> Iterator[_Group]:
    """Yield the files called IMG.*.jpg of a folder: the first has the key IMG, each has its own."""
    is_first = True
    for run in _runs(table, places, _stem):
        members, *again = _rounds([_member(table, at) for at in run[:_MOST_MEMBERS]])
        if is_first or any(is_image(member.extension) for member in members):
            yield _arrange(members, is_first)
            is_first = False
        yield from (_again(members) for members in again)


def _runs(
    table: Table, places: Iterable[int], key_of: Callable[[str], str | None]
) -> Iterator[list[int]]:
    """Yield the places of entries with one key, keys in the order of their first entries.

    By 8-byte hashes of keys: 16 bytes are held for an entry, and as much again to sort them.
    """
    found, hashes = array("Q"), array("Q")
    for at in places:
        key = key_of(table.name(at))
        if key is not None:
            raw = key.encode("utf-8", "surrogatepass")
            hashes.frombytes(hashlib.blake2b(raw, digest_size=8).digest())
            found.append(at)
    if not found:
        return
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    firsts = first[inverse]
    order = np.argsort(firsts, kind="stable")
    borders = np.flatnonzero(np.diff(firsts[order])) + 1
    begin = 0
    for end in chain(borders, (len(order),)):
        yield [found[i] for i in order[begin:end]]
        begin = end


def _key(name: str) -> str | None:
    """Return the key of an entry; None where it belongs to no sample."""
    name = normal_name(name)
    is_none = name.endswith("/") or len(name) > LONGEST_NAME or is_archived_table(name)
    split = None if is_none else split_name(name)
    if split is not None and is_mask(name):
        note(MASKS, name)
        return None
    return split and split[0]


def _stem(name: str) -> str:
    """Return the name without its last extension."""
    return normal_name(name).rpartition(".")[0].removeprefix("./")


def _member(table: Table, at: int) -> _Member:
    name = normal_name(table.name(at))
    split = split_name(name)
    assert split is not None, name
    return _Member(name, split[0], split[1], at)


def _rounds(members: list[_Member]) -> list[list[_Member]]:
    """Part members whose extension comes again from those before."""
    rounds: list[dict[str, _Member]] = [{}]
    for member in members:
        if member.extension in rounds[-1]:
            rounds.append({})
        rounds[-1][member.extension] = member
    return [list(one.values()) for one in rounds]


def _arrange(members: list[_Member], is_first: bool = True) -> _Group:
    arranged = arrange([member.extension for member in members], None if is_first else False)
    key = members[0].key
    return _Group(members, [(one, f"{key}.{one.stem}" if one.stem else key) for one in arranged])


def _again(members: list[_Member]) -> _Group:
    first = arrange([member.extension for member in members])[0]
    return _Group(members, [(first, members[0].key)], is_again=True)


class _UnreadableMember(Exception):
    """A member cannot be read; the message says which and why."""


class _Reader:
    """Reads samples out of an open archive."""

    def __init__(self, shard: Shard, table: Table, texts: frozenset[str]) -> None:
        self._shard = shard
        self._table = table
        self._texts = texts
        self.tables = ArchiveTables(shard)

    def open_tables(self) -> None:
        """Read the tables that lie beside the images."""
        for at in self._table.places():
            name = normal_name(self._table.name(at))
            if is_archived_table(name) and self.tables.takes(name, self._table.entry(at).size):
                try:
                    self.tables.add(name, self._read(_Member(name, "", "", at)))
                except _UnreadableMember as error:
                    note("tables that cannot be read", f"{self._shard.name}: {error}")

    def sample(self, group: _Group, one: Arranged, key: str, ordinal: int) -> Sample:
        """Return a sample of a group."""
        identity, members = sample_id(self._shard.name, key), group.members
        name = "" if one.image is None else members[one.image].name

        def reject(reason: Reason, message: str, identity: str = identity) -> Sample:
            return rejected(identity, key, ordinal, reason, message, name)

        if group.is_again:
            message = f"the key {key} was in this shard before"
            return reject(Reason.DUPLICATE_KEY, message, f"{identity}#{ordinal}")
        if one.image is None:
            return reject(Reason.NO_IMAGE, say_no_image(key, [m.extension for m in members]))
        if extension_of(name) in FOREIGN_IMAGES:
            return reject(Reason.NOT_AN_IMAGE, say_foreign(name))
        try:
            fields = self.tables.fields(name)
            image = self._read(members[one.image])
            fields |= self._fields({field: members[i] for field, i in one.texts.items()})
        except storage.StorageError:
            raise
        except _UnreadableMember as error:
            return reject(Reason.UNREADABLE, str(error))
        except Exception as error:  # nobody foresaw it: this sample alone
            return reject(Reason.FAILED, say_failed(key, error))
        return Sample(identity, key, ordinal, image, name, fields)

    def pass_over(self, group: _Group, one: Arranged) -> None:
        """Pass over a sample that is not wanted."""
        if self.tables and one.image is not None and not group.is_again:
            name = group.members[one.image].name
            if extension_of(name) not in FOREIGN_IMAGES:
                self.tables.fields(name)

    def _fields(self, texts: Mapping[str, _Member]) -> dict[str, object]:
        values: dict[int, object] = {}
        left = _MOST_TEXT
        for member in texts.values():
            if member.at in values or extension_of(member.name) not in self._texts:
                continue
            size = self._table.entry(member.at).size
            if size > min(left, FIELD_LIMIT):
                note(TOO_LONG, member.name)
                continue
            left -= size
            values[member.at] = parse_field(member.name, self._read(member))
        return {field: values[m.at] for field, m in texts.items() if m.at in values}

    def _read(self, member: _Member) -> bytes:
        """Return a member's content, its checksum verified. Raises _UnreadableMember."""
        entry = self._table.entry(member.at)
        why = self._say_unreadable(member.name, entry)
        if why:
            raise _UnreadableMember(why)
        try:
            return self._table.body(entry)
        except storage.StorageError:
            raise
        except (BadZipError, zlib.error, OverflowError) as error:
            raise _UnreadableMember(f"{member.name} is damaged ({error})") from error

    def _say_unreadable(self, name: str, entry: Entry) -> str:
        largest = max(entry.size, entry.packed)
        if entry.flags & _IS_ENCRYPTED:
            return f"{name} is encrypted: pack the images again without a password"
        if largest > IMAGE_LIMIT:
            return too_large(name, largest)
        if entry.method not in _METHODS:
            method = _OTHER_METHODS.get(entry.method, f"method {entry.method}")
            return f"{name} is packed with {method}, expected deflate or nothing: pack it again"
        if not 0 <= entry.offset < self._table.file_size:
            return f"{name} is damaged (it lies at byte {entry.offset:,}, out of the file)"
        return ""


def _note_unused(group: _Group) -> None:
    """Note the images of a group that are no part of a sample."""
    taken = {one.image for one, _ in group.samples}
    for i, member in enumerate(group.members):
        if i not in taken and is_image(member.extension):
            note(COMPANION, member.name)
