"""What is measured of a family on the way: evaluators that yield values by name."""

from __future__ import annotations

from collections.abc import Sequence

from recaption.config import RecipeError
from train.batch import Batch
from train.config import TrainRecipe
from train.evaluate.evaluator import Evaluator, HeldOutData
from train.evaluate.generated import open_generated
from train.evaluate.settings import (
    ChoiceSettings,
    ImageSettings,
    ScenesSettings,
    describe,
    read_settings,
)
from train.evaluate.validation import Validation
from train.family import Family

__all__ = ["Evaluator", "HeldOutData", "describe", "open_evaluators"]


def open_evaluators(recipe: TrainRecipe, family: Family, data: HeldOutData) -> list[Evaluator]:
    """Return what measures the metrics that a recipe asks for. Raises RecipeError.

    Those of generated images share them, so they are one evaluator.
    """
    settings = read_settings(recipe.evaluate)
    images = recipe.evaluate.images
    evaluators: list[Evaluator] = []
    looking = {name: s.open() for name, s in settings.items() if isinstance(s, ImageSettings)}
    if looking or "validation" in settings:
        batches = data.held_out(images, family.tokenizer)
        _need(batches, [name for name in settings if name == "validation" or name in looking])
        if "validation" in settings:
            evaluators.append(Validation(batches))
        if looking:
            evaluators.append(open_generated(looking, batches, recipe.seed))
    for one in settings.values():
        if isinstance(one, ScenesSettings):
            evaluators.append(one.open(images, recipe.seed))
        if isinstance(one, ChoiceSettings):
            evaluators.append(one.open(images, recipe.data.image_size))
    return evaluators


def _need(batches: Sequence[Batch], names: Sequence[str]) -> None:
    """Raise RecipeError where there are too few held-out images for metrics."""
    count, least = sum(len(batch) for batch in batches), 1 if names == ["validation"] else 2
    if count < least:
        raise RecipeError(
            f"evaluate.metrics: {', '.join(names)} need held-out images: got {count}, expected"
            f" {least} or more; give data.held_out=SHARE"
        )
