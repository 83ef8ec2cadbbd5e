"""Train the recogniser from scratch and measure it: `python -m train.evaluate.scenes.train`.

Some 20 minutes on one core that others use as well. Writes the weights and
how they came about beside the recogniser's code, or to --out. The same seed and number of steps
give the same weights, up to the rounding of the machine.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from train.evaluate.scenes.lessons import Lessons, draw_lessons, worsen
from train.evaluate.scenes.measure import measure
from train.evaluate.scenes.recogniser.network import RecogniserNet, make_net
from train.evaluate.scenes.recogniser.reading import WEIGHTS, load_recogniser
from train.evaluate.scenes.recogniser.targets import Labels, as_labels, loss_of

log = logging.getLogger(__name__)

LOSS_WEIGHTS = {"thing": 1.0, "shape": 1.0, "hue": 0.7, "place": 0.5, "size": 0.5}

HELD_OUT = 991_000
"""Seed of the scenes that it is measured on."""

ACCOUNT = "training.json"

_LOG_EVERY = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """How much it is taught, how fast, and from which seed."""

    seed: int = 20
    scenes: int = 20_000
    steps: int = 3_600
    batch: int = 32
    rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.03
    threads: int = 1

    def rate_at(self, step: int) -> float:
        """Return the learning rate: it rises, then falls as a cosine to nothing."""
        progress = max(0.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return (
            self.rate
            * min(1.0, (step + 1) / self.warmup)
            * 0.5
            * (1 + math.cos(math.pi * progress))
        )


def train_net(plan: Plan, lessons: Lessons) -> tuple[RecogniserNet, list[dict[str, float]]]:
    """Return a trained net and its learning curve."""
    torch.set_num_threads(plan.threads)
    net = make_net(plan.seed).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=plan.weight_decay)
    curve: list[dict[str, float]] = []
    means: dict[str, float] = dict.fromkeys(LOSS_WEIGHTS, 0.0)
    for step, (image_BCHW, labels) in enumerate(_batches(plan, lessons)):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate_at(step)
        losses = loss_of(net(image_BCHW), labels)
        optimizer.zero_grad()
        _total(losses).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        for name, loss in losses.items():
            means[name] += loss.item() / _LOG_EVERY
        if (step + 1) % _LOG_EVERY == 0:
            curve.append({"step": step + 1} | {k: round(v, 4) for k, v in means.items()})
            log.info("%s", curve[-1])
            means = dict.fromkeys(LOSS_WEIGHTS, 0.0)
    return net.eval(), curve


def _total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack([LOSS_WEIGHTS[name] * loss for name, loss in losses.items()]).sum()


def _batches(plan: Plan, lessons: Lessons) -> Iterator[tuple[Tensor, Labels]]:
    """Yield worsened pictures, half of them mirrored, each once before any comes again."""
    count, labels = len(lessons.images), as_labels(lessons.labels)
    order = np.empty(0, dtype=np.int64)
    for step in range(plan.steps):
        rng = np.random.default_rng((plan.seed, step))
        if len(order) < plan.batch:
            order = np.concatenate([order, rng.permutation(count)])
        rows, order = order[: plan.batch], order[plan.batch :]
        image_BCHW = worsen(lessons.images[rows], rng)
        is_mirrored = torch.from_numpy(rng.random(len(rows)) < 0.5)
        yield mirrored(image_BCHW, labels[torch.from_numpy(rows)], is_mirrored)


def mirrored(image_BCHW: Tensor, labels: Labels, is_B: Tensor) -> tuple[Tensor, Labels]:
    """Return pictures and labels, left and right exchanged in those that are asked for."""
    image_BCHW = torch.where(is_B[:, None, None, None], image_BCHW.flip(-1), image_BCHW)
    x, y = labels.place_BM2.unbind(-1)
    place_BM2 = torch.stack((torch.where(is_B[:, None], 1 - x, x), y), dim=-1)
    image_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)
    return image_BCHW, replace(labels, place_BM2=place_BM2)


def write_weights(net: RecogniserNet, folder: Path) -> None:
    """Write the weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in net.state_dict().items()
    }
    (folder / WEIGHTS.name).write_bytes(save(state))


def main() -> None:
    """Train, write, measure, write what was measured."""
    asked = _read_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder, began = Path(asked.out), time.monotonic()
    plan = replace(Plan(), seed=asked.seed, scenes=asked.scenes, steps=asked.steps)
    account: dict[str, Any] = {"plan": asdict(plan)}
    lessons = draw_lessons(plan.seed, plan.scenes, Path(asked.cache) if asked.cache else None)
    account["seconds_rendering"] = round(time.monotonic() - began)
    net, account["curve"] = train_net(plan, lessons)
    account["seconds"] = round(time.monotonic() - began)
    write_weights(net, folder)
    account["measured"] = measure(load_recogniser(folder / WEIGHTS.name), HELD_OUT, asked.measure)
    (folder / ACCOUNT).write_text(json.dumps(account, indent=1) + "\n")


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train.evaluate.scenes.train", description=__doc__)
    plan = Plan()
    parser.add_argument("--out", default=WEIGHTS.parent, help="folder for weights and account")
    parser.add_argument("--cache", default="", help="folder in which rendered scenes are kept")
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--scenes", type=int, default=plan.scenes, help="to render and learn from")
    parser.add_argument("--steps", type=int, default=plan.steps)
    parser.add_argument("--measure", type=int, default=1000, help="held-out scenes, flat ones")
    return parser.parse_args()


if __name__ == "__main__":
    main()
