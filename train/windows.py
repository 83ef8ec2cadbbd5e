"""From a window of the order to training rows, and from rows to batches. Without Ray."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch

from recaption import keyed
from recaption.decode import DecodeError
from recaption.sample import Part
from recaption.storage import StorageError
from train.batch import Batch
from train.config import TrainRecipe
from train.crops import is_stacked, turn_of
from train.family import TextTokenizer
from train.layouts import lay_out
from train.order import Order, Window
from train.pace import steps_in_all
from train.pairs import Entry, Pair, make_pair, make_whole
from train.pixels import fit, halves

Rows = dict[str, Any]
"""Columns of equal length: see `Loader.rows`."""


class Entries(Protocol):
    """Where entries come from: a corpus beside its images, or an export."""

    def counts(self) -> Sequence[tuple[Part, int]]:
        """Return how many entries each part has."""

    def read(self, part: Part, epoch: int) -> list[Entry]:
        """Return a part's entries in order. Raises StorageError or ValueError."""


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads windows: read, choose crop and caption, decode, crop, resize, tokenise."""

    recipe: TrainRecipe
    entries: Entries
    order: Order
    tokenizer: TextTokenizer

    def pairs(self, window: Window) -> Iterator[tuple[Entry, Pair]]:
        """Yield what a window trains on, in its order."""
        entries: list[Entry] = []
        for stretch in window.stretches:
            kept = kept_entries(self.entries.read(stretch.part, window.epoch), stretch.part, self)
            entries += kept[stretch.first : stretch.last]
        order = replace(window, skip=0).order(self.recipe.seed)
        total = steps_in_all(self.recipe)
        step = self.order.first_step(window)

        def show(place: int, make: Callable[..., Pair]) -> Pair:
            progress = min(1.0, (step + place // self.order.share) / total)
            return make(entries[order[place]], self.recipe, epoch=window.epoch, progress=progress)

        # Those used before as well: they may be partners of halves.
        rows = [(entries[index], show(place, make_pair)) for place, index in enumerate(order)]
        stacked = is_stacked(self.recipe.seed, turn_of(self.recipe.crops, window.epoch))
        yield from lay_out(rows, stacked, lambda place: show(place, make_whole))[window.skip :]

    def rows(self, window: Window) -> Rows:
        """Return a window's training rows as columns: those of `rows_of`, and `lane` (n,)."""
        pairs = list(self.pairs(window))
        seed, size = self.recipe.seed, self.recipe.data.image_size
        keys = [keyed.integer("noise", seed, window.epoch, e.sample_id) for e, _ in pairs]
        rows = rows_of(pairs, keys, self.tokenizer, size)
        return rows | {"lane": np.full(len(pairs), window.lane, np.int64)}


def rows_of(
    pairs: Sequence[tuple[Entry, Pair]], keys: Sequence[int], tokenizer: TextTokenizer, size: int
) -> Rows:
    """Return training rows as columns; `keys` are of the noise.

    `image` (n, 3, size, size) uint8, `token` (n, T) int32, `mask` (n, T), `noise_key` (n,) int64;
    `caption`, `sample_id`, `outcome`, `source`: lists of n strings. Raises StorageError for an
    image that does not decode.
    """
    texts = [pair.choice.text for _, pair in pairs]
    token, mask = tokenizer(texts)
    return {
        "image": np.stack([_pixels(entry, pair, size) for entry, pair in pairs]),
        "token": token,
        "mask": mask,
        "noise_key": np.array(keys, np.int64),
        "caption": texts,
        "sample_id": [entry.sample_id for entry, _ in pairs],
        "outcome": [str(pair.outcome) for _, pair in pairs],
        "source": [str(pair.choice.source) for _, pair in pairs],
    }


