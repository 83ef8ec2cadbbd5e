"""The counts of a version, from its commit records; and which of its parts the report looks into.

Nothing here opens a part's captions. Of a corpus with more parts than `COUNTED` a random choice
of that many is counted, and the counts are scaled up: `Census.is_exact` says so.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

from recaption import keyed
from recaption.corpus.ledger import CommitRecord, Committed
from recaption.corpus.reader import CorpusReader
from recaption.sample import Part

COUNTED = 50_000
"""Parts whose records are read; on S3 about 1,000 a second."""

_THREADS = 16

Chain = list[CommitRecord]
"""The records of one part: its first commit, then its replays."""


@dataclass(slots=True)
class Census:
    """What a version holds. The counts are of `counted` parts; `scaled` makes them of all."""

    parts: int = 0
    counted: int = 0
    shards: int = 0
    unfinished_shards: int = 0
    read: int = 0
    captioned: int = 0
    captions: int = 0
    rejected_captions: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first_commit: str = ""
    last_commit: str = ""
    chosen: list[Chain] = field(default_factory=list)
    chosen_for_rejects: list[Chain] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        """Samples without a caption."""
        return self.read - self.captioned

    @property
    def is_exact(self) -> bool:
        """Whether every part was counted."""
        return self.counted == self.parts

    def scaled(self, count: int) -> int:
        """Return a count of the counted parts, or an estimate for all of them in four digits."""
        if self.is_exact or not count:
            return count
        estimate = round(count * self.parts / self.counted)
        return round(estimate, 3 - math.floor(math.log10(estimate)))


def take_census(reader: CorpusReader, looked_into: int, seed: int) -> Census:
    """Count a version; choose up to `looked_into` parts by key: the same seed, the same ones."""
    committed = reader.committed()
    counted = _subset(committed, COUNTED, seed)
    census = Census(
        parts=committed.count(),
        counted=counted.count(),
        shards=len(committed.parts),
        unfinished_shards=sum(not committed.is_complete(shard) for shard in committed.parts),
    )
    choice = _Choice(looked_into, seed)
    replayed = []
    for chain in _chains(reader.ledger.records(counted)):
        _count(census, chain)
        choice.add(chain)
        if len(chain) > 1:
            replayed.append(chain)
    _count_standing_rejects(census, reader, replayed)
    census.chosen = choice.parts()
    census.chosen_for_rejects = choice.parts_with_rejects()
    return census


def _subset(committed: Committed, most: int, seed: int) -> Committed:
    if committed.count() <= most:
        return committed
    subset = Committed()
    for part in heapq.nsmallest(most, committed, key=lambda p: _order(p, seed)):
        subset.add(part)
        retries = committed.retries.get((part.shard, part.index), 0)
        if retries:
            subset.add(part, retries)
    return subset


def _order(part: Part, seed: int) -> int:
    return keyed.integer("report", "part", seed, part.shard, part.index)


def _chains(records: Iterable[CommitRecord]) -> Iterator[Chain]:
    for _, chain in groupby(records, key=lambda r: (r.shard, r.index)):
        yield list(chain)


def _count(census: Census, chain: Chain) -> None:
    first = chain[0]
    census.read += first.read
    census.captioned += first.captioned + sum(replay.recovered for replay in chain[1:])
    census.captions += sum(record.captions for record in chain)
    if len(chain) == 1:
        census.rejected_captions += first.rejected_captions
        census.reasons.update(first.rejects)
    census.first_commit = min(census.first_commit or first.committed_at, first.committed_at)
    census.last_commit = max(census.last_commit, chain[-1].committed_at)


def _count_standing_rejects(census: Census, reader: CorpusReader, replayed: list[Chain]) -> None:
    """Count the rejects of replayed parts, whose records tell only what was replayed."""

    def count(chain: Chain) -> tuple[Counter[str], int]:
        table = reader.rejects(chain)
        of_captions = table.num_rows - table["style"].null_count
        return Counter(table["reason"].to_pylist()), of_captions

    with ThreadPoolExecutor(_THREADS) as pool:
        for reasons, of_captions in pool.map(count, replayed):
            census.reasons.update(reasons)
            census.rejected_captions += of_captions


class _Choice:
    """Keeps the parts with the smallest keys: of all, of those with rejects, and per reason one."""

    def __init__(self, most: int, seed: int) -> None:
        self._most = most
        self._seed = seed
        self._all: list[tuple[int, int, Chain]] = []
        self._rejects: list[tuple[int, int, Chain]] = []
        self._by_reason: dict[str, tuple[int, Chain]] = {}
        self._seen = 0

    def add(self, chain: Chain) -> None:
        order = _order(chain[0].part, self._seed)
        self._keep(self._all, order, chain)
        if chain[-1].rejects_file:
            self._keep(self._rejects, order, chain)
            for reason in {reason for record in chain for reason in record.rejects}:
                if reason not in self._by_reason or order < self._by_reason[reason][0]:
                    self._by_reason[reason] = (order, chain)

    def parts(self) -> list[Chain]:
        return [chain for *_, chain in sorted(self._all, reverse=True)]

    def parts_with_rejects(self) -> list[Chain]:
        chains = [chain for *_, chain in sorted(self._rejects, reverse=True)]
        chains += [chain for _, chain in self._by_reason.values()]
        return list({(c[0].shard, c[0].index): c for c in chains}.values())

    def _keep(self, heap: list[tuple[int, int, Chain]], order: int, chain: Chain) -> None:
        self._seen += 1  # a tie-breaker, so that records are never compared
        push = heapq.heappush if len(heap) < self._most else heapq.heappushpop
        push(heap, (-order, self._seen, chain))
