"""The metrics by name: each has settings that check themselves and open it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from recaption.config import RecipeError, Section
from recaption.config_errors import explain, nearest
from recaption.engines.identity import looks_like_path
from recaption.shapeworld.content import Ground, Medium
from recaption.text import printable
from train.config import EvaluateConfig
from train.errors import RecipeErrors
from train.evaluate.generated import ImageMetric
from train.evaluate.scenes.choice import Choice
from train.evaluate.scenes.evaluator import Scenes
from train.evaluate.scenes.prompts import ScenePrompt

Opened = TypeVar("Opened")


class ValidationSettings(Section):
    """Loss on held-out images, by the family's own names; needs nothing."""


class FidSettings(Section):
    """Frechet distance of features to held-out images; needs weights: PATH."""

    weights: str = Field(default="", description="TorchScript file or folder of a vision model")

    def open(self) -> ImageMetric:
        """Load the network. Raises RecipeError."""
        return _open_distance("fid", self.weights)


class KidSettings(Section):
    """Kernel distance of features to held-out images, unbiased for few; needs weights: PATH."""

    weights: str = Field(default="", description="TorchScript file or folder of a vision model")

    def open(self) -> ImageMetric:
        """Load the network. Raises RecipeError."""
        return _open_distance("kid", self.weights)


class ClipScoreSettings(Section):
    """Similarity of image and caption as a CLIP sees it; needs weights: NAME or PATH."""

    weights: str = Field(default="", description="a CLIP by name or folder")

    def open(self) -> ImageMetric:
        """Load the CLIP. Raises RecipeError."""
        from train.evaluate.clip import ClipScore

        return _loaded("clip_score", self.weights, ClipScore)


class RPrecisionSettings(Section):
    """Share of images nearer to their caption than to 99 others; needs weights: NAME or PATH."""

    weights: str = Field(default="", description="a CLIP or SigLIP by name or folder")
    candidates: int = Field(
        default=100, ge=2, le=100_000, description="captions an image is held against"
    )

    def open(self) -> ImageMetric:
        """Load the CLIP. Raises RecipeError."""
        from recaption.similarity import Similarity
        from train.evaluate.clip import RPrecision

        return RPrecision(_loaded("r_precision", self.weights, Similarity), self.candidates)


class PromptSettings(Section):
    """Which rendered scenes are asked about."""

    seed: int = Field(
        default=990_001,
        ge=-(2**62),
        lt=2**62,
        description="of the scenes; no training data may be drawn from it",
    )
    most_things: int = Field(default=3, ge=1, le=5, description="of a scene")
    relations: float = Field(
        default=0.5, ge=0, le=1, description="share of the prompts that ask for relations"
    )
    media: list[Medium] = Field(default=[Medium.FLAT], min_length=1)
    grounds: list[Ground] = Field(default=list(Ground), min_length=1)
    only_large: bool = Field(default=False, description="only scenes of large things")

    def draw(self, metric: str, images: int) -> tuple[list[ScenePrompt], list[ScenePrompt]]:
        """Return the prompts without and with relations. Raises RecipeError."""
        from train.evaluate.scenes.prompts import draw_prompts

        related = round(images * self.relations) if self.most_things > 1 else 0
        options: dict[str, Any] = {
            "media": self.media,
            "grounds": self.grounds,
            "only_large": self.only_large,
        }
        try:
            plain = draw_prompts(self.seed, images - related, self.most_things, **options)
            placed = draw_prompts(
                self.seed + 1, related, self.most_things, has_relation=True, **options
            )
        except ValueError as e:
            raise RecipeError(f"evaluate.args.{metric}: {e}") from e
        return plain, placed


class ScenesSettings(PromptSettings):
    """Exact score on rendered scenes: things, colours, counts, relations; needs nothing."""

    recogniser: str = Field(default="", description="weights of another one than the shipped one")

    def open(self, images: int, seed: int) -> Scenes:
        """Draw the prompts and load the recogniser. Raises RecipeError."""
        from train.evaluate.scenes.recogniser.reading import WEIGHTS, load_recogniser

        recogniser = _loaded("scenes", self.recogniser or str(WEIGHTS), load_recogniser)
        return Scenes(recogniser, *self.draw("scenes", images), seed)


class ChoiceSettings(PromptSettings):
    """Share of rendered scenes whose caption fits them better than a wrong one; needs nothing."""

    def open(self, images: int, image_size: int) -> Choice:
        """Draw the captions. Raises RecipeError."""
        from train.evaluate.scenes.foils import draw_foils

        return Choice(draw_foils(*self.draw("choice", images)), image_size)


