"""A run in this process, without Ray: one worker, for small runs and for looking into things."""

from __future__ import annotations

from typing import NoReturn

import torch
from rich.console import Console

from recaption.config import RecipeError
from train.config import TrainRecipe
from train.data import open_data
from train.parallel import Workers
from train.progress import Report, Teller, showing
from train.worker import work


def run_alone(recipe: TrainRecipe, console: Console) -> None:
    """Train until the recipe's images are seen, from the last checkpoint on.

    Raises RecipeError for what the user can mend, NotFiniteError where the loss is no number.
    """
    if recipe.compute.workers > 1:
        _refuse(f"compute.workers={recipe.compute.workers}", "compute.workers=1")
    if recipe.recaption.is_live:
        _refuse("recaption.is_live=true", "recaption.is_live=false, with the corpus's own captions")
    data = open_data(recipe)
    data.is_alone = True
    teller = _Notes()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with showing(console, teller.take):
        work(recipe, data, Workers(device=device), teller)


def _refuse(what: str, instead: str) -> NoReturn:
    raise RecipeError(f"--alone: {what} needs Ray; leave --alone out, or set {instead}")


class _Notes(Teller):
    """Keeps what the worker tells until it is shown."""

    def __init__(self) -> None:
        self._report: Report | None = None
        self._notes: list[str] = []

    def report(self, report: Report) -> None:
        self._report = report

    def note(self, text: str) -> None:
        self._notes.append(text)

    def take(self) -> tuple[Report | None, list[str]]:
        """Return the last report and the notes since the last call."""
        notes, self._notes = self._notes, []
        return self._report, notes
