"""The data of a training: opened and checked once, read by each worker.

A worker streams the windows of its lanes: tasks of Ray Data read them, join images and captions,
choose, decode, crop and tokenise, in the order in which the batches need them (`streaming.py`); in
a run without Ray a thread does the same.
"""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from recaption import keyed
from recaption.config import RecipeError
from recaption.notices import Notice
from train.batch import Batch
from train.config import TrainRecipe
from train.corpus_entries import CorpusEntries, open_corpus_entries
from train.crops import FULL
from train.doing import doing
from train.family import TextTokenizer
from train.order import Order
from train.pace import steps_in_all
from train.pairs import Entry, Outcome, Pair
from train.rotation import Choice, TextSource
from train.windows import (
    Entries,
    Loader,
    assemble,
    batch_of,
    held_out,
    load_in_thread,
    picture_of,
    rows_of,
    trained_counts,
)

if TYPE_CHECKING:
    from recaption.runtime import Share
    from train.board import BoardClient


@dataclass(slots=True)
class TrainData:
    """What a recipe trains on. Picklable: each worker gets its copy.

    `is_alone`: read in the worker's own process, without Ray.
    """

    recipe: TrainRecipe
    entries: Entries
    order: Order
    board: BoardClient | None = None
    is_alone: bool = False
    _counts: Counter[str] = field(default_factory=Counter)
    _noted: dict[str, Notice] = field(default_factory=dict)
    _tells_board: bool = True

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return steps_in_all(self.recipe)

    def batches(
        self, rank: int, workers: int, first_step: int, tokenizer: TextTokenizer
    ) -> Iterator[Batch]:
        """Yield a worker's images of each step from `first_step` on, to the end of the run."""
        self._tells_board = rank == 0
        lanes = [lane for lane in range(self.order.lanes) if lane % workers == rank]
        loader = Loader(self.recipe, self.entries, self.order, tokenizer)
        windows = self.order.interleaved(lanes, first_step, self.steps)
        if self.is_alone:
            rows = load_in_thread(loader, windows)
        else:
            from train.streaming import load_in_tasks

            rows = load_in_tasks(loader, windows, self.board)
        return assemble(rows, lanes, self.order.share, self._counts, self._noted)

    def counts(self) -> dict[str, int]:
        """Return how many images of this worker were shown how.

        The first worker, and the driver, tell what the captioners did as well.
        """
        made = self.board.counts() if self.board and self._tells_board else Counter()
        return dict(sorted((self._counts + made).items()))

    def notices(self) -> list[Notice]:
        """Return what was noted of the images that this worker was shown."""
        return list(self._noted.values())

    def held_out(self, count: int, tokenizer: TextTokenizer) -> list[Batch]:
        """Return images that are not trained on, whole, each with its first caption.

        Raises RecipeError where the recipe holds none out.
        """
        entries = list(itertools.islice(self._held_out(), count))
        if not entries:
            raise RecipeError("no image is held out for evaluation: set data.held_out, such as 0.1")
        size = self.recipe.data.batch_size
        groups = [entries[i : i + size] for i in range(0, len(entries), size)]
        batches = [self._plain(group, tokenizer) for group in groups]
        if not any(batches):
            raise RecipeError("none of the images that are held out for evaluation can be read")
        return [batch for batch in batches if batch is not None]

    @contextlib.contextmanager
    def serving(self, beside: Share, first_step: int = 0) -> Iterator[Callable[[], str]]:
        """Run the captioners of crops beside what runs within, where the recipe asks for them.

        `beside` is what that reserves of the cluster. Yields what tells of the captioners, '' where
        there are none.
        """
        if not self.recipe.recaption.is_live or not isinstance(self.entries, CorpusEntries):
            yield str
            return
        from train.board import start_board
        from train.crop_recaption import captioning, crop_job

        with doing("preparing the captioners of crops"):
            job = crop_job(self.entries, f"train-{uuid.uuid4().hex[:8]}")
        self.board = start_board()
        self.entries = replace(self.entries, failure=self.board.failure)
        with captioning(job, self.order, first_step, self.steps, self.board, beside) as tell:
            yield tell

    def _held_out(self) -> Iterator[Entry]:
        recipe = self.recipe
        for part, n in sorted(self.entries.counts(), key=lambda pair: pair[0].name):
            held = held_out(part, n, recipe.data.held_out, recipe.seed)
            if held:
                entries = self.entries.read(part, 0)
                yield from (e for e in (entries[i] for i in sorted(held)) if not e.fault)

    def _plain(self, entries: list[Entry], tokenizer: TextTokenizer) -> Batch | None:
        """Return a batch of those that can be read, None where none can."""
        size = self.recipe.data.image_size
        shown = []
        for entry in entries:
            first = Choice(entry.texts.captions[0].text, TextSource.CAPTION, 0)
            pair = Pair(FULL, first, Outcome.KEPT)
            picture = picture_of(entry, pair, size)
            if picture is not None:
                shown.append(((entry, pair), picture))
        keys = [keyed.integer("held out noise", entry.sample_id) for (entry, _), _ in shown]
        return batch_of(rows_of(shown, keys, tokenizer)) if shown else None


def open_data(recipe: TrainRecipe) -> TrainData:
    """Open what a recipe trains on, and check it. Raises RecipeError or StorageError."""
    entries: Entries
    if recipe.data.corpus:
        entries = open_corpus_entries(recipe)
    else:
        from train.exported import open_export_entries

        entries = open_export_entries(recipe)
    data = recipe.data
    try:
        order = Order(
            trained_counts(entries, data.held_out, recipe.seed),
            seed=recipe.seed,
            lanes=data.lanes,
            batch=data.batch_size,
            window=data.window,
        )
    except ValueError as e:
        raise RecipeError(str(e)) from e
    return TrainData(recipe, entries, order)
