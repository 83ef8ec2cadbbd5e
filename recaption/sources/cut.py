"""A shard cut into parts: the first n samples are part 0, the next n part 1, and so on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from recaption import storage
from recaption.config import SourceConfig
from recaption.datasets import Adapter, load_adapter
from recaption.sample import Part, Reason, Rejection, Sample, Shard, Stage
from recaption.sources import folder, parquet, webdataset
from recaption.sources.base import Samples, Wanted
from recaption.sources.ids import SeenKeys, quote_key
from recaption.sources.zip import read_samples as read_zip
from recaption.text import printable

_READERS: dict[str, Callable[[Shard, SourceConfig, Wanted], Samples]] = {
    "webdataset": webdataset.read_samples,
    "parquet": parquet.read_samples,
    "folder": folder.read_samples,
    "zip": read_zip,
}


@dataclass(frozen=True, slots=True)
class ReadPart:
    """A part with all its samples, or with the `fault` for which it cannot be read."""

    part: Part
    samples: list[Sample] = field(default_factory=list)
    fault: str | None = None


def read_parts(
    shard: Shard, source: SourceConfig, skip: Collection[int] = (), count: int | None = None
) -> Iterator[ReadPart]:
    """Yield the parts of a shard in order, but those whose index is in `skip`.

    Images of skipped parts are not loaded. `count` is the shard's number of parts where it is
    known: then reading stops after the last missing one. Holds one part and a sample in memory.

    Where the shard breaks, the last part yielded has the fault instead of samples; its index is
    that of the part in which it broke, or of the next that is not skipped: that one and all
    behind it are unread. Without such a fault the shard was read to its end, even where no
    part is marked as the last because that one is in `skip`.
    """
    cutter = _Cutter(shard, source.part_samples, frozenset(skip))
    own_id = _OwnIds(load_adapter(source.adapter))
    if count is not None and cutter.next_missing(0) >= count:
        return
    try:
        with closing(_READERS[shard.kind](shard, source, cutter.is_wanted)) as samples:
            for sample in samples:
                if cutter.is_full:
                    yield from cutter.cut(is_last=False)
                    if count is not None and cutter.next_missing(cutter.index) >= count:
                        return
                cutter.take(sample and own_id(sample))
    except (ValueError, OSError) as error:  # BrokenShard, StorageError, a local disk's fault
        if cutter.is_full:
            yield from cutter.cut(is_last=False)
        yield cutter.break_off(error)
        return
    yield from cutter.cut(is_last=True)


class _OwnIds:
    """Gives samples the data set's own ids, each once in a shard."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._seen = SeenKeys()

    def __call__(self, sample: Sample) -> Sample:
        own = self._adapter.sample_id(sample)
        if not own:
            return sample
        own = quote_key(own)
        if self._seen.add(own):
            return replace(sample, sample_id=own)
        message = f"the id {own} was in this shard before"
        rejection = Rejection(Stage.READ, Reason.DUPLICATE_KEY, message)
        return replace(
            sample, sample_id=f"{own}#{sample.ordinal}", image=None, fields={}, rejection=rejection
        )


class _Cutter:
    """Gathers the samples of one part."""

    def __init__(self, shard: Shard, part_samples: int, skip: frozenset[int]) -> None:
        self.index = 0
        self._shard = shard
        self._n = part_samples
        self._skip = skip
        self._seen = 0  # samples of this part that went by, held or not
        self._held: list[Sample] = []

    def is_wanted(self, ordinal: int) -> bool:
        return ordinal // self._n not in self._skip

    @property
    def is_full(self) -> bool:
        return self._seen == self._n

    def take(self, sample: Sample | None) -> None:
        self._seen += 1
        if sample is not None:
            self._held.append(sample)

    def cut(self, is_last: bool) -> Iterator[ReadPart]:
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

    def break_off(self, error: Exception) -> ReadPart:
        self._held = []
        if not isinstance(error, ValueError):
            error = storage.explain(error, self._shard.url, "read")
        part = Part(self._shard.name, self.next_missing(self.index))
        return ReadPart(part, fault=printable(str(error)))
