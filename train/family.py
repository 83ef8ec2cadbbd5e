"""The contract between the trainer and a family of models; the trainer knows nothing else of it.

A family has nets (what is trained, saved and averaged) and phases. A model with one loss has one
phase; a GAN has two with different nets, a two-stage model two with different intervals: all go
through the same loop. A new family is a folder in `families/` with a config that creates it, a
recipe, and a debug preset for tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from train.batch import Batch


@dataclass(frozen=True, slots=True)
class Loss:
    """What is minimised, a scalar, and what else is worth logging of it, scalars by name."""

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Phase:
    """One kind of step: which nets it trains (keys of `Family.nets`), by what loss, how often.

    `every`: it takes place in steps 0, every, 2 * every, ...
    """

    name: str
    nets: tuple[str, ...]
    loss: Callable[[Batch], Loss]
    every: int = 1


class TextTokenizer(Protocol):
    """Turns texts into tokens; picklable, for it is sent to the data tasks."""

    @property
    def length(self) -> int:
        """Tokens of a text, at most; what is longer is cut."""

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens (n, length), int32, and a mask (n, length), true where one is.

        The empty text has no tokens at all: it is what classifier-free guidance drops to.
        """


class Family(Protocol):
    """A kind of text-to-image model that can be trained."""

    nets: nn.ModuleDict
    """All that is trained. Frozen encoders are kept elsewhere: they are not saved."""

    @property
    def phases(self) -> Sequence[Phase]:
        """What a step consists of, in order."""

    @property
    def tokenizer(self) -> TextTokenizer:
        """What its texts go through before it."""

    def shard_units(self) -> Sequence[nn.Module]:
        """Return the modules that FSDP shards one by one: the blocks of its deep nets."""

    def move_to(self, device: str) -> None:
        """Move nets and frozen encoders to a device."""

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        """Return losses by name, each of shape (B,), free of chance: the same at each call."""

    def sample(self, captions: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """Return an image per caption, uint8 (B, 3, H, W), that depends on its seed alone."""


class FamilyConfig(Protocol):
    """The section of a recipe that describes a family; it checks itself and creates it."""

    def create(self, image_size: int, seed: int) -> Family:
        """Make the family with fresh weights, a function of the seed, for square images."""
