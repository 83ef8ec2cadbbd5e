"""Values that change over a training: given as points, read by how far the training is."""

from __future__ import annotations

from bisect import bisect_right
from typing import Literal

from pydantic import Field, field_validator

from recaption.config import Section


class Schedule(Section):
    """A value over training progress, from 0 at the first image to 1 at the last.

    Before the first point it is that point's value, behind the last one that one's. Between two
    points it is on the line between them, or, with `step`, the earlier one's.
    """

    points: list[tuple[float, float]] = Field(min_length=1, description="[[progress, value], ...]")
    interpolation: Literal["linear", "step"] = "linear"

    @field_validator("points")
    @classmethod
    def _in_order(cls, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        places = [place for place, _ in points]
        if places != sorted(set(places)) or not 0 <= places[0] <= places[-1] <= 1:
            raise ValueError(
                f"expected progress from 0 to 1, each more than the last, got {places}"
            )
        return points

    def at(self, progress: float) -> float:
        """Return the value at a progress."""
        after = bisect_right([place for place, _ in self.points], progress)
        if after == 0:
            return self.points[0][1]
        (x0, y0), (x1, y1) = self.points[after - 1], self.points[min(after, len(self.points) - 1)]
        if self.interpolation == "step" or x1 == x0:
            return y0
        return y0 + (y1 - y0) * (progress - x0) / (x1 - x0)


Value = float | Schedule
"""A number, or one that changes over the training."""


def value_at(value: Value, progress: float) -> float:
    """Return what a number or a schedule is at a progress."""
    return value.at(progress) if isinstance(value, Schedule) else value


def places_of(*values: Value) -> list[float]:
    """Return where values turn: the ends and their points; between these they are lines."""
    turns = {place for one in values if isinstance(one, Schedule) for place, _ in one.points}
    return sorted({0.0, 1.0} | turns)
