"""Runs that differ in one thing: arms x seeds, each cell a run of its own, then a table and a plot.

A comparison is a YAML file:

    base: configs/train/scenes.yaml
    out: out/compare/captions
    seeds: [1, 2, 3]
    metric: scenes shape+colour
    arms:
      one caption: [rotation.policy=fixed]
      rotation: [rotation.policy=round_robin]

A cell that is finished is not run again, and one that was killed goes on where it was: give the
same command. Cells run without Ray, `jobs` at a time, each on one thread.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from pydantic import Field, ValidationError, model_validator

from recaption import storage
from recaption.children import Children
from recaption.config import PlacePath, RecipeError, Section
from recaption.config_errors import explain, nearest
from recaption.recipe_file import check_kind, in_layers, parse_yaml, read_recipe_file
from recaption.recipes import find_recipe
from train.check import check_machine, check_metrics, collect, open_checked
from train.compare_pictures import Result, draw_results, draw_samples
from train.config import TrainRecipe, load_train_recipe
from train.errors import RecipeErrors, TrainingError
from train.logs import read_rows
from train.pace import images_in_all
from train.progress import Report
from train.run_folder import check_run

_TELL_S = 60.0

_LOGGED = ("loss", "grad_norm", "image error", "rate", "images_per_s")
"""What is logged without any evaluation."""

_T975 = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Student's t, 97.5%, by degrees of freedom."""


class Comparison(Section):
    """What is compared."""

    base: str = Field(min_length=1, description="the recipe that all cells share: a file or a name")
    out: PlacePath = Field(min_length=1, description="folder of the cells, the table and the plot")
    seeds: list[int] = Field(min_length=1)
    metric: str = Field(min_length=1, description="the value that the plot shows, as logged")
    arms: dict[str, list[str]] = Field(min_length=1, description="name: its key=value changes")

    @model_validator(mode="after")
    def _has_a_folder_for_each(self) -> Comparison:
        folders: dict[str, str] = {}
        for arm in self.arms:
            other = folders.setdefault(_folder_name(arm), arm)
            if not _folder_name(arm) or other != arm:
                raise ValueError(
                    f"arms: {arm!r} would have the folder of {other!r}: letters and digits have to"
                    " tell arms apart"
                )
        twice = sorted({seed for seed in self.seeds if self.seeds.count(seed) > 1})
        if twice:
            raise ValueError(f"seeds: each once, got {', '.join(map(str, twice))} twice")
        return self


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a comparison, in which `metric` is measured."""

    arm: str
    seed: int
    metric: str
    overrides: tuple[str, ...]
    recipe: TrainRecipe


def load_comparison(path: str, overrides: Sequence[str] = ()) -> tuple[Comparison, list[Cell]]:
    """Read a comparison, by name or path, and all its cells' recipes. Raises RecipeError.

    `overrides` change every cell.
    """
    file = find_recipe(path, "study")
    read = parse_yaml(read_recipe_file(file, "study"), path, Comparison)
    check_kind(read, "compare", path)
    try:
        found = Comparison.model_validate(read)
    except ValidationError as e:
        raise RecipeErrors([f"{path}: {line}" for line in explain(e, Comparison)]) from e
    cells: list[Cell] = []
    wrong: list[str] = []
    for seed in found.seeds:
        for arm, changes in found.arms.items():
            out = folder_of(found, arm, seed)
            all_changes = tuple(in_layers(changes, overrides, [f"seed={seed}", f"out={out}"]))
            try:
                recipe = load_train_recipe(found.base, all_changes)
            except RecipeErrors as e:
                wrong += [f"{arm}: {line}" for line in e.lines]
            else:
                cells.append(Cell(arm, seed, found.metric, all_changes, recipe))
    if wrong:
        raise RecipeErrors(list(dict.fromkeys(wrong)))
    return found, cells


def check_cells(cells: Sequence[Cell]) -> None:
    """Hold every cell that is not finished against the world, before the first one starts.

    Raises RecipeErrors, a line for each thing that is wrong and the arms where it is.
    """
    wrong: dict[str, list[str]] = {}
    known: dict[str, list[str]] = {}
    for cell in cells:
        if is_finished(cell):
            continue
        lines = _run_problems(cell.recipe)
        key = cell.recipe.model_dump_json(exclude={"out", "seed"})
        if key not in known:
            known[key] = [*_measures(cell), *_problems(cell.recipe)]
        for line in [*lines, *known[key]]:
            wrong.setdefault(line, []).append(cell.arm)
    if wrong:
        raise RecipeErrors(
            [f"{', '.join(dict.fromkeys(arms))}: {line}" for line, arms in wrong.items()]
        )


def _run_problems(recipe: TrainRecipe) -> list[str]:
    lines: list[str] = []
    collect(lines, lambda: check_run(recipe))
    return lines


def _problems(recipe: TrainRecipe) -> list[str]:
    lines = recipe.model.problems(recipe.data.image_size) + check_metrics(recipe)
    lines += check_machine(recipe, is_alone=True)
    collect(lines, lambda: open_checked(recipe))
    return lines


def _measures(cell: Cell) -> list[str]:
    """Return a line where nothing that a cell measures has the name of the metric."""
    first = re.split(r"[ _-]|(?<=data/)", cell.metric)[0]
    metrics = cell.recipe.evaluate.metrics
    starts = {re.split(r"[_-]", name)[0] for name in metrics}
    if first in starts or cell.metric.rpartition("/")[2] in _LOGGED or first == "data/":
        return []
    near = nearest(cell.metric, [*metrics, "loss"])
    measured = ", ".join(metrics) or "nothing"
    return [f"metric: {cell.metric!r} is not measured{near} (evaluate.metrics: {measured})"]


def folder_of(comparison: Comparison, arm: str, seed: int) -> str:
    """Return the folder of a cell's run."""
    return storage.join(comparison.out, f"{_folder_name(arm)}-{seed}")


