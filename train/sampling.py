"""Images from a checkpoint, by its averaged weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recaption import keyed
from recaption.config import RecipeError
from recaption.config_errors import nearest
from recaption.storage.spelling import one_spelling
from train.checkpoints import Record, find_checkpoint
from train.config import ComputeConfig, TrainRecipe
from train.family import Family
from train.parallel import Team, Workers
from train.run_folder import read_saved_recipe
from train.state import check_fits


def sample_checkpoint(
    place: str, prompts: Sequence[str], per_prompt: int, seed: int, changes: Mapping[str, Any]
) -> tuple[Tensor, Record]:
    """Return images, uint8 (prompts x per_prompt, 3, H, W), and what is known of the checkpoint.

    `place`: a run's folder or a checkpoint in it. `changes`: to the model's section of the recipe,
    such as guidance. Raises RecipeError.
    """
    family, record = load_family(place, changes)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    team = Team(family, Workers(device=device), ComputeConfig())
    family.nets.eval()
    captions = [prompt for prompt in prompts for _ in range(per_prompt)]
    seeds = [keyed.integer("sample", seed, i) for i in range(len(captions))]
    return team.sample(captions, seeds), record


def load_family(place: str, changes: Mapping[str, Any] | None = None) -> tuple[Family, Record]:
    """Return a checkpoint's family with its averaged weights, and its record."""
    checkpoints, record = find_checkpoint(one_spelling(place))
    recipe = _changed(read_saved_recipe(record.recipe, place), changes or {})
    family = recipe.model.create(recipe.data.image_size, recipe.seed)
    saved = checkpoints.load(record)
    check_fits(saved, family.nets, place)
    family.nets.load_state_dict(saved["ema"])
    return family, record


def _changed(recipe: TrainRecipe, changes: Mapping[str, Any]) -> TrainRecipe:
    data = recipe.model_dump(mode="json")
    for name, value in changes.items():
        if name not in data["model"]:
            near = nearest(name, data["model"])
            raise RecipeError(f"this model has no setting {name}{near}")
        data["model"][name] = value
    return read_saved_recipe(data, "the changed model")
