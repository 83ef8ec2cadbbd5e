"""How many images a run will see: told by listings, else estimated from what was read so far.

A shard that was read to its end is counted. One that is being read has as many images as its
bytes hold of the size met so far. The others have as many per byte as those that were looked into
(or, where sizes are not known, as many as their mean).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from recaption.parts import PreparedPart
from recaption.sample import Sample, Shard

_TAR_FILE = 768  # bytes of a tar beside a file's own: its header, and half a block that fills up
_TAR_TEXT = 1024  # bytes of a small text in a tar: its header and a block


@dataclass(slots=True)
class Weight:
    """The mean size of samples in their shard."""

    bytes: int = 0
    samples: int = 0

    def add(self, sample: Sample, shard: Shard) -> None:
        """Count a sample that was read."""
        around = _TAR_FILE + _TAR_TEXT * len(sample.fields) if shard.kind == "webdataset" else 0
        self.bytes += len(sample.image or b"") + around
        self.samples += 1

    @property
    def mean(self) -> float:
        """Bytes a sample; 0 where none was read."""
        return self.bytes / self.samples if self.samples else 0.0


def images_in_shard(prepared: PreparedPart, part_samples: int) -> float:
    """Return how many images a shard has, about, when it was read to this part's end."""
    part, shard = prepared.part, prepared.shard
    read = part.index * part_samples + len(prepared.samples)
    if part.is_last or not (shard.size and prepared.sample_bytes):
        return read
    return max(read, shard.size / prepared.sample_bytes)


@dataclass(frozen=True, slots=True)
class Known:
    """The shards that were looked into, added up."""

    shards: int = 0
    bytes: int = 0
    images: float = 0.0


class LookedInto:
    """Adds up what is known of shards; each counts once, as it was told last."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[int, float]] = {}
        self._bytes, self._images = 0, 0.0

    def add(self, shard: str, size: int, images: float) -> None:
        """Take in how many images a shard has, about."""
        old_size, old_images = self._of.get(shard, (0, 0.0))
        self._of[shard] = size, images
        self._bytes += size - old_size
        self._images += images - old_images

    def known(self) -> Known:
        """Return the sums."""
        return Known(len(self._of), self._bytes, self._images)


@dataclass(frozen=True, slots=True)
class Bulk:
    """Some shards: `images` of those whose listing told them, and count and bytes of the others."""

    images: int = 0
    shards: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, shards: Iterable[Shard]) -> Bulk:
        """Add up shards."""
        images = count = size = 0
        for shard in shards:
            if shard.images is not None:
                images += shard.images
            else:
                count, size = count + 1, size + (shard.size or 0)
        return cls(images, count, size)

    def estimate(self, known: Known) -> float | None:
        """Return their images by the mean of what is known; None while nothing is."""
        if not self.shards:
            return self.images
        if not known.images:
            return None
        if self.bytes and known.bytes:
            return self.images + self.bytes * known.images / known.bytes
        return self.images + self.shards * known.images / known.shards


@dataclass(frozen=True, slots=True)
class Extent:
    """The images of a job: `exact` where they are known before, else all shards and those done.

    `part_images` are in the parts of unfinished shards that were committed before.
    """

    exact: int | None = None
    shards: Bulk = Bulk()
    done: Bulk = Bulk()
    part_images: int = 0

    def total(self, known: Known) -> float | None:
        """Return how many images there are, about; None while that cannot be told."""
        return self.exact if self.exact is not None else self.shards.estimate(known)

    def before(self, known: Known) -> float:
        """Return how many of them earlier runs have done, about."""
        return self.part_images + (self.done.estimate(known) or 0.0)

    @property
    def is_exact(self) -> bool:
        """Whether the total is counted, and not estimated."""
        return self.exact is not None or not self.shards.shards
