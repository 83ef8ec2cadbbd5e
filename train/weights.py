"""The averaged weights of a model in one file, to sample from or to start another run from.

A safetensors file: tensors of 16 bits, and in its header the recipe that they were trained by and
the images seen. So a model can be handed on without the moments and the folder of its run. One
comes with the package (`configs/train/shapes.yaml` says how it was trained).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from recaption import storage
from recaption.config import RecipeError
from recaption.config_errors import nearest
from recaption.storage.spelling import one_spelling
from recaption.text import printable
from train.checkpoints import find_checkpoint
from train.config import TrainRecipe
from train.run_folder import kept_recipe, read_saved_recipe
from train.state import check_fits

SUFFIX = ".safetensors"
BUILTIN = {"builtin:shapes": Path(__file__).parent / "families" / "flow" / "shapes.safetensors"}
"""Models in the package: large rendered things, one or two in a picture of 32 pixels."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's averaged weights, how it was made, and how many images it saw."""

    place: str
    recipe: TrainRecipe
    images: int
    tensors: Mapping[str, Tensor]

    def put_into(self, nets: nn.Module) -> None:
        """Copy them. Raises RecipeError where they are of another architecture."""
        check_fits(self.tensors, nets, self.place)
        nets.load_state_dict(dict(self.tensors))


def read_weights(place: str) -> Weights:
    """Read a run's folder, one of its checkpoints, a file of weights, or a name of `BUILTIN`.

    Raises RecipeError or StorageError.
    """
    if place.startswith("builtin:"):
        if place not in BUILTIN:
            known = f"{', '.join(BUILTIN)}{nearest(place, BUILTIN)}"
            raise RecipeError(f"got the model {place}, expected {known}, a file or a run's folder")
        return _read_file(place, BUILTIN[place].read_bytes())
    place = one_spelling(place)
    if place.endswith(SUFFIX):
        return _read_file(place, storage.read_bytes(place))
    checkpoints, record = find_checkpoint(place)
    recipe = read_saved_recipe(record.recipe, place)
    return Weights(place, recipe, record.images, checkpoints.load(record)["ema"])


def write_weights(weights: Weights, out: str) -> None:
    """Write weights to one file."""
    tensors = {name: tensor.half().contiguous() for name, tensor in weights.tensors.items()}
    about = {
        "recipe": json.dumps(kept_recipe(weights.recipe)),
        "images": str(weights.images),
    }
    storage.write_bytes(out, save(tensors, about))


def _read_file(place: str, data: bytes) -> Weights:
    try:
        about, tensors = _header(data), load(data)
        recipe, images = json.loads(about["recipe"]), int(about["images"])
    except (SafetensorError, ValueError, LookupError, RecursionError) as e:
        raise RecipeError(
            f"{place}: got {printable(str(e))[:200]}, expected a file that"
            " `recaption train weights` wrote"
        ) from e
    full = {name: tensor.float() for name, tensor in tensors.items()}
    return Weights(place, read_saved_recipe(recipe, place), images, full)


def _header(data: bytes) -> dict[str, Any]:
    """Return the texts in the header of a safetensors file: its length, 8 bytes, then JSON."""
    end = 8 + int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8:end])["__metadata__"])
