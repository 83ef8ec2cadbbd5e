"""WebDataset: the adjacent members of a tar with one key are one sample.

The key is the path up to the first dot of its last part, the rest is the extension, in lower
case: `a/img.v2.jpg` has the key `a/img` and the extension `v2.jpg`. Hidden files and members
without an extension belong to no sample. What several images with one key are, and which texts
belong to each, is told in `group`. What is in a tar within the tar has that one's name in its key:
`b.jpg` in `a.tar` has the key `a/b`.

Nothing vanishes: what is no sample of its own because its key was there before, or because it is a
link, is yielded as a rejected sample; images beside another of their key are noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recaption.config import SourceConfig
from recaption.datasets import skipped_fields
from recaption.notices import note
from recaption.sample import Reason, Sample, Shard
from recaption.sources.archive_tables import ArchiveTables, is_archived_table, note_late
from recaption.sources.base import (
    FIELD_LIMIT,
    FOREIGN_IMAGES,
    IMAGE_LIMIT,
    MASKS,
    TEXT_EXTENSIONS,
    TOO_LONG,
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
from recaption.sources.ids import SeenKeys, sample_id
from recaption.sources.tar import TarReader, open_tar
from recaption.text import is_hidden

ARCHIVES = frozenset(("tar", "tgz", "gz", "zip", "zst", "bz2", "xz", "7z", "rar"))

COMPANION = "images beside another with their key, not captioned"
LONGEST_NAME = 16_384  # characters of a member's name

# How much of one key's members is held until it is settled which samples they are.
_MOST_IMAGES = 16
_MOST_BYTES = 64 << 20
_MOST_MEMBERS = 1024
_MOST_TEXT = 4 * FIELD_LIMIT


def read_samples(shard: Shard, source: SourceConfig, wanted: Wanted = want_all) -> Samples:
    """Yield the samples of a tar in its order; bodies of unwanted ones are not loaded.

    Raises BrokenShard after the samples before the fault. The sample during which the fault came
    is not among them: another of its members may be beyond it.
    """
    texts = TEXT_EXTENSIONS - skipped_fields(source)
    with open_tar(shard) as archive:
        yield from _read_groups(archive, _Shard(shard, wanted, texts, ArchiveTables(shard)))


def split_name(name: str) -> tuple[str, str] | None:
    """Split a member's name into key and extension; None where it belongs to no sample."""
    slash = name.rfind("/")
    dot = name.find(".", slash + 1)
    if dot <= slash + 1 or dot == len(name) - 1:
        return None
    extension = name[dot + 1 :].lower()
    if slash < 0:
        return name[:dot], extension
    while name.startswith("./"):
        name, dot = name[2:], dot - 2
    key = name[:dot]
    return None if is_hidden(key) else (key, extension)


def normal_name(name: str) -> str:
    """Return a member's name with `/` between its folders, whatever its archiver put there."""
    return name.replace("\\", "/") if "\\" in name and "/" not in name else name


def say_no_image(key: str, extensions: Sequence[str]) -> str:
    """Say what members a sample without an image has."""
    found = ", ".join(sorted(f".{extension}" for extension in extensions)[:8])
    if any(extension.rpartition(".")[2] in ARCHIVES for extension in extensions):
        return f"{key} is an archive within the archive ({found}): unpack it first"
    return f"{key} has no image among its members ({found})"


@dataclass(frozen=True, slots=True)
class _Shard:
    shard: Shard
    wanted: Wanted
    texts: frozenset[str]
    tables: ArchiveTables


