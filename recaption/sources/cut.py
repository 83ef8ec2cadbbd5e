"""A shard cut into parts: the first n samples are part 0, the next n part 1, and so on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from recaption import storage
from recaption.config import SourceConfig
from recaption.datasets import Adapter, load_adapter
from recaption.sample import Part, Reason, Rejection, Sample, Shard, Stage
from recaption.sources import folder, parquet, webdataset
from recaption.sources.base import Samples, Wanted
from recaption.sources.ids import SeenKeys, quote_key
from recaption.sources.inside import check_shard
from recaption.sources.zip import read_samples as read_zip
from recaption.storage.shown import text_without_secrets
from recaption.text import describe_error, printable

log = logging.getLogger(__name__)

T = TypeVar("T")

_READERS: dict[str, Callable[[Shard, SourceConfig, Wanted], Samples]] = {
    "webdataset": webdataset.read_samples,
    "parquet": parquet.read_samples,
    "folder": folder.read_samples,
    "zip": read_zip,
}
_LONGEST_FAULT = 500  # characters


@dataclass(frozen=True, slots=True)
class ReadPart(Generic[T]):
    """A part with all its samples, or with the `fault` for which it cannot be read."""

    part: Part
    samples: list[T] = field(default_factory=list)
    fault: str | None = None


def read_parts(
    shard: Shard, source: SourceConfig, skip: Collection[int] = (), count: int | None = None
) -> Iterator[ReadPart[Sample]]:
    """Yield the parts of a shard in order, but those whose index is in `skip`.

    Images of skipped parts are not loaded. `count` is the shard's number of parts where it is
    known: then reading stops after the last missing one. Holds one part and a sample in memory.

    Where the shard breaks, the last part yielded has the fault instead of samples; its index is
    that of the part in which it broke, or of the next that is not skipped: that one and all
    behind it are unread. Without such a fault the shard was read to its end, even where no
    part is marked as the last because that one is in `skip`.
    """
    return map_parts(shard, source, lambda sample: sample, skip, count)


def map_parts(
    shard: Shard,
    source: SourceConfig,
    make: Callable[[Sample], T],
    skip: Collection[int] = (),
    count: int | None = None,
) -> Iterator[ReadPart[T]]:
    """Yield parts as `read_parts` does, of what `make` returns for each sample as it is read.

    Holds what `make` returned for a part, and of the samples themselves one: a part of encoded
    images may be far larger than the shard that they are packed in.
    """
    cutter: _Cutter[T] = _Cutter(shard, source.part_samples, frozenset(skip))
    own_id = _OwnIds(load_adapter(source.adapter))
    if count is not None and cutter.next_missing(0) >= count:
        return
    samples = _open(shard, source, cutter.is_wanted)
    fault = None
    with closing(samples):
        while True:
            try:
                sample = next(samples)
            except StopIteration:
                break
            except Exception as error:  # whatever a reader raises ends its shard, no more
                fault = _explain(error, shard)
                break
            if cutter.is_full:
                yield from cutter.cut(is_last=False)
                if count is not None and cutter.next_missing(cutter.index) >= count:
                    return
            cutter.take(None if sample is None else make(own_id(sample)))
            del sample  # before the next is read: each may be large
    if fault is None:
        yield from cutter.cut(is_last=True)
        return
    if cutter.is_full:
        yield from cutter.cut(is_last=False)
    yield cutter.break_off(fault)


def _open(shard: Shard, source: SourceConfig, wanted: Wanted) -> Samples:
    check_shard(shard, source)
    yield from _READERS[shard.kind](shard, source, wanted)


def _explain(error: Exception, shard: Shard) -> str:
    """Return the fault of a shard as one line."""
    if isinstance(error, OSError):  # a local disk's
        error = storage.explain(error, shard.url, "read")
    if isinstance(error, ValueError) and str(error):  # BrokenShard, StorageError
        return text_without_secrets(printable(str(error)))
    log.info("%s: reading failed", shard.name, exc_info=error)
    message = f"{shard.name}: it cannot be read on ({describe_error(error)})"
    return printable(message)[:_LONGEST_FAULT]


class _OwnIds:
    """Gives samples the data set's own ids, each once in a shard."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._seen = SeenKeys()

    def __call__(self, sample: Sample) -> Sample:
        try:
            own = self._adapter.sample_id(sample)
        except Exception as error:  # the adapter stumbles over what stands beside this image
            message = f"the adapter found no id ({describe_error(error)})"
            return _without_image(sample, sample.sample_id, Reason.FAILED, message)
        if not own:
            return sample
        own = quote_key(own)
        if self._seen.add(own):
            return replace(sample, sample_id=own)
        message = f"the id {own} was in this shard before"
        own = f"{own}#{sample.ordinal}"
        return _without_image(sample, own, Reason.DUPLICATE_KEY, message)


def _without_image(sample: Sample, identity: str, reason: Reason, message: str) -> Sample:
    rejection = Rejection(Stage.READ, reason, printable(message))
    return replace(sample, sample_id=identity, image=None, fields={}, rejection=rejection)


class _Cutter(Generic[T]):
    """Gathers the samples of one part."""

    def __init__(self, shard: Shard, part_samples: int, skip: frozenset[int]) -> None:
        self.index = 0
        self._shard = shard
        self._n = part_samples
        self._skip = skip
        self._seen = 0  # samples of this part that went by, held or not
        self._held: list[T] = []

    def is_wanted(self, ordinal: int) -> bool:
        return ordinal // self._n not in self._skip

    @property
    def is_full(self) -> bool:
        return self._seen == self._n

    def take(self, sample: T | None) -> None:
        self._seen += 1
        if sample is not None:
            self._held.append(sample)

    def cut(self, is_last: bool) -> Iterator[ReadPart[T]]:
        """End this part: yield it unless it is skipped, and begin the next."""
        part = Part(self._shard.name, self.index, is_last)
        is_skipped, held = self.index in self._skip, self._held
        self.index, self._seen, self._held = self.index + 1, 0, []
        if not is_skipped:
            assert is_last or len(held) == self._n, (part, len(held))
            yield ReadPart(part, held)

    def next_missing(self, index: int) -> int:
        while index in self._skip:
            index += 1
        return index

    def break_off(self, fault: str) -> ReadPart[T]:
        self._held = []
        part = Part(self._shard.name, self.next_missing(self.index))
        return ReadPart(part, fault=fault)
