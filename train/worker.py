"""What one worker of a run does, from its first import to the last checkpoint; without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import torch

from recaption.config import RecipeError
from recaption.notices import describe_notices, take_notices
from train.batch import Batch
from train.check import check_precision
from train.checkpoints import Checkpoints
from train.config import ComputeConfig, TrainRecipe
from train.doing import WAITING, doing
from train.interface import TrainData
from train.loop import train
from train.outputs import RunOutputs
from train.pace import images_in_all
from train.parallel import Team, Workers
from train.progress import Teller
from train.state import TrainState, check_fits
from train.weights import read_weights


def work(recipe: TrainRecipe, data: TrainData, workers: Workers, teller: Teller) -> None:
    """Train from the last checkpoint on, or from the start, to the recipe's last image."""
    set_up_torch(recipe.compute, workers.device)
    if recipe.compute.precision == "bf16" and workers.device.type == "cuda":
        wrong = check_precision()
        if wrong:
            raise RecipeError(*wrong)
    with doing("making the model"):
        family = recipe.model.create(recipe.data.image_size, recipe.seed)
        team = Team(family, workers, recipe.compute)
        state = TrainState(team, recipe.optimizer)
    with doing("looking for a checkpoint"):
        resume(recipe, team, state)
    if workers.is_first:
        for line in describe_notices(take_notices()):
            teller.note(line)
        if state.images:
            teller.note(f"continuing at {state.images:,} images")
    with doing("opening log and evaluation"):
        outputs = RunOutputs(recipe, team, state, data, teller)
    step = state.images // recipe.data.batch_size
    with closing(outputs):
        batches = data.batches(workers.rank, workers.count, step, family.tokenizer)
        train(recipe, team, state, _told(batches, recipe, state, teller), outputs)
        outputs.finish()


def _told(
    batches: Iterator[Batch], recipe: TrainRecipe, state: TrainState, teller: Teller
) -> Iterator[Batch]:
    """Yield the batches; tell how far the run is, and when it waits for them."""
    total = images_in_all(recipe)
    while True:
        teller.seen(state.images, total)
        with doing(WAITING):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def resume(recipe: TrainRecipe, team: Team, state: TrainState) -> None:
    """Restore the state from the run's last checkpoint, if any, else start from given weights."""
    saved: dict[str, Any] = {}

    def read() -> bool:
        found = Checkpoints(recipe.out).load_latest()
        if found is None:
            return False
        record, there = found
        check_fits(there["nets"], team.family.nets, f"checkpoint {record.data}")
        saved.update(there)
        return True

    if team.workers.from_first(read):
        state.load_state_dict(saved)
    elif recipe.start_from:
        weights = read_weights(recipe.start_from).tensors if team.workers.is_first else {}
        state.start_from(weights)


def set_up_torch(compute: ComputeConfig, device: torch.device) -> None:
    """Set threads and, on a CPU, algorithms that give the same bits each time."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        return
    if compute.threads:
        torch.set_num_threads(compute.threads)
    torch.use_deterministic_algorithms(True)
    torch._C._set_deterministic_fill_uninitialized_memory(False)  # slow, and changes no result