def _read_groups(archive: TarReader, shard: _Shard) -> Samples:
    seen = SeenKeys()
    group: _Group | None = None
    ordinal = 0
    while (member := archive.next()) is not None:
        name, size = normal_name(member[0]), member[1]
        split = split_name(name)
        if split is None or len(name) > LONGEST_NAME:
            if split:
                note(f"members left out: names of more than {LONGEST_NAME:,} characters", name)
            continue
        key, extension = split
        if is_archived_table(name):
            _take_table(archive, shard, name, size, is_late=group is not None)
            continue
        if "label." in name and is_mask(name):
            note(MASKS, name)
            continue
        if group is None or key != group.key or extension in group.extensions:
            if group is not None:
                yield from group.settle()
                ordinal = group.ordinal
            group = _Group(shard, key, ordinal, seen)
        elif group.is_full(extension, size):
            yield from group.settle(extension)
        group.add(archive, _Member(name, extension, size))
    if group is not None:
        yield from group.settle()
        shard.tables.finish(group.ordinal)


def _take_table(archive: TarReader, shard: _Shard, name: str, size: int, is_late: bool) -> None:
    """Read a table that lies beside the images; those before it are gone by."""
    if is_late:
        note_late(shard.shard, name)
    if archive.special:
        note("tables that cannot be read", f"{name} is {archive.special}")
    elif shard.tables.takes(name, size):
        shard.tables.add(name, archive.body())


@dataclass(slots=True)
class _Member:
    """A member of a group, and what was loaded of it; `why` says why nothing can be."""

    name: str
    extension: str
    size: int
    body: bytes | None = None
    why: str = ""


