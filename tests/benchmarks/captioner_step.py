"""A training step of the built-in captioner: plain transformers, then ours in float32 and bfloat16.

The same batches for all, round by round; a step is the language loss of 24 images with three texts
each (ours: and of patches and places), its gradients, and the optimizer's step. Plain transformers
sees each text with its image, as its own training would. Batches come round again, as in training:
what oneDNN prepares for a shape in bfloat16 is then prepared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from recaption.shapeworld.captioner import BUILT_IN, course
from recaption.shapeworld.captioner.batches import Batch, draw_batches
from recaption.shapeworld.captioner.forward import patches_of
from recaption.shapeworld.captioner.plan import Plan

CHECKPOINT = BUILT_IN["builtin:shapeworld"]
PLAN = Plan(copy=0, vision=0, simple=0, joint=100_000, rate=1e-5)


def plain_step(state: course.Course) -> Callable[[Batch], None]:
    """Return a step through transformers' own forward pass."""
    optimizer = torch.optim.AdamW(state.model.parameters(), lr=1e-5, fused=True)
    image_token = state.tokenizer.convert_tokens_to_ids("<|image_pad|>")

    def step(batch: Batch) -> None:
        inputs = plain_inputs(state, batch, image_token)
        state.model(**inputs, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def plain_inputs(state: course.Course, batch: Batch, image_token: int) -> dict[str, Any]:
    """Return a batch as transformers' processor would give it, each text with its image."""
    texts, (rows, columns) = batch.texts, batch.pictures.grid
    each = len(texts.ids) // len(batch.pictures.images)
    patches = patches_of(batch.pictures.images).repeat_interleave(each, dim=0)
    two_frames = patches.unflatten(-1, (3, 1, -1)).expand(-1, -1, -1, 2, -1).flatten(-3)
    ids, n = torch.from_numpy(texts.ids), len(texts.ids)
    pad = torch.full((n, rows * columns // 4), image_token)
    whole = torch.cat([state.start_ids.expand(n, -1), pad, ids], dim=1)
    is_asked = torch.from_numpy(texts.weights) > 0
    labels = torch.full_like(whole, -100)
    labels[:, -ids.shape[1] :] = torch.where(is_asked, ids, -100)
    return {
        "input_ids": whole,
        "labels": labels,
        "attention_mask": torch.ones_like(whole),
        "mm_token_type_ids": (whole == image_token).int(),
        "pixel_values": two_frames.flatten(0, 1),
        "image_grid_thw": torch.tensor([[1, rows, columns]] * n),
    }


def our_step(state: course.Course) -> Callable[[Batch], None]:
    """Return the step of the captioner's training, without more images for the vision tower."""

    def step(batch: Batch) -> None:
        of_language, of_patches = state.loss_of("simple", batch)
        state.learn(of_language + 0.3 * of_patches)

    return step


def main() -> None:
    """Measure, round by round, and print seconds a step and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=8)
    given = parser.parse_args()
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    course.make_tokenizer = lambda seed: tokenizer
    folder = Path(tempfile.gettempdir())
    states = [
        course.Course(PLAN, folder, d) for d in (torch.float32, torch.float32, torch.bfloat16)
    ]
    for state in states:
        state.start_from(CHECKPOINT)
    steps = {
        "transformers, float32": plain_step(states[0]),
        "ours, float32": our_step(states[1]),
        "ours, bfloat16": our_step(states[2]),
    }
    batches = list(islice(draw_batches(tokenizer, 1, 0, PLAN.images, PLAN.answers), given.batches))
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(given.rounds + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            for batch in batches:
                step(batch)
            if number:  # the first warms up
                seconds[name].append((time.perf_counter() - started) / len(batches))
    first = statistics.median(seconds["transformers, float32"])
    for name, found in seconds.items():
        middle = statistics.median(found)
        spread = f"{min(found):.3f}-{max(found):.3f}"
        print(f"{name:22} {middle:.3f} s a step ({spread}), {first / middle:.2f} times as fast")
    print("AMX:", "yes" if course.is_half_fast() else "no")


if __name__ == "__main__":
    main()
