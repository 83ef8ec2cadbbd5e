"""The ledger: which parts are committed.

    CORPUS/corpus.json                              data set, root, part size: fixed at the start
    CORPUS/recipes/FINGERPRINT.yaml                 the recipe of each version
    CORPUS/versions/FINGERPRINT/captions/PART.ATTEMPT.parquet
    CORPUS/versions/FINGERPRINT/rejects/PART.ATTEMPT.parquet
    CORPUS/versions/FINGERPRINT/commits/PART.json   PART.last.json for the end of a shard,
                                                    PART.retry-01.json for replayed rejects
    CORPUS/runs/RUN.json                            one summary per run

A part exists once its commit record does. The record is put last, if absent, and names its data
files, whose names hold the attempt: two attempts at a part never write the same file, the first
to put the record wins, and the loser's files are garbage. Which parts exist follows from a
listing of names alone; no record is opened to skip a part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from recaption import storage
from recaption.corpus.damage import read_as
from recaption.sample import Part

_RECORD = re.compile(
    r"(?P<shard>.+)-(?P<index>\d{5,12})(?P<last>\.last)?(?:\.retry-(?P<retry>\d{2,4}))?\.json"
)
_THREADS = 32
_AT_ONCE = 4096

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """What a committed part holds. Counts of samples reconcile: read = captioned + rejected.

    A replay (`retry` above 0) counts the samples that it read again, and as `recovered` those of
    them that have their first caption now.
    """

    shard: str
    index: int
    is_last: bool
    read: int
    captioned: int
    rejected: int
    captions: int
    rejected_captions: int
    rejects: dict[str, int]
    captions_file: str
    rejects_file: str
    attempt: str
    run_id: str
    fingerprint: str
    committed_at: str
    seconds: float
    shard_url: str = ""
    shard_size: int | None = None
    retry: int = 0
    recovered: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.read != self.captioned + self.rejected:
            raise ValueError(
                f"part {self.part.name} does not add up: {self.read} samples read,"
                f" {self.captioned} captioned + {self.rejected} rejected"
            )

    @property
    def part(self) -> Part:
        """The part that is committed."""
        return Part(self.shard, self.index, self.is_last)


@dataclass(slots=True)
class Committed:
    """The committed parts of a corpus, as a listing tells: memory grows with parts only."""

    parts: dict[str, set[int]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    retries: dict[tuple[str, int], int] = field(default_factory=dict)

    def count(self) -> int:
        """How many parts are committed."""
        return sum(len(indices) for indices in self.parts.values())

    def of(self, shard: str) -> frozenset[int]:
        """The committed part indices of a shard."""
        return frozenset(self.parts.get(shard, ()))

    def count_of(self, shard: str) -> int | None:
        """How many parts a shard has, where its end is committed and tells."""
        last = self.last.get(shard)
        return None if last is None else last + 1

    def is_complete(self, shard: str) -> bool:
        """Whether every part of a shard is committed, its end included.

        Parts behind the end are of a shard that was longer once, and do not matter.
        """
        count, parts = self.count_of(shard), self.parts.get(shard, set())
        return count is not None and all(index in parts for index in range(count))

    def part(self, shard: str, index: int) -> Part:
        """Return a part as it was committed: as the last of its shard, or not."""
        return Part(shard, index, self.last.get(shard) == index)

    def last_retry(self, part: Part) -> int:
        """Return the number of a part's last replay, 0 if it has none."""
        return self.retries.get((part.shard, part.index), 0)

    def add(self, part: Part, retry: int = 0) -> None:
        """Enter a part."""
        if retry:
            key = (part.shard, part.index)
            self.retries[key] = max(retry, self.retries.get(key, 0))
            return
        self.parts.setdefault(part.shard, set()).add(part.index)
        if part.is_last:
            self.last[part.shard] = part.index

    def __iter__(self) -> Iterator[Part]:
        for shard in sorted(self.parts):
            for index in sorted(self.parts[shard]):
                yield self.part(shard, index)


class Ledger:
    """The committed parts of one version of a corpus."""

    def __init__(self, corpus: str, fingerprint: str) -> None:
        self.corpus = corpus
        self.fingerprint = fingerprint
        self.folder = storage.join(corpus, "versions", fingerprint)

    def committed(self) -> Committed:
        """List the committed parts."""
        found = Committed()
        for name in storage.list_own(self.corpus, "versions", self.fingerprint, "commits"):
            match = _RECORD.fullmatch(name)
            if match:
                part = Part(match["shard"], int(match["index"]), match["last"] is not None)
                found.add(part, int(match["retry"] or 0))
        return found

    def commit(self, record: CommitRecord) -> bool:
        """Make a part visible. False if it was committed before."""
        data = json.dumps(asdict(record), indent=1).encode()
        return storage.put_if_absent(self._record_url(record.part, record.retry), data)

    def read(self, part: Part, retry: int = 0) -> CommitRecord:
        """Read a part's record. Raises StorageError, also where it is damaged."""
        return read_record(self._record_url(part, retry), CommitRecord)

    def records(self, parts: Committed | None = None) -> Iterator[CommitRecord]:
        """Read all records, a part's first one before its replays."""
        found = self.committed() if parts is None else parts
        wanted = [(part, retry) for part in found for retry in range(found.last_retry(part) + 1)]
        yield from in_threads(lambda w: self.read(*w), wanted)

    def chain(self, part: Part, count: int) -> list[CommitRecord]:
        """Read the first `count` records of one part: its first commit, then its replays."""
        return [self.read(part, retry) for retry in range(count)]

    def data_url(self, name: str) -> str:
        """Return the URL of a data file that a record names; it does not lead out of the corpus."""
        return storage.own(self.corpus, "versions", self.fingerprint, name)

    def _record_url(self, part: Part, retry: int) -> str:
        name = part.name + (".last" if part.is_last else "")
        name += f".retry-{retry:02d}" if retry else ""
        return storage.join(self.folder, "commits", f"{name}.json")


def read_record(url: str, kind: type[_Result]) -> _Result:
    """Read a commit record of a kind. Raises StorageError, also where it is damaged."""
    return read_as(url, kind)


def in_threads(work: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
    """Do what waits for storage, many items at a time; yield the results in their order."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(items), _AT_ONCE):
            yield from pool.map(work, items[start : start + _AT_ONCE])
