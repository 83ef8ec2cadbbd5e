"""What the page is told of images whose content is known: how true their captions are.

The report knows of no such images. Whoever does (recaption.shapeworld) hands it a `Truth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CaptionTruth:
    """One caption held against its image.

    `holds` counts the claims that are true, `false` names those that are not; `told` counts what
    a caption of its style should tell and this one does, `untold` names the rest.
    """

    holds: int
    false: tuple[str, ...]
    told: int
    untold: tuple[str, ...]

    @property
    def precision(self) -> float | None:
        """The share of its claims that are true; None where it makes none."""
        return _share(self.holds, len(self.false))

    @property
    def recall(self) -> float | None:
        """The share told of what it should tell; None where that is not known."""
        return _share(self.told, len(self.untold))


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95% interval, of `n`."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class TruthLine:
    """Precision and recall over many captions: of all, or of those of a style."""

    name: str
    precision: Share | None
    recall: Share | None


class Truth(Protocol):
    """What is known of a corpus's images."""

    def lines(self) -> Sequence[TruthLine]:
        """Return the figures over the whole corpus: of all captions, then of each style."""

    def of(self, sample_id: str, region: str, style: str, caption: str) -> CaptionTruth | None:
        """Hold a caption against its image; None where nothing is known of that."""


def _share(so_many: int, others: int) -> float | None:
    return so_many / (so_many + others) if so_many + others else None
