"""Replaying rejects: which samples and captions are asked again, and how.

A sample that was rejected whole (not decoded, say) is read and asked all its questions again; a
caption that was rejected is asked alone, in its slot. One that the engine failed on keeps its
seed; one that a check threw out gets another, since the same would give the same.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from recaption import keyed
from recaption.config import RecipeError, nearest
from recaption.corpus.ledger import CommitRecord, Committed, Ledger, in_threads
from recaption.corpus.tables import standing_rejects
from recaption.job import Job
from recaption.parts import PreparedPart, PreparedSample
from recaption.prepare import Preparer
from recaption.sample import Part, Reason, Request, Shard, Stage

Slots = dict[tuple[str, int] | None, str]
"""What to replay of a sample: (style, slot) or None for all of it, with the stage it failed in."""


@dataclass(frozen=True, slots=True)
class PartReplay:
    """What is replayed of a part, by sample id, in its replay number `retry`."""

    part: Part
    retry: int
    samples: dict[str, Slots]


@dataclass(frozen=True, slots=True)
class ShardReplay:
    """What is replayed of a shard."""

    shard: Shard
    parts: dict[int, PartReplay]

    @property
    def images(self) -> int:
        """How many samples are asked about again."""
        return sum(len(part.samples) for part in self.parts.values())

    def prepared(self, preparer: Preparer) -> Iterator[PreparedPart]:
        """Read the shard's parts again and yield what is replayed of them."""
        last = max(self.parts)
        skip = [i for i in range(last + 1) if i not in self.parts]
        for prepared in preparer.parts(self.shard, skip):
            if prepared.part.index > last:
                return
            replay = self.parts[prepared.part.index]
            samples = [_ask_again(s, replay) for s in prepared.samples]
            yield replace(
                prepared,
                part=replay.part,
                samples=tuple(s for s in samples if s is not None),
                retry=replay.retry,
            )


def parse_reasons(names: Collection[str]) -> frozenset[str]:
    """Check reason names. Raises RecipeError for one that does not exist."""
    known = [reason.value for reason in Reason]
    for name in names:
        if name not in known:
            raise RecipeError(
                f"--reason: no reason {name!r}{nearest(name, known)} (reasons: {', '.join(known)})"
            )
    return frozenset(names)


def plan_replay(
    job: Job, committed: Committed, reasons: frozenset[str], limit: int | None = None
) -> list[ShardReplay]:
    """Find the rejects that stand and are to be replayed; `reasons` empty: all of them.

    At most those of the first `limit` samples; a replay takes the other rejects of its part over.
    """
    left = sys.maxsize if limit is None else limit

    def plan_part(part: Part) -> PartReplay:
        last = committed.last_retry(part)
        record = job.ledger.read(part, last)
        return PartReplay(part, last + 1, _to_replay(job.ledger, record, reasons))

    shards = {shard.name: shard for shard in job.shards}
    parts = [committed.part(name, i) for name in shards for i in sorted(committed.of(name))]
    planned: dict[str, dict[int, PartReplay]] = {}
    for replay in in_threads(plan_part, parts):
        replay = replace(replay, samples=dict(islice(replay.samples.items(), left)))
        left -= len(replay.samples)
        if replay.samples:
            planned.setdefault(replay.part.shard, {})[replay.part.index] = replay
    return [ShardReplay(shards[name], replays) for name, replays in planned.items()]


def _to_replay(ledger: Ledger, record: CommitRecord, reasons: frozenset[str]) -> dict[str, Slots]:
    # A first record counts all rejects; that of a replay not those it took over, in its file.
    if reasons and record.retry == 0 and reasons.isdisjoint(record.rejects):
        return {}
    samples: dict[str, Slots] = {}
    for row in standing_rejects(ledger, [record]).to_pylist():
        if not reasons or row["reason"] in reasons:
            slot = None if row["style"] is None else (row["style"], row["slot"])
            samples.setdefault(row["sample_id"], {})[slot] = row["stage"]
    return samples


def _ask_again(prepared: PreparedSample, replay: PartReplay) -> PreparedSample | None:
    slots = replay.samples.get(prepared.sample.sample_id)
    if slots is None:
        return None
    if None in slots:
        return prepared
    if prepared.rejection is not None:
        return None  # it has captions, and cannot be read now: its rejects stand as they are
    requests = [
        _one_slot(request, slot, slots[request.style, slot], replay.retry)
        for request in prepared.requests
        for slot in range(request.n)
        if (request.style, slot) in slots
    ]
    return replace(prepared, requests=tuple(requests))


def _one_slot(request: Request, slot: int, stage: str, retry: int) -> Request:
    seed = request.seed + slot
    if stage == Stage.CHECK:
        seed = keyed.integer("replay", request.seed, slot, retry, bits=48)
    return replace(request, n=1, seed=seed, first_slot=slot)
