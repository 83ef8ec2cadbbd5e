"""The folder of a run: the recipe it was started with, and whether another may go on in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recaption import storage
from recaption.config import STORED, RecipeError
from recaption.config_errors import explain
from recaption.recipe_file import parse_yaml
from recaption.recipe_yaml import write_yaml
from recaption.storage import StorageError
from recaption.storage.paths import local_path
from recaption.storage.shown import settings_without_secrets, without_secrets
from recaption.storage.spelling import is_lost_with_job
from train.checkpoints import Checkpoints, Record, is_missing
from train.config import TrainRecipe

RECIPE = "recipe.yaml"

_FREE = (
    "out",
    "log_every",
    "compute.",
    "checkpoints.",
    "samples.",
    "evaluate.",
    "data.images",
    "data.read_cpus",
    "data.readers",
    "recaption.is_live",
    "recaption.wait_s",
    "recaption.captions_per_s",
    "recaption.ahead",
    "recaption.engine",
    "recaption.models",
    "recaption.templates",
)
"""Keys that may change between one start of a run and the next: they decide no weight."""


def open_run(recipe: TrainRecipe) -> Record | None:
    """Enter a recipe in its folder; return the checkpoint that the run goes on from, if any.

    Raises RecipeError where the folder holds a run that this recipe cannot continue.
    """
    latest = check_run(recipe)
    storage.write_bytes(storage.join(recipe.out, RECIPE), to_yaml(recipe).encode())
    return latest


def check_run(recipe: TrainRecipe) -> Record | None:
    """Look whether a recipe can go on in its folder; return the checkpoint that it goes on from.

    Writes nothing. Raises RecipeError where it cannot.
    """
    _check_folder(recipe.out)
    latest = Checkpoints(recipe.out).latest()
    started_with = _read(storage.join(recipe.out, RECIPE))
    if started_with is not None and latest is not None:
        _check_continues(started_with, recipe)
    return latest


def _check_folder(out: str) -> None:
    """Raise RecipeError where a run's folder is something else, or cannot be made or written."""
    if storage.exists(storage.join(out, "corpus.json")):
        raise RecipeError(
            f"out={without_secrets(out)}: that is a caption corpus; give the run another folder"
        )
    if storage.is_remote(out):
        return
    if is_lost_with_job(out):
        raise RecipeError(
            f"out={out}: that is in Ray's copy of the job's working directory and would go with"
            " it; give an absolute path that all nodes share, or s3://"
        )
    place = Path(local_path(out))
    there = next(one for one in (place, *place.absolute().parents) if one.exists())
    if not there.is_dir():
        raise RecipeError(f"out={out}: {there} is not a folder; give another out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RecipeError(f"out={out}: {there} may not be written; give another out")


def read_saved_recipe(saved: Any, name: str) -> TrainRecipe:
    """Check a recipe that an earlier run wrote. Raises RecipeError where it is of no use now."""
    try:
        return TrainRecipe.model_validate(saved, context=STORED)
    except ValidationError as e:
        lines = "; ".join(explain(e, TrainRecipe))
        raise RecipeError(f"{name}: this version cannot read its recipe: {lines}") from e


def to_yaml(recipe: TrainRecipe) -> str:
    """Write a recipe, all defaults filled in, without passwords, tokens and signatures."""
    return write_yaml(kept_recipe(recipe))


def kept_recipe(recipe: TrainRecipe) -> dict[str, Any]:
    """Return a recipe as it is kept beside what it made."""
    kept: dict[str, Any] = settings_without_secrets(recipe.model_dump(mode="json"))
    return kept


def differences(before: TrainRecipe, now: TrainRecipe) -> list[str]:
    """Return a text per decisive key that differs; more images are no difference."""
    old, new = (dict(_flat(kept_recipe(r))) for r in (before, now))
    found = []
    for key in sorted(old.keys() | new.keys()):
        grows = key == "images" and new[key] >= old[key]
        if old.get(key) != new.get(key) and not grows and not key.startswith(_FREE):
            found.append(f"{key}: got {_shown(new.get(key))}, expected {_shown(old.get(key))}")
    return found


def _check_continues(before: TrainRecipe, now: TrainRecipe) -> None:
    found = differences(before, now)
    if found:
        raise RecipeError(
            f"{now.out} holds a run with another recipe: {'; '.join(found)}; set them back to"
            " continue it, or give another out"
        )


def _read(url: str) -> TrainRecipe | None:
    try:
        text = storage.read_bytes(url)
    except StorageError as e:
        if is_missing(e):
            return None
        raise
    return read_saved_recipe(parse_yaml(text, url, TrainRecipe), url)


def _flat(data: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + str(key), value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
