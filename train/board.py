"""[Ray] What the trainer and the captioners beside it know of each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import ray


class Board:
    """How far the trainer reads, what the captioners did, and whether they still go on."""

    def __init__(self) -> None:
        self._step, self._why = 0, ""
        self._counts: Counter[str] = Counter()

    def note(self, step: int) -> None:
        """Note the step whose images are being read."""
        self._step = max(self._step, step)

    def step(self) -> int:
        """Return the latest step whose images were begun to be read."""
        return self._step

    def add(self, counts: Counter[str]) -> None:
        """Add to the captioners' figures."""
        self._counts += counts

    def counts(self) -> Counter[str]:
        """Return the captioners' figures so far."""
        return self._counts

    def fail(self, why: str) -> None:
        """Note why no more captions will come."""
        self._why = self._why or why

    def failure(self) -> str:
        """Return why no more captions will come, '' while they do."""
        return self._why


@dataclass(frozen=True, slots=True)
class BoardClient:
    """The board, as the reading tasks see it. Picklable."""

    actor: Any

    def failure(self) -> str:
        """Return why no more captions will come, '' while they do."""
        return str(ray.get(self.actor.failure.remote()))

    def note(self, step: int) -> None:
        """Note the step whose images are being read."""
        self.actor.note.remote(step)

    def add(self, counts: Counter[str]) -> None:
        """Add to the captioners' figures."""
        ray.get(self.actor.add.remote(counts))

    def step(self) -> int:
        """Return the latest step whose images were begun to be read."""
        return int(ray.get(self.actor.step.remote()))

    def counts(self) -> Counter[str]:
        """Return the captioners' figures so far."""
        found: Counter[str] = ray.get(self.actor.counts.remote())
        return found

    def fail(self, why: str) -> None:
        """Note why no more captions will come."""
        ray.get(self.actor.fail.remote(why))


def start_board() -> BoardClient:
    """Start a board; needs a Ray session."""
    return BoardClient(ray.remote(num_cpus=0)(Board).remote())
