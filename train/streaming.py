"""[Ray] Windows loaded by tasks of Ray Data, ahead of the worker that needs them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
import ray.data

from train.board import BoardClient
from train.errors import told, untold
from train.order import Window
from train.windows import Loader, Rows

_CHUNK = 256
"""Windows of one Ray dataset, of which a worker runs one after the other."""


def load_in_tasks(
    loader: Loader, windows: Iterator[Window], board: BoardClient | None
) -> Iterator[Rows]:
    """Yield the rows of windows in their order; `board` is told how far the reading is.

    Raises RecipeError for what the user can mend, LastingError or PassingError for what else a
    task met: of what it raised itself, Ray Data would leave its own advice only.
    """
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.enable_auto_log_stats = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    data = loader.recipe.data
    loading = ray.put(_Loading(loader, board))
    while chunk := list(itertools.islice(windows, _CHUNK)):
        dataset = ray.data.from_items(
            list(range(len(chunk))), override_num_blocks=len(chunk)
        ).map_batches(
            _load(loading, ray.put(chunk)),
            batch_size=None,
            num_cpus=data.read_cpus,
            concurrency=data.readers,
        )
        for rows in dataset.iter_batches(
            batch_size=None, batch_format="numpy", prefetch_batches=data.readers
        ):
            if "failure" in rows:
                raise untold(str(rows["failure"][0]), str(rows["message"][0]))
            yield rows


@dataclass(frozen=True, slots=True)
class _Loading:
    """What a reading task needs."""

    loader: Loader
    board: BoardClient | None


def _load(loading: Any, windows: Any) -> Callable[[dict[str, Any]], Rows]:
    def load(block: dict[str, Any]) -> Rows:
        sent: _Loading = ray.get(loading)
        (index,) = block["item"]
        window: Window = ray.get(windows)[index]
        if sent.board:
            sent.board.note(sent.loader.order.first_step(window))
        try:
            return sent.loader.rows(window)
        except Exception as e:
            kind, message = told(e)
            return {"failure": [kind], "message": [message]}

    return load
