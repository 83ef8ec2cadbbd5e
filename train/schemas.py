"""Writes the JSON schemas of recipes: `python -m train.schemas`, whenever a key has changed."""

from __future__ import annotations

from pydantic import BaseModel

from recaption.config import Recipe
from recaption.recipe_schema import KINDS, schema_file, schema_text
from train.compare import Comparison
from train.config import TrainRecipe

_MODELS: dict[str, type[BaseModel]] = {
    "caption": Recipe,
    "train": TrainRecipe,
    "study": Comparison,
}
_TITLES = {
    "caption": "caption recipe of recaption",
    "train": "training recipe of recaption",
    "study": "comparison of trainings",
}


def made_schema(kind: str) -> str:
    """Return the schema of a kind of recipes, as the code has it now."""
    return schema_text(_MODELS[kind], _TITLES[kind])


def write_schemas() -> None:
    """Write all of them where they belong."""
    for kind in KINDS:
        schema_file(kind).write_text(made_schema(kind), encoding="utf-8")


if __name__ == "__main__":
    write_schemas()
