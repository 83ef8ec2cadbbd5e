"""A family and data for tests of the trainer: small, keyed, and unlike the default family."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recaption import keyed
from recaption.notices import Notice
from recaption.runtime import Share
from train import noise
from train.batch import Batch
from train.config import TrainRecipe
from train.family import Loss, Phase, TextTokenizer
from train.parallel import Team, Workers
from train.state import TrainState

SIDE = 8
TOKENS = 4


class WordTokenizer:
    """A number per word."""

    length = TOKENS

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        tokens = np.zeros((len(texts), TOKENS), np.int32)
        for row, text in enumerate(texts):
            for i, word in enumerate(text.split()[:TOKENS]):
                tokens[row, i] = 1 + keyed.integer("word", word) % 30
        return tokens, tokens > 0


class Generator(nn.Module):
    """Noise and text to an image."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(32, 16)
        self.first = nn.Linear(16 + 8, 32)
        self.last = nn.Linear(32, 3 * SIDE * SIDE)

    def forward(self, token_BT: Tensor, noise_BN: Tensor) -> Tensor:
        text = self.words(token_BT).mean(1)
        hidden = F.gelu(self.first(torch.cat((text, noise_BN), dim=1)))
        return self.last(hidden).view(-1, 3, SIDE, SIDE).tanh()


class Critic(nn.Module):
    """An image and its text to a number."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(32, 16)
        self.first = nn.Linear(3 * SIDE * SIDE + 16, 32)
        self.last = nn.Linear(32, 1)

    def forward(self, image_BCHW: Tensor, token_BT: Tensor) -> Tensor:
        flat = torch.cat((image_BCHW.flatten(1), self.words(token_BT).mean(1)), dim=1)
        return self.last(F.gelu(self.first(flat))).squeeze(1)


class GanFamily:
    """Two nets against each other; the generator learns in every second step."""

    def __init__(self, seed: int = 0, poison: str = "") -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.nets = nn.ModuleDict({"generator": Generator(), "critic": Critic()})
        self.calls: list[str] = []
        self._poison = poison

    @property
    def phases(self) -> Sequence[Phase]:
        return [
            Phase("critic", ("critic",), self._critic_loss),
            Phase("generator", ("generator",), self._generator_loss, every=2),
        ]

    @property
    def tokenizer(self) -> TextTokenizer:
        return WordTokenizer()

    def shard_units(self) -> Sequence[nn.Module]:
        return [self.nets["generator"].first]

    def move_to(self, device: str) -> None:
        self.nets.to(device)

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"distance": (self._fake(batch) - _real(batch)).square().mean((1, 2, 3))}

    def sample(self, captions: Sequence[str], seeds: Sequence[int]) -> Tensor:
        tokens = torch.from_numpy(self.tokenizer(captions)[0]).long()
        made = self.nets["generator"](tokens, noise.normal(torch.tensor(seeds), (8,)))
        return ((made + 1) * 127.5).round().to(torch.uint8)

    def _critic_loss(self, batch: Batch) -> Loss:
        self.calls.append("critic")
        with torch.no_grad():
            fake = self._fake(batch)
        on_real = self.nets["critic"](_real(batch), batch.token_BT)
        on_fake = self.nets["critic"](fake, batch.token_BT)
        loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        if self._poison in batch.sample_ids:
            loss = loss * float("nan")
        return Loss(loss, {"margin": (on_real - on_fake).mean()})

    def _generator_loss(self, batch: Batch) -> Loss:
        self.calls.append("generator")
        judged = self.nets["critic"](self._fake(batch), batch.token_BT)
        return Loss(F.softplus(-judged).mean())

    def _fake(self, batch: Batch) -> Tensor:
        return self.nets["generator"](batch.token_BT, noise.normal(batch.noise_key_B, (8,)))


def _real(batch: Batch) -> Tensor:
    return batch.image_BCHW.float() / 127.5 - 1


class KeyedData:
    """Images made of their keys, in memory; implements the interface of the real data."""

    def __init__(self, recipe: TrainRecipe, side: int = SIDE) -> None:
        self._recipe, self._side = recipe, side
        self._shown = 0

    @property
    def steps(self) -> int:
        return max(1, self._recipe.images // self._recipe.data.batch_size)

    def batches(
        self, rank: int, workers: int, first_step: int, tokenizer: TextTokenizer
    ) -> Iterator[Batch]:
        share = self._recipe.data.batch_size // workers
        for step in range(first_step, self.steps):
            first = step * self._recipe.data.batch_size + rank * share
            self._shown += share
            yield self._make(range(first, first + share), tokenizer)

    def held_out(self, count: int, tokenizer: TextTokenizer) -> list[Batch]:
        return [self._make(range(-count, 0), tokenizer)]

    def notices(self) -> Sequence[Notice]:
        return []

    def counts(self) -> Mapping[str, int]:
        return {"whole": self._shown}

    @contextlib.contextmanager
    def serving(self, beside: Share, first_step: int = 0) -> Iterator[Callable[[], str]]:
        yield str

    def _make(self, numbers: range, tokenizer: TextTokenizer) -> Batch:
        keys = torch.tensor([keyed.integer("image", self._recipe.seed, n) for n in numbers])
        pixels = noise.uniform(keys, 3 * self._side**2).view(-1, 3, self._side, self._side)
        captions = tuple(f"a {'red' if key % 2 else 'blue'} image" for key in keys.tolist())
        token, mask = tokenizer(captions)
        return Batch(
            image_BCHW=(pixels * 255).to(torch.uint8),
            token_BT=torch.from_numpy(token).long(),
            mask_BT=torch.from_numpy(mask),
            noise_key_B=keys,
            captions=captions,
            sample_ids=tuple(f"image-{n}" for n in numbers),
        )


class QuietOutputs:
    """Keeps what the loop tells, and states at checkpoints."""

    def __init__(self, state: TrainState) -> None:
        self._state = state
        self.events: list[tuple[str, int]] = []
        self.values: list[Mapping[str, float]] = []
        self.saved: dict[int, dict[str, Any]] = {}

    def log(self, means: Mapping[str, float], rate: float) -> None:
        self.events.append(("log", self._state.images))
        self.values.append({**means, "rate": rate})

    def sample(self) -> None:
        self.events.append(("sample", self._state.images))

    def evaluate(self) -> None:
        self.events.append(("evaluate", self._state.images))

    def checkpoint(self) -> None:
        self.events.append(("checkpoint", self._state.images))
        self.saved[self._state.images] = copy.deepcopy(self._state.state_dict())


def make_recipe(out: Path | str = "unused", **changes: Any) -> TrainRecipe:
    """A recipe for these; `changes` by key, with two underscores for a dot."""
    data: dict[str, Any] = {
        "out": str(out),
        "images": 32,
        "data": {"corpus": "none", "image_size": SIDE, "batch_size": 8},
        "model": {"preset": "debug"},
        "optimizer": {"rate": 1e-2, "warmup": 16, "ema_images": 20, "ema": 0.5},
        "checkpoints": {"every": 16},
        "log_every": 8,
    }
    for key, value in changes.items():
        node = data
        *parents, last = key.split("__")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return TrainRecipe.model_validate(data)


def set_up(
    recipe: TrainRecipe, family: Any = None, workers: Workers | None = None
) -> tuple[Team, TrainState]:
    """A team with its state, at the start."""
    team = Team(family or GanFamily(recipe.seed), workers or Workers(), recipe.compute)
    return team, TrainState(team, recipe.optimizer)


def equal(a: Any, b: Any) -> bool:
    """Whether two nested states are the same, bit for bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
