"""What models paint for the same prompts and seeds, side by side, and what of it was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from recaption.config import RecipeError
from train.grid import draw_grids
from train.sampling import repeated, sample_checkpoint

_TOLD = ("colour", "shape", "shape+colour")


@dataclass(frozen=True, slots=True)
class Painted:
    """What a model painted: uint8 (prompts x per prompt, 3, H, W), and what is to be said of it."""

    images: Tensor
    about: str


def paint_by(
    place: str,
    prompts: Sequence[str],
    per_prompt: int,
    seed: int,
    changes: Mapping[str, Any],
    is_scored: bool,
) -> Painted:
    """Paint prompts by the weights at a place, as `read_weights` takes it. Raises RecipeError."""
    images, weights = sample_checkpoint(place, prompts, per_prompt, seed, changes)
    about = f"{place}: {weights.images:,} images seen"
    if is_scored:
        about += f"; right: {_score(images, repeated(prompts, per_prompt))}"
    return Painted(images, about)


def check_scorable(prompts: Sequence[str]) -> None:
    """Raise RecipeError for a prompt that the recogniser cannot be asked of."""
    from train.evaluate.scenes.compare import claims_of

    for prompt in prompts:
        try:
            claims_of(prompt)
        except ValueError as e:
            raise RecipeError(f"--score: {e}, such as 'a red circle'") from e


def draw_painted(painted: Sequence[Painted], prompts: Sequence[str]) -> Image.Image:
    """Draw what models painted side by side."""
    return draw_grids({one.about.replace("; ", "\n"): one.images for one in painted}, prompts)


def _score(images: Tensor, captions: Sequence[str]) -> str:
    """Return the shares of claimed colours and shapes that the recogniser finds in the images."""
    from train.evaluate.scenes.compare import score_found
    from train.evaluate.scenes.recogniser.reading import load_recogniser

    figures = score_found(load_recogniser().read(images), captions)
    names = {"shape+colour": "both"}
    return ", ".join(f"{names.get(f, f)} {figures[f].value:.0%}" for f in _TOLD)
