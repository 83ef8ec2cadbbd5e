"""The training loop. It knows families by their contract only, and no Ray.

Every decision in it is a function of images seen, so that workers decide alike without asking one
another and a resumed run does what an undisturbed one would have done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor

from recaption import keyed
from train.batch import Batch
from train.config import TrainRecipe
from train.family import Phase
from train.meters import FinitenessWatch, Means
from train.pace import ema_share, images_in_all, is_due, learning_rate
from train.parallel import Team
from train.state import TrainState


class Outputs(Protocol):
    """Where the results of a run go. All workers call the same at the same images seen."""

    def log(self, means: Mapping[str, float], rate: float) -> None:
        """Tell the means since the last call, and the learning rate."""

    def sample(self) -> None:
        """Make the grid of samples."""

    def evaluate(self) -> None:
        """Measure what the recipe names."""

    def checkpoint(self) -> None:
        """Save all that a resumed run needs."""


def train(
    recipe: TrainRecipe, team: Team, state: TrainState, batches: Iterator[Batch], outputs: Outputs
) -> None:
    """Train until the recipe's images are seen. `batches`: this worker's, from state.images on.

    Raises NotFiniteError before anything of the step in question is saved.
    """
    size, total, optimizer = recipe.data.batch_size, images_in_all(recipe), recipe.optimizer
    means, watch = Means(), FinitenessWatch(team.workers)
    while state.images < total:
        step, batch = state.images // size, _next(batches, state.images, total)
        batch = batch.to(team.workers.device)
        rate = learning_rate(optimizer, state.images + size, total)
        _seed_torch(recipe.seed, step, team.workers.rank)
        for phase in team.family.phases:
            if step % phase.every:
                continue
            with team.training_only(phase):
                values = _backward(team, phase, batch, optimizer.accumulate)
                norm = state.clip_gradients(phase, optimizer.clip)
                state.step(phase, rate)
            watch.add((phase.name, step, state.images), batch.sample_ids, values["loss"], norm)
            means.add(_named(team, phase, values | {"grad_norm": norm}))
        state.average(ema_share(optimizer, state.images, size))
        state.images += size

        def due(every: int, images: int = state.images) -> bool:
            return is_due(every, images, size, total)

        samples, evaluates = due(recipe.samples.every), due(recipe.evaluate.every)
        saves = due(recipe.checkpoints.every) or (evaluates and bool(recipe.checkpoints.best))
        # A checkpoint ends what a line of the log tells of, so that a resumed run's lines are
        # those of an undisturbed one.
        logs = due(recipe.log_every) or saves
        if logs or samples or evaluates or saves or watch.is_full:
            watch.check()
        if logs:
            outputs.log(means.take(team.workers), rate)
        if samples:
            outputs.sample()
        if evaluates:
            outputs.evaluate()
        if saves:
            outputs.checkpoint()


def _backward(team: Team, phase: Phase, batch: Batch, pieces: int) -> dict[str, Tensor]:
    """Add a batch's gradients, piece by piece; return the means of the loss and its parts."""
    sums: dict[str, Tensor] = {}
    for i, piece in enumerate(batch.split(len(batch) // pieces)):
        with team.syncing(phase, is_last=i == pieces - 1):
            loss = team.loss(phase, piece)
            (loss.total / pieces).backward()  # type: ignore[no-untyped-call]
        for name, value in {**loss.parts, "loss": loss.total}.items():
            part = value.detach() / pieces
            sums[name] = sums[name] + part if name in sums else part
    return sums


def _named(team: Team, phase: Phase, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put a phase's name before those of its values, where there are several phases."""
    prefix = f"{phase.name}/" if len(team.family.phases) > 1 else ""
    return {prefix + name: value for name, value in values.items()}


def _next(batches: Iterator[Batch], images: int, total: int) -> Batch:
    batch = next(batches, None)
    assert batch is not None, f"data ended at {images} of {total} images"
    return batch


def _seed_torch(seed: int, step: int, rank: int) -> None:
    """Make what a net draws from torch's own generator a function of the step, not of the past."""
    torch.manual_seed(keyed.integer("torch", seed, step, rank))
