"""[Ray] The captions of all crops that a recipe draws, made before a run instead of beside it."""

from __future__ import annotations

import contextlib
import time

from recaption.config import RecipeError
from recaption.runtime import Share, session
from recaption.storage import StorageError
from train.config import TrainRecipe
from train.corpus_entries import CorpusEntries
from train.crop_prepare import units_needed
from train.data import TrainData, open_data
from train.doing import doing, tell_how_far
from train.screen import Screen

_LOOK_S = 10.0


def caption_all_crops(recipe: TrainRecipe, screen: Screen) -> str:
    """Caption the crops that the corpus does not have yet; the same again continues.

    Returns what was done, in a line.

    Raises RecipeError for what the user can mend, StorageError where the captioners stop.
    """
    live = recipe.recaption.model_copy(update={"is_live": True, "ahead": recipe.images})
    recipe = recipe.model_copy(update={"recaption": live})
    with doing("opening the corpus"):
        data = open_data(recipe)
        if not isinstance(data.entries, CorpusEntries):
            raise RecipeError(
                "data.export: captions of crops are kept in a corpus; give data.corpus"
            )
        first = len(units_needed(data.entries, data.order, 0, data.steps))
    if not first:
        return "all crops have their captions"
    with contextlib.ExitStack() as stack:
        with doing("starting Ray"):
            stack.enter_context(session())
        tell = stack.enter_context(data.serving(Share(cpus=0)))
        stack.enter_context(screen.watching(lambda: None, tell))
        stack.enter_context(doing("captioning crops"))
        _wait(data, data.entries, first)
    return f"crops of {first} parts captioned -> {recipe.data.corpus}"


def _wait(data: TrainData, entries: CorpusEntries, first: int) -> None:
    """Wait until all crops have captions. Raises StorageError where the captioners stop."""
    while left := len(units_needed(entries, data.order, 0, data.steps)):
        tell_how_far(first - left, first)
        assert data.board is not None
        if why := data.board.failure():
            raise StorageError(why)
        time.sleep(min(_LOOK_S, 1 + first / 1000))  # each look lists the corpus