ImageSettings = FidSettings | KidSettings | ClipScoreSettings | RPrecisionSettings
"""Of the metrics that look at generated images."""

METRICS: dict[str, type[Section]] = {
    "validation": ValidationSettings,
    "fid": FidSettings,
    "kid": KidSettings,
    "clip_score": ClipScoreSettings,
    "r_precision": RPrecisionSettings,
    "scenes": ScenesSettings,
    "choice": ChoiceSettings,
}


def describe() -> dict[str, str]:
    """Return the metrics with a line on each."""
    return {name: (inspect.getdoc(made) or "").splitlines()[0] for name, made in METRICS.items()}


def read_settings(config: EvaluateConfig) -> dict[str, Section]:
    """Return the settings of the metrics that a recipe asks for. Raises RecipeErrors."""
    wrong = [
        f"evaluate.{key}: no such metric as {printable(str(name))!r}{nearest(str(name), METRICS)}"
        f" (metrics: {', '.join(METRICS)})"
        for key, names in (("metrics", config.metrics), ("args", list(config.args)))
        for name in names
        if name not in METRICS
    ]
    found: dict[str, Section] = {}
    for name in dict.fromkeys(name for name in config.metrics if name in METRICS):
        try:
            found[name] = METRICS[name].model_validate(config.args.get(name, {}))
        except ValidationError as e:
            wrong += [f"evaluate.args.{name}.{line}" for line in explain(e, METRICS[name])]
    if wrong:
        raise RecipeErrors(wrong)
    return found


def check_metrics(config: EvaluateConfig) -> list[str]:
    """Return what is wrong with a recipe's metrics, a line each; loads no weights."""
    try:
        settings = read_settings(config)
    except RecipeErrors as e:
        return list(e.lines)
    wrong = []
    for name, one in settings.items():
        try:
            if isinstance(one, ImageSettings):
                check_weights(name, one.weights)
            if isinstance(one, ScenesSettings) and one.recogniser:
                check_weights(name, one.recogniser)
            if isinstance(one, PromptSettings):
                one.draw(name, min(config.images, _TRIED))
        except RecipeError as e:
            wrong.append(str(e))
    return wrong


_TRIED = 8
"""Prompts that are drawn to see whether there are any."""


# -------------------------------------------------------------------------------- loading


def _open_distance(name: str, weights: str) -> ImageMetric:
    from train.evaluate import frechet
    from train.evaluate.features import load_features

    features = _loaded(name, weights, load_features)
    return frechet.Fid(features) if name == "fid" else frechet.Kid(features)


def check_weights(name: str, weights: str) -> None:
    """Raise RecipeError where a metric's network is not said, or is a path that is not there."""
    if not weights:
        raise RecipeError(
            f"evaluate.metrics: {name} needs a network; say where it is by"
            f" evaluate.args: {{{name}: {{weights: PATH}}}} ({_WANTED[name]})"
        )
    if (name in _PATHS or looks_like_path(weights)) and not Path(weights).exists():
        raise RecipeError(f"{_key_of(name)}: no such file or folder: {weights} ({_WANTED[name]})")


def _loaded(name: str, weights: str, load: Callable[[str], Opened]) -> Opened:
    """Return what a loader makes of a path or name; whatever it raises is a RecipeError."""
    check_weights(name, weights)
    try:
        return load(weights)
    except Exception as e:
        why = printable(str(e))[:300] or type(e).__name__
        raise RecipeError(f"{_key_of(name)}: {weights}: {why} ({_WANTED[name]})") from e


def _key_of(name: str) -> str:
    return (
        "evaluate.args.scenes.recogniser" if name == "scenes" else f"evaluate.args.{name}.weights"
    )


_PATHS = ("fid", "kid", "scenes")
_FEATURES = (
    "wanted: a TorchScript file of InceptionV3 that returns features, or the folder of a vision"
    " model of transformers such as CLIP or DINO"
)
_WANTED = {
    "fid": _FEATURES,
    "kid": _FEATURES,
    "clip_score": "wanted: a CLIP of transformers, by name or folder",
    "r_precision": "wanted: a CLIP or SigLIP of transformers, by name or folder",
    "scenes": "wanted: weights that `python -m train.evaluate.scenes.train` wrote",
}