def _folder_name(arm: str) -> str:
    return re.sub(r"\W+", "-", arm).strip("-").lower()


def run_cells(
    comparison: Comparison, cells: Sequence[Cell], jobs: int, tell: Callable[[str], None]
) -> None:
    """Run what is not finished, and tell how far all of it is, with rate and time left.

    Raises TrainingError for the first cell that fails.
    """
    children = Children()
    left = [cell for cell in cells if not is_finished(cell)]
    tell(f"{len(cells)} runs, {len(cells) - len(left)} of them finished")

    def run(cell: Cell) -> None:
        command = [sys.executable, "-P", "-m", "train", "run", comparison.base, "--alone"]
        done = children.run([*command, *cell.overrides], captures=True)
        if done.returncode:
            why = (done.stderr or done.stdout).strip().splitlines()
            raise TrainingError(f"{cell.arm}, seed {cell.seed}: {why[-1] if why else 'it died'}")
        tell(f"finished {cell.arm}, seed {cell.seed}")

    first, started = sum(map(_seen, cells)), time.monotonic()
    total = sum(images_in_all(cell.recipe) for cell in cells)
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(run, cell) for cell in left}
        try:
            while waiting:
                done, waiting = wait(waiting, _TELL_S, FIRST_EXCEPTION)
                for one in done:
                    one.result()
                if waiting and (seen := sum(map(_seen, cells))) > first:
                    rate = (seen - first) / (time.monotonic() - started)
                    tell(Report(seen, total, rate).line())
        except KeyboardInterrupt:
            children.end()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def is_finished(cell: Cell) -> bool:
    """Whether a cell's log has its last evaluation; its last losses stand there before."""
    return cell.metric in final_values(cell)


def final_values(cell: Cell) -> dict[str, float]:
    """Return what was measured last, by name; nothing where nothing was."""
    values: dict[str, float] = {}
    for row in read_rows(cell.recipe.out):
        if row["images"] >= images_in_all(cell.recipe):
            values |= {k: v for k, v in row.items() if k != "images"}
    return values


def _seen(cell: Cell) -> int:
    """Return how many images a cell has seen, as logged."""
    return max((row["images"] for row in read_rows(cell.recipe.out)), default=0)


def results(cells: Sequence[Cell]) -> dict[str, dict[str, Result]]:
    """Return each metric's result by arm, of the cells that are finished."""
    found: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        for name, value in final_values(cell).items():
            found.setdefault(name, {}).setdefault(cell.arm, []).append(value)
    return {
        name: {arm: _result(values) for arm, values in by_arm.items()}
        for name, by_arm in sorted(found.items())
    }


def _result(values: Sequence[float]) -> Result:
    """Return mean and half of the 95% interval, by Student's t over the seeds."""
    n = len(values)
    half = None
    if n > 1:
        half = _T975.get(n - 1, 1.96) * statistics.stdev(values) / math.sqrt(n)
    return Result(statistics.fmean(values), half, tuple(values))


def write_results(comparison: Comparison, found: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Write results.json and the pictures; return the table's lines. Raises RecipeError."""
    by_arm = found.get(comparison.metric)
    if by_arm is None:
        known = ", ".join(found) or "nothing"
        raise RecipeError(f"metric: no {comparison.metric!r} was measured; there is {known}")
    rows = {
        name: {arm: [r.mean, r.half, *r.values] for arm, r in arms.items()}
        for name, arms in found.items()
    }
    storage.write_bytes(
        storage.join(comparison.out, "results.json"), json.dumps(rows, indent=1).encode()
    )
    arms = [arm for arm in comparison.arms if arm in by_arm]
    runs = {arm: folder_of(comparison, arm, comparison.seeds[0]) for arm in arms}
    pictures = {
        "plot.png": draw_results({arm: by_arm[arm] for arm in arms}, comparison.metric),
        "samples.png": draw_samples(runs),
    }
    for name, picture in pictures.items():
        if picture:
            storage.write_bytes(storage.join(comparison.out, name), picture)
    width = max(map(len, by_arm))
    return [f"{arm:{width}}  {_shown(by_arm[arm])}" for arm in arms]


def _shown(result: Result) -> str:
    half = f" ±{result.half:.3f}" if result.half is not None else ""
    return f"{result.mean:.3f}{half}   ({', '.join(f'{value:.3f}' for value in result.values)})"
