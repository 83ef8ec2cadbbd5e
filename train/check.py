"""What is wrong with a training recipe, all of it at once, before anything starts or is written.

What a recipe can see of itself it checks where it is read (`config.py`). Here it is held against
the world: the corpus and its images, models and metrics, the run's folder, the machine.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from recaption.config import RecipeError
from recaption.storage import StorageError
from train.config import TrainRecipe, load_train_recipe
from train.errors import RecipeErrors
from train.run_folder import check_run

if TYPE_CHECKING:
    from train.checkpoints import Record
    from train.data import TrainData


T = TypeVar("T")

_HOLD_OUT = ("validation", "fid", "kid", "clip_score", "r_precision")
"""Metrics of images that are not trained on."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a recipe was found to train on, and the checkpoint that it goes on from."""

    data: TrainData
    latest: Record | None


def load_checked(path: str, overrides: Sequence[str], is_alone: bool) -> TrainRecipe:
    """Read a recipe. Raises RecipeErrors, with what else is wrong besides its wrong keys."""
    try:
        return load_train_recipe(path, overrides)
    except RecipeErrors as e:
        wrong = list(e.lines)
        if e.rest is not None:
            rest = e.rest
            collect(wrong, lambda: check_recipe(rest, is_alone))
        raise RecipeErrors(wrong) from e


def check_recipe(recipe: TrainRecipe, is_alone: bool = False) -> Checked:
    """Hold a recipe against the world. Raises RecipeErrors, a line for each thing that is wrong."""
    wrong: list[str] = []
    wrong += recipe.model.problems(recipe.data.image_size)
    wrong += check_metrics(recipe)
    wrong += check_machine(recipe, is_alone)
    latest = collect(wrong, lambda: check_run(recipe))
    if recipe.start_from and not wrong and latest is None:
        collect(wrong, lambda: check_start(recipe))
    data = collect(wrong, lambda: open_checked(recipe))
    if wrong or data is None:
        raise RecipeErrors(list(dict.fromkeys(wrong)))
    return Checked(data, latest)


def collect(wrong: list[str], check: Callable[[], T]) -> T | None:
    """Return what a check returns; what it finds wrong is added to the lines."""
    try:
        return check()
    except RecipeErrors as e:
        wrong += e.lines
    except (RecipeError, StorageError) as e:
        wrong.append(str(e))
    return None


def open_checked(recipe: TrainRecipe) -> TrainData:
    """Open what a recipe trains on, held-out images and captioners of crops looked at as well.

    Raises RecipeError or StorageError.
    """
    from train.corpus_entries import CorpusEntries
    from train.data import open_data

    data = open_data(recipe)
    _check_held_out(recipe, data)
    if recipe.recaption.is_live and isinstance(data.entries, CorpusEntries):
        from train.crop_recaption import crop_job

        crop_job(data.entries, "check")
    return data


def check_start(recipe: TrainRecipe) -> None:
    """Raise RecipeError where the weights to start from are not there or do not fit."""
    from train.state import check_fits
    from train.weights import read_weights

    family = recipe.model.create(recipe.data.image_size, recipe.seed)
    check_fits(read_weights(recipe.start_from).tensors, family.nets, recipe.start_from)


def check_metrics(recipe: TrainRecipe) -> list[str]:
    """Return what is wrong with the metrics of a recipe; torch is imported only for some."""
    if not recipe.evaluate.metrics and not recipe.evaluate.args:
        return []
    from train.evaluate.settings import check_metrics

    return check_metrics(recipe.evaluate)


def _check_held_out(recipe: TrainRecipe, data: TrainData) -> None:
    """Raise RecipeError where metrics need more held-out images than there are."""
    names = [name for name in dict.fromkeys(recipe.evaluate.metrics) if name in _HOLD_OUT]
    if not names:
        return
    there = sum(n for _, n in data.entries.counts()) - data.order.images
    least = 1 if names == ["validation"] else 2
    if there < least:
        raise RecipeError(
            f"evaluate.metrics: {', '.join(names)} need held-out images: got {there}, expected"
            f" {least} or more; give data.held_out=SHARE"
        )


def check_machine(recipe: TrainRecipe, is_alone: bool) -> list[str]:
    """Return what a recipe asks for that this machine has not.

    Of a cluster that it would join nothing is known here: `trainer.py` looks there.
    """
    compute, wrong = recipe.compute, list[str]()
    if is_alone and compute.workers > 1:
        wrong.append(_needs_ray(f"compute.workers={compute.workers}", "compute.workers=1"))
    if is_alone and recipe.recaption.is_live:
        instead = "recaption.is_live=false, with the corpus's own captions"
        wrong.append(_needs_ray("recaption.is_live=true", instead))
    if compute.compile and not _has_compiler():
        wrong.append("compute.compile=true: no C++ compiler is here; install one, such as g++")
    if not is_alone and _is_cluster_named():
        return wrong
    return wrong + _check_devices(recipe, is_alone)


def _is_cluster_named() -> bool:
    """Whether a run would join a cluster: that of RAY_ADDRESS, or of `ray start` here."""
    started = Path(os.environ.get("RAY_TMPDIR") or "/tmp") / "ray" / "ray_current_cluster"
    return bool(os.environ.get("RAY_ADDRESS")) or started.exists()


def _check_devices(recipe: TrainRecipe, is_alone: bool) -> list[str]:
    from recaption.runtime import LOCAL_CPUS

    compute, wrong = recipe.compute, list[str]()
    asked = 0.0 if compute.num_gpus == "auto" else compute.num_gpus
    gpus = _gpus() if asked or compute.precision == "bf16" else 0
    if asked * compute.workers > gpus:
        wrong.append(
            f"compute.workers={compute.workers} with {asked:g} GPUs each need"
            f" {asked * compute.workers:g}, this machine has {gpus}; set compute.num_gpus lower, or"
            " join a cluster by RAY_ADDRESS"
        )
    cpus = max(LOCAL_CPUS, os.cpu_count() or 1)
    if not is_alone and compute.workers * compute.num_cpus > cpus:
        wrong.append(
            f"compute.workers={compute.workers} with {compute.num_cpus:g} CPUs each need"
            f" {compute.workers * compute.num_cpus:g}, this machine has {cpus}; set compute.workers"
            " or compute.num_cpus lower, or join a cluster by RAY_ADDRESS"
        )
    if compute.precision == "bf16" and gpus and compute.num_gpus != 0:
        wrong += check_precision()
    return wrong


def check_precision() -> list[str]:
    """Return what speaks against bfloat16 on this machine's GPU."""
    import torch

    if torch.cuda.is_bf16_supported(including_emulation=False):
        return []
    name = torch.cuda.get_device_name()
    return [f"compute.precision=bf16: {name} has no bfloat16; set compute.precision=fp32"]


def _gpus() -> int:
    import torch

    return int(torch.cuda.device_count())


def _has_compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++") if name)


def _needs_ray(what: str, instead: str) -> str:
    return f"--alone: {what} needs Ray; leave --alone out, or set {instead}"