class _Group:
    """The members of one key, as they come; `ordinal` is that of the next sample."""

    __slots__ = (
        "_bytes",
        "_has_plain",
        "_images",
        "_is_new",
        "_members",
        "_seen",
        "_shard",
        "_text_bytes",
        "extensions",
        "key",
        "ordinal",
    )

    def __init__(self, shard: _Shard, key: str, ordinal: int, seen: SeenKeys) -> None:
        self.key = key
        self.ordinal = ordinal
        self.extensions: set[str] = set()
        self._shard = shard
        self._seen = seen
        self._is_new = seen.add(key)
        self._has_plain: bool | None = None  # None: no sample was given out yet
        self._members: list[_Member] = []
        self._images = self._bytes = self._text_bytes = 0

    def is_full(self, extension: str, size: int) -> bool:
        """Whether it is to be settled before this member which samples there are."""
        if not self._images or not is_image(extension):
            return False
        return self._images >= _MOST_IMAGES or self._bytes + size > _MOST_BYTES

    def add(self, archive: TarReader, member: _Member) -> None:
        """Take the member that the archive is at; its body is read only where it is of use."""
        last = member.extension.rpartition(".")[2]
        if archive.special:
            member.why = f"{member.name} is {archive.special}"
        if is_image(member.extension):
            self._images += 1
            if last not in FOREIGN_IMAGES and member.size <= IMAGE_LIMIT:
                self._bytes += self._load(archive, member)
        elif len(self._members) >= _MOST_MEMBERS:
            note(f"members left out: more than {_MOST_MEMBERS:,} with one key", member.name)
            return
        elif last in self._shard.texts:
            self._add_text(archive, member)
        self.extensions.add(member.extension)
        self._members.append(member)

    def _add_text(self, archive: TarReader, member: _Member) -> None:
        if member.why:
            note("texts in archives that are links or no files, not read", member.why)
        elif member.size > FIELD_LIMIT or self._text_bytes + member.size > _MOST_TEXT:
            note(TOO_LONG, member.name)
        else:
            self._text_bytes += self._load(archive, member)

    def _load(self, archive: TarReader, member: _Member) -> int:
        """Read a member's body where a sample that it may belong to is wanted; return its bytes."""
        wanted, ordinal = self._shard.wanted, self.ordinal
        if "." not in member.extension:
            may_be_wanted = self._is_new and wanted(ordinal)
        else:
            may_be_wanted = any(map(wanted, range(ordinal, ordinal + _MOST_IMAGES + 2)))
        if member.why or not may_be_wanted:
            return 0
        member.body = archive.body()
        return member.size

    def settle(self, coming: str | None = None) -> Iterator[Sample | None]:
        """Yield the samples of the members so far, but of those that belong to one that is coming.

        None coming: the group is at its end.
        """
        members, kept = self._members, []
        if coming and "." in coming:
            stem = coming.rpartition(".")[0]
            kept = [m for m in members if m.extension.rpartition(".")[0] == stem]
            members = [m for m in members if m not in kept]
        arranged = arrange([member.extension for member in members], self._has_plain)
        if self._images > 1 or self._has_plain is not None:
            _note_unused(members, arranged)
        if coming:
            self._keep(kept)
        for one in arranged:
            key, is_new = self._key(one, members)
            is_wanted = self._shard.wanted(self.ordinal)
            is_told = is_wanted or bool(self._shard.tables)
            sample = self._sample(one, members, key, is_new) if is_told else None
            yield sample if is_wanted else None
            self.ordinal += 1
            self._is_new = False
        self._has_plain = self._has_plain or any(
            one.image is not None and "." not in members[one.image].extension for one in arranged
        )

    def _keep(self, members: list[_Member]) -> None:
        """Go on with these members."""
        self._members = members
        self.extensions = {member.extension for member in members}
        self._images = sum(is_image(member.extension) for member in members)
        self._bytes = sum(len(member.body or b"") for member in members)
        self._text_bytes = 0

    def _key(self, one: Arranged, members: list[_Member]) -> tuple[str, bool]:
        """Return a sample's key, and whether it is the first of this key.

        The first of a group has the group's key; where that was there before, as it is of every
        file called IMG.*.jpg, its own whole name is its key.
        """
        extension = "" if one.image is None else members[one.image].extension
        stem = extension.rpartition(".")[0]
        if one.stem or (stem and not self._is_new):
            key = f"{self.key}.{one.stem or stem}"
            return key, self._seen.add(key)
        if stem:
            self._seen.add(f"{self.key}.{stem}")
        return self.key, self._is_new

    def _sample(self, one: Arranged, members: list[_Member], key: str, is_new: bool) -> Sample:
        image = None if one.image is None else members[one.image]
        identity = sample_id(self._shard.shard.name, key)
        name = image.name if image else ""

        def reject(reason: Reason, message: str, identity: str = identity) -> Sample:
            return rejected(identity, key, self.ordinal, reason, message, name)

        if not is_new:
            message = f"the key {key} was in this shard before"
            return reject(Reason.DUPLICATE_KEY, message, f"{identity}#{self.ordinal}")
        if image is None:
            extensions = [member.extension for member in members]
            return reject(Reason.NO_IMAGE, say_no_image(key, extensions))
        if image.why:
            return reject(Reason.UNREADABLE, image.why)
        if extension_of(image.name) in FOREIGN_IMAGES:
            return reject(Reason.NOT_AN_IMAGE, say_foreign(image.name))
        if image.size > IMAGE_LIMIT:
            return reject(Reason.UNREADABLE, too_large(image.name, image.size))
        try:
            fields = self._shard.tables.fields(name) | _fields(one, members)
        except Exception as error:  # nobody foresaw it: this sample alone
            return reject(Reason.FAILED, say_failed(key, error))
        return Sample(identity, key, self.ordinal, image.body, name, fields)


def _fields(one: Arranged, members: list[_Member]) -> dict[str, object]:
    """Return the values of a sample's texts, each parsed once."""
    values: dict[int, object] = {}
    fields: dict[str, object] = {}
    for field, i in one.texts.items():
        body = members[i].body
        if body is not None:
            if i not in values:
                values[i] = parse_field(members[i].name, body)
            fields[field] = values[i]
    return fields


def _note_unused(members: list[_Member], arranged: Sequence[Arranged]) -> None:
    """Note the images and texts of a group that are no part of a sample."""
    taken = {one.image for one in arranged}.union(*(one.texts.values() for one in arranged))
    for i, member in enumerate(members):
        if i not in taken:
            if is_image(member.extension):
                note(COMPANION, member.name)
            elif member.body is not None:
                note("texts that lie too far from their images, left out", member.name)
