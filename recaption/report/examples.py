"""Looks into chosen parts, one after the other: measures their captions, picks the examples."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from recaption import keyed
from recaption.corpus.reader import CorpusReader
from recaption.report.cards import Card, Reject, Row, choose_evenly, make_card, make_reject
from recaption.report.census import Chain
from recaption.report.measure import Measures
from recaption.report.truth import Truth

MEASURED = 300_000
"""Captions after which no further part is looked into."""

REJECTS = 40
"""Rejects that are shown."""


@dataclass(slots=True)
class Example:
    """A sample that is shown: its captions, and what was rejected of it."""

    order: int
    sample_id: str
    captions: list[Row]
    chain: Chain
    rejects: list[Reject] = field(default_factory=list)


@dataclass(slots=True)
class CaptionsSeen:
    """What the chosen parts hold."""

    measures: Measures = field(default_factory=Measures)
    examples: list[Example] = field(default_factory=list)

    def cards(self, styles: Sequence[str], truth: Truth | None) -> list[Card]:
        """Make the examples' cards, in the order of shards and samples."""
        cards = [
            make_card(e.captions, e.chain[0].shard_url, styles, e.rejects, truth)
            for e in self.examples
        ]
        return sorted(cards, key=lambda c: (c.sample.shard, c.sample.ordinal))


@dataclass(slots=True)
class RejectKind:
    """What the rows of a reason tell about it."""

    stages: set[str] = field(default_factory=set)
    is_of_captions: bool = False


@dataclass(slots=True)
class RejectsSeen:
    """Examples of rejects, and what the reasons stand for."""

    examples: list[Reject] = field(default_factory=list)
    kinds: dict[str, RejectKind] = field(default_factory=dict)


def look_into_captions(
    reader: CorpusReader, chains: Iterable[Chain], samples: int, seed: int
) -> CaptionsSeen:
    """Measure parts; of all their samples pick those with the smallest keys."""
    seen = CaptionsSeen()
    for chain in chains:
        table = reader.captions(chain)
        seen.measures.add(table)
        picked = [*seen.examples, *_pick(table, chain, samples, seed)]
        seen.examples = heapq.nsmallest(samples, picked, key=lambda e: (e.order, e.sample_id))
        if seen.measures.captions >= MEASURED:
            break
    _add_rejects(reader, seen.examples)
    return seen


def look_into_rejects(reader: CorpusReader, chains: Iterable[Chain], seed: int) -> RejectsSeen:
    """Pick rejects, and learn of each reason its stage and whether it is of single captions."""
    seen = RejectsSeen()
    for chain in chains:
        for reject in _rejects(reader, chain):
            kind = seen.kinds.setdefault(reject.reason, RejectKind())
            kind.stages.add(reject.stage)
            kind.is_of_captions |= bool(reject.asked)
            seen.examples.append(reject)
        seen.examples = choose_evenly(seen.examples, REJECTS, seed)
    return seen


def _pick(table: pa.Table, chain: Chain, samples: int, seed: int) -> Iterator[Example]:
    ids = {s: keyed.integer("report", seed, s) for s in table["sample_id"].unique().to_pylist()}
    smallest = heapq.nsmallest(samples, ids, key=lambda s: ids[s])
    for sample_id, rows in _rows_of(table, smallest).items():
        yield Example(ids[sample_id], sample_id, rows, chain)


def _rows_of(table: pa.Table, samples: Collection[str]) -> dict[str, list[Row]]:
    wanted = pc.is_in(table["sample_id"], pa.array(samples, pa.string()))
    rows: dict[str, list[Row]] = {}
    for row in table.filter(wanted).to_pylist():
        rows.setdefault(row["sample_id"], []).append(row)
    return rows


def _add_rejects(reader: CorpusReader, examples: list[Example]) -> None:
    by_sample = {example.sample_id: example for example in examples}
    chains = {example.chain[0].part: example.chain for example in examples}
    for chain in chains.values():
        for reject in _rejects(reader, chain):
            if reject.sample.sample_id in by_sample:
                by_sample[reject.sample.sample_id].rejects.append(reject)


def _rejects(reader: CorpusReader, chain: Chain) -> Iterator[Reject]:
    """Yield a part's standing rejects, those of one sample and reason together."""
    if not chain[-1].rejects_file:
        return
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in reader.rejects(chain).to_pylist():
        groups.setdefault((row["sample_id"], row["stage"], row["reason"]), []).append(row)
    yield from (make_reject(rows, chain[0].shard_url) for rows in groups.values())
