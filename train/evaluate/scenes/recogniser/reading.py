"""From pictures to the things in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from recaption.shapeworld.content import Shape
from train.evaluate.scenes.recogniser.network import (
    GRID,
    HUES,
    IMAGE_SIZE,
    SHAPES,
    CellAnswers,
    RecogniserNet,
)

# B images, A = 2 sizes a cell answers for, C = 3 colours, H and W pixels, G cells along a side

WEIGHTS = Path(__file__).with_name("model.safetensors")

SURE = 0.3
"""Confidence from which a thing is there: of 0.25 to 0.55 the best for counting on flat scenes."""

_SAME_PLACE = 0.06
"""Two answers nearer than this to each other, in sides of the picture, are of one thing."""

_PIECE = 64
"""Pictures looked at together."""


@dataclass(frozen=True, slots=True)
class Found:
    """A thing found in a picture: `x`, `y` and `radius` in sides of the picture."""

    hue: str
    shape: Shape
    x: float
    y: float
    radius: float
    confidence: float

    @property
    def look(self) -> tuple[str, Shape]:
        """Colour and shape."""
        return self.hue, self.shape


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A trained net that reads pictures of rendered scenes and what resembles them."""

    net: RecogniserNet
    sure: float = SURE

    @torch.no_grad()
    def read(self, image_BCHW: Tensor) -> list[tuple[Found, ...]]:
        """Return the things in each picture, uint8 of any size, the surest first."""
        found: list[tuple[Found, ...]] = []
        for piece_BCHW in torch.split(image_BCHW, _PIECE):
            device = next(self.net.parameters()).device
            answers = _seen_twice(self.net, as_input(piece_BCHW.to(device)))
            found += [self._things(answers, row) for row in range(len(piece_BCHW))]
        return found

    def _things(self, answers: CellAnswers, row: int) -> tuple[Found, ...]:
        share_AGG = answers.thing_BAGG[row].sigmoid().cpu()
        is_peak = share_AGG == F.max_pool2d(share_AGG[None], 3, 1, 1)[0]
        at = torch.nonzero(is_peak & (share_AGG > self.sure))
        things = [_thing(answers, row, *cell) for cell in at.tolist()]
        return _without_doubles(sorted(things, key=lambda thing: -thing.confidence))


def load_recogniser(weights: Path | str = WEIGHTS) -> Recogniser:
    """Return the recogniser that the package ships, or one trained anew. Raises OSError."""
    net = RecogniserNet()
    net.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
    return Recogniser(net.eval())


def as_input(image_BCHW: Tensor) -> Tensor:
    """Return pictures, uint8 of any size, as the net takes them: 64 x 64, float in 0 to 1."""
    x_BCHW = image_BCHW.float() / 255
    if x_BCHW.shape[-2:] == (IMAGE_SIZE, IMAGE_SIZE):
        return x_BCHW
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return F.interpolate(x_BCHW, size=size, mode="bilinear", antialias=True).clamp(0, 1)


def _seen_twice(net: RecogniserNet, x_BCHW: Tensor) -> CellAnswers:
    """Return the mean of what a net says of pictures and of their mirror images.

    A mirror changes no shape and no colour of the world, so that each is a view of the same.
    """
    once, again = net(x_BCHW), net(x_BCHW.flip(-1))
    away = again.offset_BAGG2.flip(3) * torch.tensor([-1.0, 1.0], device=x_BCHW.device)
    return CellAnswers(
        (once.thing_BAGG + again.thing_BAGG.flip(3)) / 2,
        (once.shape_BAGGS + again.shape_BAGGS.flip(3)) / 2,
        (once.hue_BAGGH + again.hue_BAGGH.flip(3)) / 2,
        (once.offset_BAGG2 + away) / 2,
        (once.size_BAGG + again.size_BAGG.flip(3)) / 2,
    )


def _thing(answers: CellAnswers, row: int, size: int, gy: int, gx: int) -> Found:
    cell = (row, size, gy, gx)
    dx, dy = answers.offset_BAGG2[cell].tolist()
    return Found(
        hue=HUES[int(answers.hue_BAGGH[cell].argmax())],
        shape=SHAPES[int(answers.shape_BAGGS[cell].argmax())],
        x=(gx + 0.5 + dx) / GRID,
        y=(gy + 0.5 + dy) / GRID,
        radius=float(answers.size_BAGG[cell].exp()),
        confidence=float(answers.thing_BAGG[cell].sigmoid()),
    )


def _without_doubles(things: Sequence[Found]) -> tuple[Found, ...]:
    """Return things without those that a surer answer has told already.

    One thing may be told twice, as a small and as a large one; a small thing within a large one
    differs from it in look or by half in size.
    """
    kept: list[Found] = []
    for thing in things:
        if not any(_are_one(thing, other) for other in kept):
            kept.append(thing)
    return tuple(kept)


def _are_one(a: Found, b: Found) -> bool:
    is_near = max(abs(a.x - b.x), abs(a.y - b.y)) < max(_SAME_PLACE, 0.4 * min(a.radius, b.radius))
    ratio = max(a.radius, b.radius) / min(a.radius, b.radius)
    return is_near and ratio < (2.0 if a.look == b.look else 1.5)
