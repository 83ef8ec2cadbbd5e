"""A run of one worker without Ray, slow enough to be killed in the midst."""

from __future__ import annotations

import time

# The last two are imported late otherwise, by each of the processes that are forked from this one.
import torch
import torch._dynamo

import train.families.flow.family  # noqa: F401
from tests.train.fakes import KeyedData, make_recipe
from train.config import TrainRecipe
from train.parallel import Workers
from train.progress import Report, Teller
from train.run_folder import open_run
from train.worker import work


class SlowTeller(Teller):
    """Gives a killer time between two steps."""

    def report(self, report: Report) -> None:
        time.sleep(0.05)


def recipe_of(out: str, images: int) -> TrainRecipe:
    """The smallest flow transformer on 8 x 8 pixels."""
    return make_recipe(
        out,
        images=images,
        model={"preset": "debug", "patch": 4, "steps": 2, "text": {"length": 8}},
        samples={"prompts": ["a red image"], "every": 24, "per_prompt": 2},
        compute__threads=1,
    )


def train_slowly(out: str, images: int) -> None:
    """Train; the body of a process."""
    torch.set_num_threads(1)
    recipe = recipe_of(out, images)
    open_run(recipe)
    work(recipe, KeyedData(recipe), Workers(), SlowTeller())
