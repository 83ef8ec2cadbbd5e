"""[Ray] The captions of all crops that a recipe draws, made before a run instead of beside it."""

from __future__ import annotations

import time

from rich.console import Console

from recaption.config import RecipeError
from recaption.runtime import Share, session
from recaption.storage import StorageError
from train.config import TrainRecipe
from train.corpus_entries import CorpusEntries
from train.crop_prepare import units_needed
from train.data import open_data
from train.progress import print_line

_EVERY_S = 10.0


def caption_all_crops(recipe: TrainRecipe, console: Console) -> None:
    """Caption the crops of a recipe that the corpus does not have yet; the same again continues.

    Raises RecipeError for what the user can mend, StorageError where the captioners stop.
    """
    live = recipe.recaption.model_copy(update={"is_live": True, "ahead": recipe.images})
    recipe = recipe.model_copy(update={"recaption": live})
    data = open_data(recipe)
    if not isinstance(data.entries, CorpusEntries):
        raise RecipeError("data.export: captions of crops are kept in a corpus; give data.corpus")
    last, started = data.steps, time.monotonic()
    first = len(units_needed(data.entries, data.order, 0, last))
    if not first:
        print_line(console, "all crops have their captions")
        return
    with session(), data.serving(Share(cpus=0)):
        told = started
        while left := len(units_needed(data.entries, data.order, 0, last)):
            assert data.board is not None
            if why := data.board.failure():
                raise StorageError(why)
            if time.monotonic() - told >= _EVERY_S:
                told = time.monotonic()
                rate = (first - left) / (told - started)
                eta = f"{left / rate:.0f} s" if rate else "?"
                print_line(console, f"crops of {first - left}/{first} parts captioned  left {eta}")
            time.sleep(min(_EVERY_S, 1 + first / 1000))  # each look lists the corpus
    print_line(console, f"crops of {first} parts captioned -> {recipe.data.corpus}")
