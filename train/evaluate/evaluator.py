"""What an evaluator is, and what it may ask of the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Protocol

import torch

from recaption.shapeworld.estimate import Estimate
from train.batch import Batch
from train.family import Family, TextTokenizer


class Evaluator(Protocol):
    """Measures a family: called at any time of a training, it yields values by name."""

    @property
    def name(self) -> str:
        """What it measures."""

    def __call__(self, family: Family) -> Iterator[tuple[str, float]]:
        """Yield each value with its name, the same for the same weights."""


class HeldOutData(Protocol):
    """Images with captions that are not trained on."""

    def held_out(self, count: int, tokenizer: TextTokenizer) -> list[Batch]:
        """Return `count` of them, or as many as there are, always the same."""


def with_intervals(metric: str, found: Mapping[str, Estimate]) -> Iterator[tuple[str, float]]:
    """Yield `METRIC FIGURE` and the ends of its 95% interval, ` low` and ` high`."""
    for figure, estimate in found.items():
        yield f"{metric} {figure}", estimate.value
        yield f"{metric} {figure} low", estimate.low
        yield f"{metric} {figure} high", estimate.high


def device_of(family: Family) -> torch.device:
    """Return where a family's nets are: what it validates has to be there, too."""
    return next(family.nets.parameters()).device


@contextmanager
def evaluating(family: Family) -> Iterator[None]:
    """Switch the family's nets to evaluation, without gradients, and back again."""
    was_training = {module: module.training for module in family.nets.modules()}
    family.nets.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, was in was_training.items():
            module.training = was


@contextmanager
def precisely() -> Iterator[None]:
    """Measure in full precision, whatever precision the family runs in."""
    with ExitStack() as stack:
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
