"""The order that images come in: pure, keyed, the same for any number of workers.

In each epoch the parts of the corpus are shuffled; end to end, they are cut into `lanes` equal
stretches, and a batch takes the same number of images from each lane. A worker serves some of the
lanes, all of them if it is alone: so a batch holds the same images whatever the number of workers,
and each part is read by one of them (two, where a lane ends within it). Along a lane, `window`
images at a time are shuffled together: no more than that is ever held.

The position in the data is the number of steps taken, nothing else.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from recaption import keyed
from recaption.sample import Part


@dataclass(frozen=True, slots=True)
class Stretch:
    """The images `first` to `last` (not included) of a part, counted among those trained on."""

    part: Part
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Window:
    """Images of a lane that are shuffled together; `skip` of them were used before."""

    epoch: int
    lane: int
    index: int
    stretches: tuple[Stretch, ...]
    skip: int = 0

    def __len__(self) -> int:
        return sum(len(stretch) for stretch in self.stretches)

    def order(self, seed: int) -> list[int]:
        """Return in which order its images come, without those used before."""
        order = list(range(len(self)))
        key = ("window", seed, self.epoch, self.lane, self.index)
        random.Random(keyed.integer(*key)).shuffle(order)
        return order[self.skip :]


class Order:
    """The order of a corpus whose parts have so many images. Raises ValueError for too few."""

    def __init__(
        self, parts: Sequence[tuple[Part, int]], *, seed: int, lanes: int, batch: int, window: int
    ) -> None:
        self._parts = sorted(((p, n) for p, n in parts if n), key=lambda pair: pair[0].name)
        self._seed, self._window = seed, window
        self.lanes, self.share = lanes, batch // lanes
        self.images = sum(n for _, n in self._parts)
        self._stretch = self.images // lanes
        self.steps_per_epoch = self._stretch // self.share
        if self.steps_per_epoch == 0:
            raise ValueError(
                f"{self.images} images are to train on, a batch takes {batch} of them"
                f" ({self.share} from each of {lanes} lanes): set data.batch_size lower"
            )
        self._epochs: dict[int, tuple[list[tuple[Part, int]], list[int]]] = {}

    def windows(self, lane: int, first: int, last: int) -> Iterator[Window]:
        """Yield the windows of a lane from step `first` to step `last` (not included)."""
        step = first
        while step < last:
            epoch, within = divmod(step, self.steps_per_epoch)
            until = min(self.steps_per_epoch, within + last - step)
            yield from self._of_epoch(epoch, lane, within * self.share)
            step += until - within

    def interleaved(self, lanes: Sequence[int], first: int, last: int) -> Iterator[Window]:
        """Yield the windows of several lanes as they are needed: lane by lane, turn by turn."""
        streams = [self.windows(lane, first, last) for lane in lanes]
        while streams:
            for stream in list(streams):
                window = next(stream, None)
                if window is None:
                    streams.remove(stream)
                else:
                    yield window

    def first_step(self, window: Window) -> int:
        """Return the step that needs a window first."""
        return window.epoch * self.steps_per_epoch + window.index * self._window // self.share

    def _of_epoch(self, epoch: int, lane: int, begin: int) -> Iterator[Window]:
        """Yield a lane's windows of an epoch, from its image number `begin` on."""
        used = self.steps_per_epoch * self.share
        for index in range(begin // self._window, -(-used // self._window)):
            start, end = index * self._window, min((index + 1) * self._window, used)
            stretches = tuple(self._cut(epoch, lane * self._stretch + start, end - start))
            yield Window(epoch, lane, index, stretches, max(0, begin - start))

    def _cut(self, epoch: int, begin: int, count: int) -> Iterator[Stretch]:
        """Yield what images `begin` to `begin + count` of an epoch are."""
        parts, ends = self._shuffled(epoch)
        at = bisect_right(ends, begin)
        while count:
            part, n = parts[at]
            first = begin - (ends[at] - n)
            taken = min(count, n - first)
            yield Stretch(part, first, first + taken)
            at, begin, count = at + 1, begin + taken, count - taken

    def _shuffled(self, epoch: int) -> tuple[list[tuple[Part, int]], list[int]]:
        """Return the parts in an epoch's order, and how many images end with each."""
        if epoch not in self._epochs:
            while len(self._epochs) > 1:
                del self._epochs[min(self._epochs)]
            self._epochs[epoch] = self._shuffle(epoch)
        return self._epochs[epoch]

    def _shuffle(self, epoch: int) -> tuple[list[tuple[Part, int]], list[int]]:
        parts = list(self._parts)
        random.Random(keyed.integer("epoch", self._seed, epoch)).shuffle(parts)
        return parts, list(accumulate(n for _, n in parts))
