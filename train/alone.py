"""A run in this process, without Ray: one worker, for small runs and for looking into things."""

from __future__ import annotations

import torch
from rich.console import Console

from train.config import TrainRecipe
from train.data import TrainData
from train.parallel import Workers
from train.progress import Report, Teller, showing
from train.worker import work


def run_alone(recipe: TrainRecipe, data: TrainData, console: Console) -> None:
    """Train on checked data until the recipe's images are seen, from the last checkpoint on.

    Raises RecipeError for what the user can mend, NotFiniteError where the loss is no number.
    """
    data.is_alone = True
    teller = _Notes()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with showing(console, teller.take):
        work(recipe, data, Workers(device=device), teller)


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
