"""The recipe of a training run: what it trains on, what it trains, how long, where it goes.

A recipe is a YAML file plus `key=value` overrides, as a caption recipe is, and checks itself in
the same way.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from recaption.config import ModelName, PlacePath, Section
from recaption.config_errors import explain
from recaption.recipe_file import apply_overrides, check_kind, parse_yaml, read_recipe_file
from recaption.recipes import find_recipe
from train.crops import CropConfig
from train.errors import RecipeErrors
from train.families.flow.config import FlowConfig
from train.rotation import RotationConfig

_MOST_WINDOW = 8 * 2**30
"""Bytes of the pixels that a reading task holds."""

_MOST_IMAGES = 10**12 - 1
"""Images of a run: names of checkpoints have twelve digits."""


class DataConfig(Section):
    """Images and captions, and the order they come in."""

    corpus: PlacePath = Field(default="", description="caption corpus: a folder or an s3:// URL")
    version: str = Field(default="", description="fingerprint, or its start: needed if it has two")
    images: PlacePath = Field(
        default="", description="where the shards are now; default: as captioned"
    )
    export: PlacePath = Field(
        default="", description="instead of a corpus: a WebDataset made by `recaption export`"
    )
    styles: list[str] = Field(default=[], description="captions to train on; default: all styles")
    image_size: int = Field(default=64, ge=8, le=4096, description="pixels of a side")
    batch_size: int = Field(
        default=64, ge=1, le=1_048_576, description="images of a step, of all workers"
    )
    lanes: int = Field(
        default=4,
        ge=1,
        le=65_536,
        description="streams a batch is drawn from; divided among the workers",
    )
    window: int = Field(
        default=1024, ge=1, le=1_048_576, description="images of a lane that are shuffled together"
    )
    held_out: float = Field(
        default=0.0, ge=0, lt=1, description="share of images kept for validation, by sample id"
    )
    read_cpus: float = Field(default=0.5, gt=0, description="CPUs reserved per reading task")
    readers: int = Field(
        default=2, ge=1, le=1024, description="windows that a worker reads ahead, at most"
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> DataConfig:
        if bool(self.corpus) == bool(self.export):
            both = "both" if self.corpus else "neither"
            raise ValueError(f"expected either data.corpus or data.export, got {both}")
        for key in ("images", "version"):
            if self.export and getattr(self, key):
                raise ValueError(f"data.{key} belongs to data.corpus: an export needs none")
        if self.batch_size % self.lanes:
            raise ValueError(
                f"data.batch_size={self.batch_size} cannot be divided among"
                f" data.lanes={self.lanes}: each lane gives as many images to a batch"
            )
        taken = self.window * 3 * self.image_size**2
        if taken > _MOST_WINDOW:
            raise ValueError(
                f"data.window={self.window} images of {self.image_size} pixels take"
                f" {taken / 2**30:.0f} GiB in a reading task: set data.window to"
                f" {_MOST_WINDOW // (3 * self.image_size**2)} or lower"
            )
        return self


class RecaptionConfig(Section):
    """Captions for crops, made while training runs, kept in the corpus as region captions."""

    enabled: bool = Field(
        default=True, description="false: crops stand under the whole image's caption, as elsewhere"
    )
    is_live: bool = Field(
        default=False, description="run captioners beside the trainer for crops without caption"
    )
    styles: list[str] = Field(
        default=[], description="asked for each crop; default: those of data.styles"
    )
    hints: bool = Field(
        default=False,
        description="show alt-text and class names, which speak of the whole image and may name"
        " what the crop does not show",
    )
    when_missing: Literal["wait", "overlap", "full", "whole"] = Field(
        default="overlap",
        description="a crop has no caption yet: wait for it; take that of a stored region that"
        " covers it, else as full; take the whole image's; show the image whole instead",
    )
    least_logprob: float | None = Field(
        default=None,
        description="captions of crops whose mean log-probability is lower count as missing:"
        " the captioner was not sure, such as of a thing cut by the edge",
    )
    least_overlap: float = Field(
        default=0.8, ge=0, le=1, description="overlap: intersection over union, at least"
    )
    wait_s: float = Field(
        default=1800.0, gt=0, description="wait: seconds after which the run stops with an error"
    )
    captions_per_s: float = Field(
        default=0.0, ge=0, description="budget of all captioners together; 0: as fast as they can"
    )
    ahead: int = Field(
        default=4096, ge=1, description="images that captioners may be ahead of the trainer"
    )
    engine: dict[str, Any] = Field(
        default_factory=dict,
        description="the captioner, as a caption recipe's engine section has it; a corpus chooses"
        " no program, server or key here",
    )
    models: list[ModelName] = Field(
        default=[], description="similarity models of the corpus's recipe that may be loaded here"
    )
    templates: PlacePath = Field(
        default="", description="folder of the templates that the corpus was captioned with"
    )

    @model_validator(mode="after")
    def _is_of_a_piece(self) -> RecaptionConfig:
        if not self.enabled and (self.is_live or self.when_missing == "wait"):
            raise ValueError(
                "recaption.enabled=false asks for no captions: set recaption.is_live=false and"
                " another recaption.when_missing than wait"
            )
        return self


Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(Section):
    """AdamW and what is around it."""

    rate: float = Field(default=1e-3, gt=0, le=10, description="learning rate after the warm-up")
    warmup: int = Field(default=2_000, ge=0, description="images over which it rises")
    decay: float = Field(
        default=0.0, ge=0, le=1, description="last share of the run over which it falls to 0"
    )
    betas: tuple[Beta, Beta] = (0.9, 0.99)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, ge=0, description="norm of the gradient, at most; 0: no limit")
    accumulate: int = Field(default=1, ge=1, description="pieces a worker's batch is cut into")
    ema: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="half-life of the averaged weights as a share of the images seen, at most",
    )
    ema_images: int = Field(
        default=500_000, ge=1, description="half-life of the averaged weights in images, at most"
    )


class ComputeConfig(Section):
    """On what it runs; changes no result but by rounding."""

    workers: int = Field(default=1, ge=1, le=65_536, description="processes that train")
    num_gpus: float | Literal["auto"] = Field(
        default="auto", description="GPUs of a worker; auto: one, where the cluster has any"
    )
    num_cpus: float = Field(default=1.0, ge=0, description="CPUs reserved per worker")
    threads: int = Field(
        default=0, ge=0, le=4096, description="of torch on a CPU; 0: its own choice"
    )
    parallel: Literal["ddp", "fsdp"] = "ddp"
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = Field(default=False, description="torch.compile")
    max_failures: int = Field(
        default=3, ge=-1, description="lost workers before it gives up; -1: never"
    )

    @field_validator("num_gpus")
    @classmethod
    def _is_a_share_or_whole(cls, value: float | str) -> float | str:
        if isinstance(value, int | float) and (value < 0 or (value > 1 and value % 1)):
            raise ValueError(f"expected a share of one GPU, a whole number or auto, got {value:g}")
        return value


class CheckpointConfig(Section):
    """When the state is written and which ones stay."""

    every: int = Field(default=50_000, ge=1, description="images between two checkpoints")
    keep: int = Field(default=2, ge=1, description="the last ones that stay")
    keep_every: int = Field(
        default=0, ge=0, description="besides, one per so many images stays for good; 0: none"
    )
    best: str = Field(default="", description="a value's name: the one with its lowest stays too")


class SampleConfig(Section):
    """The grid of images for fixed prompts."""

    prompts: list[str] = Field(default=[], description="texts to draw images for")
    every: int = Field(default=50_000, ge=1, description="images between two grids")
    per_prompt: int = Field(default=4, ge=1, le=256, description="images of each prompt")


class EvaluateConfig(Section):
    """What is measured on the way."""

    every: int = Field(default=100_000, ge=1, description="images between two evaluations")
    metrics: list[str] = Field(default=[], description="see `python -m train evaluators`")
    images: int = Field(
        default=256, ge=1, le=10_000_000, description="generated or held-out images of a metric"
    )
    args: dict[str, Any] = Field(
        default_factory=dict, description="settings of a metric by its name, such as weights"
    )

    @field_validator("args")
    @classmethod
    def _spell_places(cls, args: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Spell the networks of metrics once, here: workers may stand in other folders."""
        return {name: _with_places(name, settings, info) for name, settings in args.items()}


