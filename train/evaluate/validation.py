"""The validation loss: what the family loses on held-out images, by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from train.batch import Batch
from train.doing import tell_how_far
from train.evaluate.evaluator import device_of, evaluating
from train.family import Family


@dataclass(frozen=True, slots=True)
class Validation:
    """Means over held-out images of the losses that a family names, and the mean of them all."""

    batches: Sequence[Batch]
    name: str = "validation"

    def __call__(self, family: Family) -> Iterator[tuple[str, float]]:
        """Yield `validation NAME` for each loss, then `validation loss`."""
        losses: dict[str, list[float]] = defaultdict(list)
        device = device_of(family)
        with evaluating(family):
            for number, batch in enumerate(self.batches):
                tell_how_far(number, len(self.batches))
                for name, loss_B in family.validate(batch.to(device)).items():
                    losses[name] += loss_B.float().tolist()
        means = {name: fmean(values) for name, values in losses.items()}
        for name, mean in means.items():
            yield f"validation {name}", mean
        yield "validation loss", fmean(means.values())
