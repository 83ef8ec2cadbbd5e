"""Images from a checkpoint, by its averaged weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recaption import keyed
from recaption.config import RecipeError
from recaption.config_errors import nearest
from train.config import ComputeConfig, TrainRecipe
from train.doing import doing
from train.family import Family
from train.parallel import Team, Workers
from train.run_folder import read_saved_recipe
from train.weights import Weights, read_weights


def sample_checkpoint(
    place: str, prompts: Sequence[str], per_prompt: int, seed: int, changes: Mapping[str, Any]
) -> tuple[Tensor, Weights]:
    """Return images, uint8 (prompts x per_prompt, 3, H, W), and what is known of the weights.

    `place`: as `read_weights` takes it. `changes`: to the model's section of the recipe,
    such as guidance. Raises RecipeError.
    """
    family, weights = load_family(place, changes)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    team = Team(family, Workers(device=device), ComputeConfig())
    family.nets.eval()
    captions = repeated(prompts, per_prompt)
    with doing("painting images", len(captions)):
        return team.sample(captions, sample_seeds(seed, len(captions))), weights


def repeated(prompts: Sequence[str], per_prompt: int) -> list[str]:
    """Return each prompt so many times, as the pictures of a grid follow one another."""
    return [prompt for prompt in prompts for _ in range(per_prompt)]


def sample_seeds(seed: int, count: int) -> list[int]:
    """Return the keys of the noise that so many pictures start from."""
    return [keyed.integer("sample", seed, i) for i in range(count)]


def load_family(place: str, changes: Mapping[str, Any] | None = None) -> tuple[Family, Weights]:
    """Return the family of a checkpoint or file of weights, and the weights put into it."""
    weights = read_weights(place)
    recipe = _changed(weights.recipe, changes or {})
    family = recipe.model.create(recipe.data.image_size, recipe.seed)
    weights.put_into(family.nets)
    return family, weights


def _changed(recipe: TrainRecipe, changes: Mapping[str, Any]) -> TrainRecipe:
    data = recipe.model_dump(mode="json")
    for name, value in changes.items():
        if name not in data["model"]:
            near = nearest(name, data["model"])
            raise RecipeError(f"this model has no setting {name}{near}")
        data["model"][name] = value
    return read_saved_recipe(data, "the changed model")
