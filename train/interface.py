"""What the trainer asks of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from recaption.notices import Notice
from train.batch import Batch
from train.family import TextTokenizer

if TYPE_CHECKING:
    from recaption.runtime import Share


class TrainData(Protocol):
    """Batches by their place in the run, each worker's share of them; picklable."""

    @property
    def steps(self) -> int:
        """Steps of the whole run."""

    def batches(
        self, rank: int, workers: int, first_step: int, tokenizer: TextTokenizer
    ) -> Iterator[Batch]:
        """Yield a worker's share of each step's batch, from a step on."""

    def held_out(self, count: int, tokenizer: TextTokenizer) -> list[Batch]:
        """Return images that are not trained on, always the same."""

    def counts(self) -> Mapping[str, int]:
        """Return what became of the captions and crops of this worker's batches so far."""

    def notices(self) -> Sequence[Notice]:
        """Return what was noted of this worker's images so far, such as those that were lost."""

    def serving(
        self, beside: Share, first_step: int = 0
    ) -> AbstractContextManager[Callable[[], str]]:
        """Within, all is there that the workers' batches need, such as captioners of crops.

        `beside`: what training reserves of the cluster. Gives what says how these are.
        """
