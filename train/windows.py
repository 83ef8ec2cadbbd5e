"""From a window of the order to training rows, and from rows to batches. Without Ray."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from recaption import keyed
from recaption.config import RecipeError
from recaption.decode import DecodeError
from recaption.notices import Notice, note, take_notices
from recaption.sample import Part
from train.batch import Batch
from train.config import TrainRecipe
from train.crops import is_stacked, turn_of
from train.errors import describe
from train.family import TextTokenizer
from train.layouts import Row, lay_out
from train.order import Order, Window
from train.pace import steps_in_all
from train.pairs import Entry, Pair, make_pair, make_whole
from train.pixels import Pixels, fit, halves

T = TypeVar("T")

LOST = "images that cannot be trained on; others of their window stood in"
"""The kind of notice."""

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

    def pairs(self, window: Window) -> Iterator[Row]:
        """Yield what a window trains on, in its order.

        In the place of what cannot be trained on stands another of the window. Raises RecipeError
        where there is none.
        """
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

        def row(place: int, index: int) -> Row | None:
            return shown_or_lost(entries[index], lambda: show(place, make_pair))

        # Those used before as well: they may be partners of halves.
        tried = [row(place, index) for place, index in enumerate(order)]
        rows = filled(tried, [entries[index] for index in order])
        stacked = is_stacked(self.recipe.seed, turn_of(self.recipe.crops, window.epoch))
        yield from lay_out(rows, stacked, lambda place: show(place, make_whole))[window.skip :]

    def rows(self, window: Window) -> Rows:
        """Return a window's training rows as columns: those of `rows_of`, `lane` (n,), `notice`.

        The first `notice` is what was noted on the way, as JSON; the others are empty.
        """
        pairs = list(self.pairs(window))
        seed, size = self.recipe.seed, self.recipe.data.image_size
        pictures = [picture_of(entry, pair, size) for entry, pair in pairs]
        tried = [
            None if picture is None else (pair, picture)
            for pair, picture in zip(pairs, pictures, strict=True)
        ]
        shown = filled(tried, [entry for entry, _ in pairs])
        keys = [keyed.integer("noise", seed, window.epoch, e.sample_id) for (e, _), _ in shown]
        rows = rows_of(shown, keys, self.tokenizer)
        noted = json.dumps([asdict(notice) for notice in take_notices()])
        return rows | {
            "lane": np.full(len(pairs), window.lane, np.int64),
            "notice": [noted, *[""] * (len(pairs) - 1)],
        }


def shown_or_lost(entry: Entry, make: Callable[[], Pair]) -> Row | None:
    """Return an entry with its pair, None where it cannot be trained on, which is noted."""
    fault = entry.fault
    if not fault:
        try:
            return entry, make()
        except ValueError as e:
            fault = str(e)
    note(LOST, f"{entry.sample_id}: {fault}")
    return None


def filled(tried: Sequence[T | None], entries: Sequence[Entry]) -> list[T]:
    """Return a list in which the next one stands in the place of each that is None.

    So a sample fails alone, and each batch is whole. Raises RecipeError where all are None.
    """
    good = [index for index, one in enumerate(tried) if one is not None]
    if tried and not good:
        raise RecipeError(
            f"none of {len(tried)} images that are shuffled together can be trained on, such as"
            f" {entries[0].sample_id}: {entries[0].fault or 'it cannot be decoded'}"
        )
    chosen = [one or tried[good[bisect_left(good, k) % len(good)]] for k, one in enumerate(tried)]
    return [one for one in chosen if one is not None]


def rows_of(
    shown: Sequence[tuple[Row, Pixels]], keys: Sequence[int], tokenizer: TextTokenizer
) -> Rows:
    """Return training rows as columns; `keys` are of the noise.

    `image` (n, 3, size, size) uint8, `token` (n, T) int32, `mask` (n, T), `noise_key` (n,) int64;
    `caption`, `sample_id`, `outcome`, `source`: lists of n strings.
    """
    pairs = [row for row, _ in shown]
    texts = [pair.choice.text for _, pair in pairs]
    token, mask = tokenizer(texts)
    return {
        "image": np.stack([picture for _, picture in shown]),
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


def picture_of(entry: Entry, pair: Pair, size: int) -> Pixels | None:
    """Return what is shown, (3, size, size), None where it does not decode, which is noted."""
    first, second = (entry.image, pair.crop), pair.second
    try:
        if second is None:
            return fit(*first, size, size)
        return halves(first, (second.entry.image, second.crop), second.is_below, size)
    except Exception as e:  # whatever a stranger's image makes a decoder raise is its own fault
        what = str(e) if isinstance(e, DecodeError) else describe(e)
        note(LOST, f"{entry.sample_id}: {what}")
        return None


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
    windows: Iterable[Mapping[str, Any]],
    lanes: Sequence[int],
    share: int,
    counts: Counter[str],
    noted: dict[str, Notice] | None = None,
) -> Iterator[Batch]:
    """Yield batches of `share` rows of each lane, from windows in the order they are needed.

    `counts` is told the outcomes of what was yielded, `noted` what was noted of it, by kind.
    """
    waiting: dict[int, deque[Rows]] = {lane: deque() for lane in lanes}
    held = dict.fromkeys(lanes, 0)
    for window in windows:
        if noted is not None:
            add_notices(noted, (Notice(**row) for row in json.loads(str(window["notice"][0]))))
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


def add_notices(noted: dict[str, Notice], more: Iterable[Notice]) -> None:
    """Add notices up by kind; the first example stays."""
    for one in more:
        known = noted.get(one.kind)
        noted[one.kind] = replace(known, count=known.count + one.count) if known else one


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