def _with_places(metric: str, settings: Any, info: ValidationInfo) -> Any:
    if not isinstance(settings, dict):
        return settings
    spelling = _PLACE if metric in ("fid", "kid", "scenes") else _MODEL
    return {
        key: spelling.validate_python(value, context=info.context)
        if key in ("weights", "recogniser") and isinstance(value, str)
        else value
        for key, value in settings.items()
    }


_PLACE: TypeAdapter[str] = TypeAdapter(PlacePath)
_MODEL: TypeAdapter[str] = TypeAdapter(ModelName)


class TrainRecipe(Section):
    """A whole training run."""

    out: PlacePath = Field(min_length=1, description="folder or s3:// URL of the run")
    images: int = Field(ge=1, le=_MOST_IMAGES, description="images to see, in all")
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    start_from: ModelName = Field(
        default="",
        description="averaged weights to start from: a run's folder or checkpoint, a .safetensors"
        " file, builtin:shapes; default: drawn from the seed",
    )
    data: DataConfig
    rotation: RotationConfig = RotationConfig()
    crops: CropConfig = CropConfig(whole=1.0)
    recaption: RecaptionConfig = RecaptionConfig()
    model: FlowConfig = FlowConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    compute: ComputeConfig = ComputeConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    samples: SampleConfig = SampleConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    log_every: int = Field(default=1_000, ge=1, description="images between two lines of progress")

    @model_validator(mode="after")
    def _can_be_divided(self) -> TrainRecipe:
        lanes, workers = self.data.lanes, self.compute.workers
        if lanes % workers:
            raise ValueError(
                f"data.lanes={lanes} cannot be divided among compute.workers={workers}:"
                " take a multiple of the workers"
            )
        if self.data.export and (self.recaption.is_live or self.recaption.when_missing == "wait"):
            raise ValueError(
                "recaption: captions of crops are kept in a corpus, and data.export has none: set"
                " recaption.is_live=false and another recaption.when_missing than wait"
            )
        share = self.data.batch_size // workers
        if share % self.optimizer.accumulate:
            raise ValueError(
                f"a worker's {share} images of a batch cannot be cut into"
                f" optimizer.accumulate={self.optimizer.accumulate} equal pieces"
            )
        return self


def load_train_recipe(path: str | Path, overrides: Iterable[str] = ()) -> TrainRecipe:
    """Read a recipe, by name or path, apply `key=value` overrides, check it. Raises RecipeError."""
    file = find_recipe(path, "train")
    read = parse_yaml(read_recipe_file(file, "train"), str(file), TrainRecipe)
    check_kind(read, "train", str(file))
    data = apply_overrides(read, overrides, TrainRecipe)
    try:
        return TrainRecipe.model_validate(data)
    except ValidationError as e:
        lines = [f"{file}: {line}" for line in explain(e, TrainRecipe)]
        raise RecipeErrors(lines, _rest(data, e)) from e


def _rest(data: dict[str, Any], error: ValidationError) -> TrainRecipe | None:
    """Return what is left of a recipe without its wrong keys, if that is a recipe.

    It is looked at as well, so that a user is told all that is wrong at once.
    """
    rest = copy.deepcopy(data)
    for one in error.errors():
        node, path = rest, list(one["loc"])
        while path and isinstance(node.get(str(path[0])), dict) and len(path) > 1:
            node = node[str(path.pop(0))]
        if path:
            node.pop(str(path[0]), None)
    try:
        return TrainRecipe.model_validate(rest)
    except ValidationError:
        return None
