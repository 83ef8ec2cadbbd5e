"""What a run measures as it goes, without waiting for the device at each step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from train.errors import NotFiniteError
from train.parallel import Workers

_SHOWN_IDS = 16
_MOST_NOTED = 256  # steps: a loss that is no number is found within so many


class Means:
    """Means of named values since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add a value per name."""
        for name, value in values.items():
            value = value.detach().float()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] += 1

    def take(self, workers: Workers) -> dict[str, float]:
        """Return the means over steps and workers, and start anew."""
        means = workers.mean({k: v / self._counts[k] for k, v in self._sums.items()})
        self._sums, self._counts = {}, Counter()
        return means


class FinitenessWatch:
    """Remembers the first step whose loss or gradient was not finite, and which images it saw."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._seen: list[tuple[str, int, int, tuple[str, ...]]] = []
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []

    def add(
        self, place: tuple[str, int, int], ids: tuple[str, ...], loss: Tensor, norm: Tensor
    ) -> None:
        """Note a phase's loss and norm of gradients; `place`: phase, step, images before it."""
        self._seen.append((*place, ids))
        self._losses.append(loss.detach().float())
        self._norms.append(norm.detach().float())

    @property
    def is_full(self) -> bool:
        """Whether so much was noted that it is time to look; alike on all workers."""
        return len(self._seen) >= _MOST_NOTED

    def check(self) -> None:
        """Raise NotFiniteError, on all workers alike, if anything since the last check is not."""
        if not self._seen:
            return
        values = torch.stack((torch.stack(self._losses), torch.stack(self._norms))).tolist()
        findings = self._workers.collect(self._first_bad(*values))
        self._seen, self._losses, self._norms = [], [], []
        bad = [finding for finding in findings if finding is not None]
        if bad:
            first = min(at for at, _ in bad)
            raise NotFiniteError("; ".join(text for at, text in bad if at == first))

    def _first_bad(self, losses: list[float], norms: list[float]) -> tuple[int, str] | None:
        for at, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
            if math.isfinite(loss) and math.isfinite(norm):
                continue
            # A gradient is a mean over the workers: with a finite loss, another worker's batch
            # may be the cause, and comes with its own, earlier place in the order.
            what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}"
            return 2 * at + math.isfinite(loss), self._describe(what, at)
        return None

    def _describe(self, what: str, at: int) -> str:
        phase, step, images, ids = self._seen[at]
        more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
        names = ", ".join(ids[:_SHOWN_IDS]) or "unnamed"
        return (
            f"{phase} {what} in step {step}, {images:,} images seen before it; the last good"
            " checkpoint is kept; try a lower optimizer.rate or a longer optimizer.warmup in"
            f" another out, or look at worker {self._workers.rank}'s images: {names}{more}"
        )
