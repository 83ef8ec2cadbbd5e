"""What a run writes: log, samples, measurements, checkpoints. The first worker writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from recaption import storage
from recaption.notices import Notice, describe_notices
from train.checkpoints import Checkpoints
from train.config import TrainRecipe
from train.doing import doing
from train.grid import draw_grid, to_png
from train.interface import TrainData
from train.logs import RunLog
from train.pace import images_in_all
from train.parallel import Team
from train.progress import RateMeter, Report, Teller, own_share
from train.run_folder import kept_recipe, to_yaml
from train.sampling import repeated, sample_seeds
from train.state import TrainState
from train.windows import add_notices

if TYPE_CHECKING:
    from train.evaluate import Evaluator

SAMPLES = "samples"


class RunOutputs:
    """The outputs of a run in its folder."""

    def __init__(
        self, recipe: TrainRecipe, team: Team, state: TrainState, data: TrainData, teller: Teller
    ) -> None:
        self._recipe, self._team, self._state, self._data = recipe, team, state, data
        self._teller = teller
        self._checkpoints = Checkpoints(recipe.out, recipe.checkpoints)
        self._evaluators = _open_evaluators(recipe, team, data)
        self._rate = RateMeter(state.images)
        self._measured: dict[str, float] = {}
        self._counted: Counter[str] = Counter()
        self._log = RunLog(recipe.out, state.images) if team.workers.is_first else None
        if self._log is not None:
            self._log.texts(state.images, to_yaml(recipe), recipe.samples.prompts)

    def log(self, means: Mapping[str, float], rate: float) -> None:
        """Write and tell the means, the speed and what became of the captions."""
        images = self._state.images
        speed = self._rate.update(images)
        counts = self._counts()
        values = {**means, "rate": rate, "images_per_s": speed, **counts}
        self._measured.update(means)
        own = own_share(counts)
        told = {**means, "rate": rate} | ({} if own is None else {"own": own})
        self._teller.report(Report(images, images_in_all(self._recipe), speed, values=told))
        if self._log is not None:
            self._log.write(images, values)

    def sample(self) -> None:
        """Write the grid of the recipe's prompts, by the averaged weights."""
        config = self._recipe.samples
        if not config.prompts:
            return
        captions = repeated(config.prompts, config.per_prompt)
        seeds = sample_seeds(self._recipe.seed, len(captions))
        with doing("painting the grid of samples"), self._state.averaged():
            images = self._team.sample(captions, seeds, self._recipe.data.batch_size)
        if self._team.workers.is_first:
            name = f"{self._state.images:012d}.png"
            title = f"{self._state.images:,} images seen"
            grid = draw_grid(images, config.prompts, title)
            storage.write_bytes(storage.join(self._recipe.out, SAMPLES, name), to_png(grid))
            if self._log is not None:
                self._log.grid(self._state.images, grid)

    def evaluate(self) -> None:
        """Measure the averaged weights. All workers do: nets may be spread over them."""
        values: dict[str, float] = {}
        with self._state.averaged(), self._team.autocast():
            for evaluator in self._evaluators:
                with doing(f"evaluating: {evaluator.name}"):
                    values.update(evaluator(self._team.family))
        self._measured.update(values)
        self._check_best()
        if not values:
            return
        if self._log is not None:
            self._log.write(self._state.images, values, is_trained=False)
            told = "  ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()))
            self._teller.note(f"evaluated at {self._state.images:,} images: {told}")

    def checkpoint(self) -> None:
        """Save the state, with what was measured since the last time."""
        with doing("writing a checkpoint"):
            state = self._state.state_dict()
            if self._log is not None:
                self._log.save()
                self._checkpoints.save(state, self._measured, kept_recipe(self._recipe))
            self._measured = {}
            self._team.workers.wait()

    def finish(self) -> None:
        """Tell what was noted of the images of all workers."""
        noted: dict[str, Notice] = {}
        for notices in self._team.workers.collect(list(self._data.notices())):
            add_notices(noted, notices)
        for line in describe_notices(noted.values()):
            self._teller.note(line)

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def _check_best(self) -> None:
        """Say where the best checkpoint is to be found by a value that nobody measures."""
        best = self._recipe.checkpoints.best
        if best and best not in self._measured:
            known = ", ".join(sorted(self._measured))
            self._teller.note(f"checkpoints.best={best} is not measured; expected one of: {known}")

    def _counts(self) -> dict[str, float]:
        """Return what became of the images since the last line, all workers together."""
        total: Counter[str] = Counter()
        for counts in self._team.workers.collect(dict(self._data.counts())):
            total.update(counts)
        new = {name: total[name] - self._counted[name] for name in sorted(total)}
        self._counted = total
        return {f"data/{name}": float(count) for name, count in new.items()}


def _open_evaluators(recipe: TrainRecipe, team: Team, data: TrainData) -> list[Evaluator]:
    if not recipe.evaluate.metrics:
        return []
    from train.evaluate import open_evaluators

    return open_evaluators(recipe, team.family, data)
