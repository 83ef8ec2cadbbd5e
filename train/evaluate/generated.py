"""Metrics of generated images: each caption is painted once, and all of them look at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from recaption import keyed
from train.batch import Batch
from train.doing import tell_how_far
from train.evaluate.evaluator import evaluating, precisely
from train.family import Family

# B images, C = 3 colours, H and W pixels

_PIECE = 32
"""Images generated together."""


class ImageMetric(Protocol):
    """Looks at generated images piece by piece and says what it found at the end."""

    def see_real(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Look at held-out images, uint8; told once, they stay."""

    def see(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Look at generated images, uint8, of these captions."""

    def finish(self) -> Iterator[tuple[str, float]]:
        """Yield what comes of it and forget the generated images."""


@dataclass(frozen=True, slots=True)
class Generated:
    """Paints the captions of held-out images and shows them to metrics."""

    metrics: Sequence[ImageMetric]
    captions: Sequence[str]
    seed: int
    name: str

    def __call__(self, family: Family) -> Iterator[tuple[str, float]]:
        """Yield what each metric finds."""
        for image_BCHW, captions in paint(family, self.captions, self.seed):
            for metric in self.metrics:
                with precisely():
                    metric.see(image_BCHW, captions)
        for metric in self.metrics:
            with precisely():
                values = list(metric.finish())
            yield from values


def open_generated(
    metrics: Mapping[str, ImageMetric], batches: Sequence[Batch], seed: int
) -> Generated:
    """Return the evaluator of metrics by name, which have seen the held-out images."""
    with precisely():
        for batch in batches:
            for metric in metrics.values():
                metric.see_real(batch.image_BCHW, batch.captions)
    captions = [caption for batch in batches for caption in batch.captions]
    return Generated(tuple(metrics.values()), captions, seed, ", ".join(metrics))


def paint(
    family: Family, captions: Sequence[str], seed: int, stream: str = "held-out"
) -> Iterator[tuple[Tensor, Sequence[str]]]:
    """Yield images of captions, uint8 (B, C, H, W), with the captions, piece by piece.

    The seed of an image depends on `seed`, `stream` and its number alone.
    """
    for begin in range(0, len(captions), _PIECE):
        tell_how_far(begin, len(captions))
        piece = captions[begin : begin + _PIECE]
        numbers = range(begin, begin + len(piece))
        with evaluating(family):
            image_BCHW = family.sample(piece, [seed_of(seed, stream, n) for n in numbers])
        yield image_BCHW, piece


def seed_of(seed: int, stream: str, number: int) -> int:
    """Return the seed of a generated image."""
    return keyed.integer("evaluate", stream, seed, number, bits=62)
