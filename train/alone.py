"""A run in this process, without Ray: one worker, for small runs and for looking into things."""

from __future__ import annotations

import torch

from train.config import TrainRecipe
from train.data import TrainData
from train.parallel import Workers
from train.progress import Teller
from train.screen import Screen
from train.worker import work


def run_alone(recipe: TrainRecipe, data: TrainData, screen: Screen) -> None:
    """Train on checked data until the recipe's images are seen, from the last checkpoint on.

    Raises RecipeError for what the user can mend, NotFiniteError where the loss is no number.
    """
    data.is_alone = True
    teller = Teller()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with screen.watching(teller.take):
        work(recipe, data, Workers(device=device), teller)