def load_in_thread(loader: Loader, windows: Iterator[Window]) -> Iterator[Rows]:
    """Yield the rows of windows in their order, the next few loaded meanwhile."""
    ahead = loader.recipe.data.readers
    with ThreadPoolExecutor(1) as pool:
        loading = deque(pool.submit(loader.rows, window) for window in islice(windows, ahead))
        while loading:
            rows = loading.popleft().result()
            loading.extend(pool.submit(loader.rows, window) for window in islice(windows, 1))
            yield rows


def _pixels(entry: Entry, pair: Pair, size: int) -> Any:
    first, second = (entry.image, pair.crop), pair.second
    try:
        if second is None:
            return fit(*first, size, size)
        return halves(first, (second.entry.image, second.crop), second.is_below, size)
    except DecodeError as e:
        raise StorageError(f"{entry.sample_id}: the image cannot be read any more: {e}") from e


def kept_entries(entries: list[Entry], part: Part, loader: Loader) -> list[Entry]:
    """Return the entries of a part that are trained on."""
    data, seed = loader.recipe.data, loader.recipe.seed
    held = held_out(part, len(entries), data.held_out, seed)
    return [entry for index, entry in enumerate(entries) if index not in held]


def held_out(part: Part, count: int, share: float, seed: int) -> frozenset[int]:
    """Return which entries of a part are kept for validation: a share of them, keyed."""
    wanted = _held_count(part, count, share, seed)
    if not wanted:
        return frozenset()
    ranked = sorted(range(count), key=lambda i: keyed.uniform("held out", seed, part.name, i))
    return frozenset(ranked[:wanted])


def trained_counts(entries: Entries, share: float, seed: int) -> list[tuple[Part, int]]:
    """Return how many images of each part are trained on."""
    return [(part, n - _held_count(part, n, share, seed)) for part, n in entries.counts()]


def _held_count(part: Part, count: int, share: float, seed: int) -> int:
    """Return so many that parts of any size hold out the share on average."""
    return min(count, int(count * share + keyed.uniform("held out", seed, part.name)))


def assemble(
    windows: Iterable[Mapping[str, Any]], lanes: Sequence[int], share: int, counts: Counter[str]
) -> Iterator[Batch]:
    """Yield batches of `share` rows of each lane, from windows in the order they are needed.

    `counts` is told the outcomes of what was yielded.
    """
    waiting: dict[int, deque[Rows]] = {lane: deque() for lane in lanes}
    held = dict.fromkeys(lanes, 0)
    for window in windows:
        for lane in np.unique(window["lane"]):
            mine = window["lane"] == lane
            waiting[int(lane)].append({k: np.asarray(v)[mine] for k, v in window.items()})
            held[int(lane)] += int(mine.sum())
        while all(count >= share for count in held.values()):
            taken = [_take(waiting[lane], share) for lane in lanes]
            for lane in lanes:
                held[lane] -= share
            rows = {key: np.concatenate([lane[key] for lane in taken]) for key in taken[0]}
            counts.update(f"crops {outcome}" for outcome in rows["outcome"])
            counts.update(f"text {source}" for source in rows["source"])
            yield batch_of(rows)


def _take(queue: deque[Rows], count: int) -> Rows:
    """Take the first rows of a lane."""
    taken: list[Rows] = []
    while count:
        rows = queue.popleft()
        n = len(rows["lane"])
        if n > count:
            queue.appendleft({key: column[count:] for key, column in rows.items()})
            rows = {key: column[:count] for key, column in rows.items()}
        taken.append(rows)
        count -= min(n, count)
    return {key: np.concatenate([rows[key] for rows in taken]) for key in taken[0]}


def batch_of(rows: Mapping[str, Any]) -> Batch:
    """Return rows as a batch."""
    return Batch(
        image_BCHW=torch.from_numpy(rows["image"]),
        token_BT=torch.from_numpy(rows["token"].astype(np.int64)),
        mask_BT=torch.from_numpy(rows["mask"]),
        noise_key_B=torch.from_numpy(rows["noise_key"]),
        captions=tuple(str(text) for text in rows["caption"]),
        sample_ids=tuple(str(name) for name in rows["sample_id"]),
    )
