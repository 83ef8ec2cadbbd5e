"""What travels between the stages of the pipeline: a part with all its samples, as one row.

A part that is one row stays one block of Ray Data, from the reader to the commit; nothing splits
it or merges it with another. A sample that failed stays in its part with its rejection.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from recaption.safeguards.verdict import Verdict
from recaption.sample import Caption, Hints, Part, Rejection, Request, Sample, Shard

if TYPE_CHECKING:
    from recaption.decode import PreparedImage

HANDED_BACK = "handed back: "
"""The start of a fault after which another pass should take the part: it is not the part's own."""


class _Row:
    """To and from a row of Ray Data; the payload is only ever our own processes' pickle."""

    __slots__ = ()

    def to_row(self) -> pa.Table:
        """Return a block of one row."""
        return pa.table({"payload": pa.array([pickle.dumps(self, protocol=5)], pa.large_binary())})

    @classmethod
    def from_row(cls, block: pa.Table) -> Self:
        """Read a block of one row."""
        (payload,) = block["payload"]
        value = pickle.loads(payload.as_buffer())  # noqa: S301 - our own, never from a shard
        assert isinstance(value, cls), type(value)
        return value


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """A sample ready for the engine: its image reduced, its prompts written.

    Of `sample` only the identity is kept, not the image as found. `hints` are as found, `shown`
    what of them the prompts may show. `rejection` says why there is nothing to ask.
    """

    sample: Sample
    hints: Hints = field(default_factory=Hints)
    shown: Hints = field(default_factory=Hints)
    image: PreparedImage | None = None
    requests: tuple[Request, ...] = ()
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True)
class PreparedPart(_Row):
    """A part on its way to the engine; `fault` says why it could not be read.

    `retry` is 0, or the number of the replay, which holds only the samples that are replayed.
    `unit` is empty, or names what is asked about regions of its images (`corpus.regions`).
    `sample_bytes` is what one of its samples takes of its shard, about; 0: not known.
    """

    shard: Shard
    part: Part
    samples: tuple[PreparedSample, ...] = ()
    fault: str = ""
    retry: int = 0
    unit: str = ""
    sample_bytes: float = field(default=0.0, compare=False)

    @property
    def is_whole(self) -> bool:
        """Whether it holds all that is asked about its images."""
        return not self.retry and not self.unit

    @property
    def name(self) -> str:
        """What is under way, by name."""
        return f"{self.part.name} {self.unit}" if self.unit else self.part.name

    def with_samples(self, samples: tuple[PreparedSample, ...]) -> PreparedPart:
        """Return the part with its samples changed."""
        return replace(self, samples=samples)


class Outcome(StrEnum):
    """How a caption fared with the safeguards. A closed set."""

    ACCEPTED = "accepted"
    REPAIRED = "repaired"
    PRUNED = "pruned"
    FUSED = "fused"
    FALLBACK = "fallback"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Judged:
    """A caption that went through the safeguards, or the `rejection` for which it is left out.

    `request` is the one that wrote it, for its slot alone: of a repair, the last.
    """

    request: Request
    caption: Caption
    verdicts: tuple[Verdict, ...]
    outcome: Outcome
    rejection: Rejection | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: its captions, or a rejection, and how often it was run.

    `judged` is what the safeguards made of the captions, in their order.
    """

    request: Request
    captions: tuple[Caption, ...] = ()
    rejection: Rejection | None = None
    attempts: int = 1
    judged: tuple[Judged, ...] = ()


@dataclass(frozen=True, slots=True)
class CaptionedSample:
    """A sample with all its answers; its pixels are gone."""

    prepared: PreparedSample
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class CaptionedPart(_Row):
    """A part on its way to the corpus, with the engine that answered."""

    shard: Shard
    part: Part
    samples: tuple[CaptionedSample, ...] = ()
    engine: str = ""
    engine_version: str = ""
    fault: str = ""
    is_fatal: bool = False
    seconds: float = 0.0
    retry: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Receipt(_Row):
    """What became of a part: counts of what was committed, or the fault.

    `rejects` counts rejected samples and captions by reason, `outcomes` how captions fared.
    `was_there` is true where another attempt had committed the part before. A fault that
    `is_fatal` ends the run.
    """

    part: Part
    read: int = 0
    captioned: int = 0
    rejected: int = 0
    captions: int = 0
    rejected_captions: int = 0
    rejects: tuple[tuple[str, int], ...] = ()
    outcomes: tuple[tuple[str, int], ...] = ()
    retried_requests: int = 0
    fault: str = ""
    is_fatal: bool = False
    was_there: bool = False
    retry: int = 0
