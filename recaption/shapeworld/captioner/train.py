"""Train the built-in captioner from scratch: `python -m recaption.shapeworld.captioner.train`.

Five stages. `copy`: the language model alone learns to carry facts from a prompt to an answer.
`vision`: the vision tower alone learns what is in each patch, by heads that are dropped later.
`simple`: both together, on scenes of one or two things. `joint`: everything. `reward`: everything,
and answers of its own, of which those become likelier that are worth more (`self_critical`). The
learning rate rises, stays, falls over the last part of `joint`, and once more in `reward`. Run the
same command again and it goes on from its last state; a smaller --joint makes it end sooner.
`--start FOLDER --copy 0 --vision 0 --simple 0` trains a checkpoint further. On two cores, do
nothing else beside it: another busy process makes it three times as slow.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from recaption.shapeworld.captioner import architecture
from recaption.shapeworld.captioner.batches import (
    again,
    draw_batches,
    draw_pictures,
    draw_text_batches,
)
from recaption.shapeworld.captioner.course import Course, is_half_fast
from recaption.shapeworld.captioner.plan import STAGES, Plan
from recaption.shapeworld.captioner.self_critical import draw_asking

log = logging.getLogger(__name__)


class Lessons(IterableDataset):  # type: ignore[type-arg]
    """The batches of a stage, made in a process of their own."""

    def __init__(self, tokenizer: Any, plan: Plan, stage: str, first: int) -> None:
        self._make = (tokenizer, plan, stage, first)

    def __iter__(self) -> Iterator[Any]:
        tokenizer, plan, stage, first = self._make
        if stage == "copy":
            return draw_text_batches(tokenizer, plan.seed, plan.images * plan.answers)
        begin, seed = (STAGES.index(stage) - 1 << 40) + first, plan.seed + first
        if stage == "vision":
            return self._pictures(begin, 2 * plan.images)
        drawn = draw_batches(
            *(tokenizer, plan.seed, begin, plan.images, plan.answers), stage == "simple"
        )
        batches, elsewhere = again(drawn, seed), begin + (1 << 39)
        if stage == "joint":
            return zip(batches, self._pictures(elsewhere, plan.more), strict=True)
        if stage == "reward":
            asking = draw_asking(tokenizer, plan.seed, elsewhere, plan.images)
            return zip(batches, asking, strict=True)
        return batches

    def _pictures(self, begin: int, size: int) -> Iterator[Any]:
        _, plan, _, first = self._make
        drawn = (pictures for pictures, _ in draw_pictures(plan.seed, begin, size))
        return again(drawn, plan.seed + first)


def train(
    plan: Plan, folder: Path, start: Path | None = None, dtype: torch.dtype = torch.float32
) -> None:
    """Train, and write `checkpoint/` and `curve.jsonl` below the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    course = Course(plan, folder, dtype)
    if not course.resume():
        if start is None:
            course.whiten()
        else:
            course.start_from(start)
    clock = time.monotonic() - course.seconds
    while course.step < plan.steps:
        stage, within = plan.stage_of(course.step)
        end = dict(plan.stages)[stage]
        lessons = Lessons(course.tokenizer, plan, stage, within * plan.images)
        loader = DataLoader(
            lessons, batch_size=None, num_workers=1, prefetch_factor=8, collate_fn=_as_it_is
        )
        for batch in loader:
            losses = course.advance(stage, batch)
            course.seconds = time.monotonic() - clock
            _tell(course, stage, losses)
            if course.step >= end:
                break
    _finish(course)


def _as_it_is(batch: Any) -> Any:
    return batch


def _tell(course: Course, stage: str, losses: tuple[float, float]) -> None:
    step, plan = course.step, course.plan
    if step % 25 == 0:
        of_language, of_patches = losses
        log.info(
            "%s %d/%d %.0f s language %.3f patches %.3f",
            *(stage, step, plan.steps, course.seconds, of_language, of_patches),
        )
    if step % plan.save_every == 0:
        course.save()
    if step % plan.measure_every == 0 and stage != "copy":
        _measure(course, stage)


def _measure(course: Course, stage: str) -> None:
    row = {"step": course.step, "seconds": round(course.seconds), "stage": stage}
    row |= course.measure()
    with (course.folder / "curve.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    log.info("%s", json.dumps(row))


def _finish(course: Course) -> None:
    course.save()
    _measure(course, "end")
    architecture.save(course.model, course.tokenizer, course.folder / "checkpoint")
    (course.folder / "plan.json").write_text(json.dumps(asdict(course.plan), indent=1))
    log.info("checkpoint: %s", course.folder / "checkpoint")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("out/captioner"))
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], help="default: what is fast")
    for name, value in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args())
    folder, start, threads = given.pop("out"), given.pop("start"), given.pop("threads")
    dtype = given.pop("dtype") or ("bfloat16" if is_half_fast() else "float32")
    # oneDNN prepares a product once for each of its shapes, and forgets those beyond this number
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(Plan(**given), folder, start, getattr(torch, dtype))


if __name__ == "__main__":
    main()
