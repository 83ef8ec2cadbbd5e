"""WebDataset: the adjacent members of a tar with one key are one sample.

The key is the path up to the first dot of its last part, the rest is the extension, in lower
case: `a/img.v2.jpg` has the key `a/img` and the extension `v2.jpg`. Hidden files and members
without an extension belong to no sample. Of several images in a sample the first is captioned;
a plain extension (`jpg`) goes before a dotted one (`depth.png`). What is in a tar within the tar
has that one's name in its key: `b.jpg` in `a.tar` has the key `a/b`.

Nothing vanishes: what is no sample of its own because its key was there before, because its
extension comes twice, or because dots in its name made it a companion of another image where no
plain one is, is yielded as a rejected sample.
"""

from __future__ import annotations

from collections.abc import Iterator

from recaption.config import SourceConfig
from recaption.datasets import skipped_fields
from recaption.sample import Reason, Sample, Shard
from recaption.sources.base import (
    FIELD_LIMIT,
    IMAGE_EXTENSIONS,
    IMAGE_LIMIT,
    TEXT_EXTENSIONS,
    Samples,
    Wanted,
    parse_field,
    rejected,
    too_large,
    want_all,
)
from recaption.sources.ids import SeenKeys, sample_id
from recaption.sources.tar import TarReader, open_tar
from recaption.text import is_hidden

_ARCHIVES = frozenset(("tar", "tgz", "gz", "zip", "zst"))


def read_samples(shard: Shard, source: SourceConfig, wanted: Wanted = want_all) -> Samples:
    """Yield the samples of a tar in its order; bodies of unwanted ones are not loaded.

    Raises BrokenShard after the samples before the fault. The sample during which the fault came
    is not among them: another of its members may be beyond it.
    """
    texts = TEXT_EXTENSIONS - skipped_fields(source)
    with open_tar(shard) as archive:
        yield from _read_groups(archive, shard, wanted, texts)


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


def _read_groups(
    archive: TarReader, shard: Shard, wanted: Wanted, texts: frozenset[str]
) -> Samples:
    seen = SeenKeys()
    group: _Group | None = None
    ordinal = 0
    while (member := archive.next()) is not None:
        name, size = member
        split = split_name(name)
        if split is None:
            continue
        key, extension = split
        if group is None or key != group.key or extension in group.extensions:
            if group is not None:
                yield from group.samples(wanted)
                ordinal = group.end
            is_new = seen.add(key)
            group = _Group(shard.name, key, ordinal, is_new, is_loaded=is_new and wanted(ordinal))
        group.add(archive, name, extension, size, texts)
    if group is not None:
        yield from group.samples(wanted)


class _Group:
    """The members of one sample, as they come."""

    __slots__ = (
        "_companions",
        "_fields",
        "_image",
        "_image_name",
        "_image_size",
        "_is_dotted",
        "_is_loaded",
        "_is_new",
        "_ordinal",
        "_shard",
        "extensions",
        "key",
    )

    def __init__(self, shard: str, key: str, ordinal: int, is_new: bool, is_loaded: bool) -> None:
        self.key = key
        self.extensions: set[str] = set()
        self._shard = shard
        self._ordinal = ordinal
        self._is_new = is_new
        self._is_loaded = is_loaded
        self._image: bytes | None = None
        self._image_name = ""
        self._image_size = 0
        self._is_dotted = False
        self._companions: list[str] = []  # images with a dotted extension, but the first
        self._fields: dict[str, object] = {}

    def add(
        self, archive: TarReader, name: str, extension: str, size: int, texts: frozenset[str]
    ) -> None:
        """Take the member that the archive is at; its body is read only where it is of use."""
        self.extensions.add(extension)
        last = extension.rpartition(".")[2]
        if last in IMAGE_EXTENSIONS:
            self._add_image(archive, name, size, is_dotted=last != extension)
        elif self._is_loaded and last in texts and size <= FIELD_LIMIT:
            self._fields[extension] = parse_field(extension, archive.body())

    def _add_image(self, archive: TarReader, name: str, size: int, is_dotted: bool) -> None:
        if self._image_name and (is_dotted or not self._is_dotted):
            if self._is_dotted:
                self._companions.append(name)
            return
        self._image_name, self._image_size, self._is_dotted = name, size, is_dotted
        if self._is_loaded and size <= IMAGE_LIMIT:
            self._image = archive.body()

    @property
    def end(self) -> int:
        """The ordinal after this group's."""
        return self._ordinal + 1 + (len(self._companions) if self._is_dotted else 0)

    def samples(self, wanted: Wanted) -> Iterator[Sample | None]:
        """Yield the sample, and a rejected one for each image that the rule of dots took away."""
        yield self._sample() if wanted(self._ordinal) else None
        for ordinal in range(self._ordinal + 1, self.end):
            name = self._companions[ordinal - self._ordinal - 1]
            yield self._reject_companion(name, ordinal) if wanted(ordinal) else None

    def _sample(self) -> Sample:
        identity = sample_id(self._shard, self.key)
        if not self._is_new:
            message = f"the key {self.key} was in this shard before"
            identity = f"{identity}#{self._ordinal}"
            return self._reject(identity, Reason.DUPLICATE_KEY, message)
        if not self._image_name:
            return self._reject(identity, Reason.NO_IMAGE, self._say_no_image())
        if self._image_size > IMAGE_LIMIT:
            message = too_large(self._image_name, self._image_size)
            return self._reject(identity, Reason.UNREADABLE, message)
        assert self._image is not None
        return Sample(
            identity, self.key, self._ordinal, self._image, self._image_name, self._fields
        )

    def _reject(self, identity: str, reason: Reason, message: str) -> Sample:
        return rejected(identity, self.key, self._ordinal, reason, message, self._image_name)

    def _say_no_image(self) -> str:
        found = ", ".join(sorted(f".{extension}" for extension in self.extensions)[:8])
        if any(extension.rpartition(".")[2] in _ARCHIVES for extension in self.extensions):
            return f"{self.key} is an archive within the archive ({found}): unpack it first"
        return f"{self.key} has no image among its members ({found})"

    def _reject_companion(self, name: str, ordinal: int) -> Sample:
        message = (
            f"{name} has the key {self.key}, as {self._image_name} has: a key ends at the first"
            " dot of a file's name; rename the files"
        )
        identity = f"{sample_id(self._shard, self.key)}#{ordinal}"
        return rejected(identity, self.key, ordinal, Reason.DUPLICATE_KEY, message, name)
