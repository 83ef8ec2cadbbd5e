"""Learning from the worth of its own answers: self-critical sequence training.

Rennie et al. 2017, eq. 8, with the mean worth of the other answers to the same prompt as baseline
(Ahmadian et al. 2024, eq. 5): an answer that is worth more than its siblings becomes likelier.

Legend: B images, K answers to each, N = B * K, T text positions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recaption import keyed
from recaption.shapeworld.captioner.batches import (
    Array,
    Pictures,
    Texts,
    draw_pictures,
    join_texts,
    tokenize_prompts,
)
from recaption.shapeworld.captioner.lessons import draw_hinted
from recaption.shapeworld.captioner.reward import Asked, worth_of
from recaption.shapeworld.language import Style

STYLES = {Style.SHORT: 20, Style.DENSE: 40, Style.SPATIAL: 35, Style.ATTRIBUTES: 5}
"""How often each is asked for, in percent."""


@dataclass(frozen=True, slots=True)
class Asking:
    """B pictures with a prompt each."""

    pictures: Pictures
    prompts: list[list[int]]
    asked: tuple[Asked, ...]


def draw_asking(tokenizer: Any, seed: int, first: int, images: int) -> Iterator[Asking]:
    """Yield prompts about images without end, from scene number `first` on."""
    for number, (pictures, views) in enumerate(draw_pictures(seed, first, images)):
        rng = random.Random(keyed.integer("asking", seed, first, number))
        # one style a batch: answers of like length are drawn in fewer steps
        style = rng.choices(tuple(STYLES), tuple(STYLES.values()))[0]
        hinted = [draw_hinted(style, scene, shown, rng) for scene, shown in views]
        asked = [Asked(v[1], style, one.known) for v, one in zip(views, hinted, strict=True)]
        prompts = tokenize_prompts(tokenizer, [one.prompt for one in hinted])
        yield Asking(pictures, prompts, tuple(asked))


def advantages(answers: Sequence[str], asked: Sequence[Asked]) -> npt.NDArray[np.float32]:
    """Return by how much each of N answers is worth more than its siblings, in their deviations.

    The answers to a prompt stand behind one another.
    """
    count = len(answers) // len(asked)
    worth = np.array([worth_of(a, asked[k // count]) for k, a in enumerate(answers)])
    worth = worth.reshape(len(asked), count)
    others = (worth.sum(1, keepdims=True) - worth) / (count - 1)
    above = worth - others
    ahead: npt.NDArray[np.float32] = (above / (above.std() + 1e-6)).reshape(-1).astype(np.float32)
    return ahead


def weigh(prompts: Sequence[Sequence[int]], answers: Array, advantage: Array, pad: int) -> Texts:
    """Return prompts with answers [N, A] as texts; a token weighs what its answer is ahead."""
    count = len(answers) // len(prompts)
    drawn = [[*row[: int((row != pad).sum())]] for row in answers]
    of_each = [prompt for prompt in prompts for _ in range(count)]
    return join_texts(of_each, drawn, [float(ahead) for ahead in advantage], pad)
