"""Train the built-in captioner from scratch: `python -m recaption.shapeworld.captioner.train`.

Four stages. `copy`: the language model alone learns to carry facts from a prompt to an answer.
`vision`: the vision tower alone learns what is in each patch, by heads that are dropped later.
`simple`: both together, on scenes of one or two things. `joint`: everything. The learning rate
rises, stays, and falls over the last part of `joint`. Run the same command again and it goes on
from its last state; a smaller --joint makes it end sooner. On two cores, do nothing else beside it:
another busy process makes it three times as slow.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from recaption.shapeworld.captioner import architecture
from recaption.shapeworld.captioner.batches import (
    FILLS,
    HUES,
    SHAPES,
    START,
    Array,
    Batch,
    again,
    draw_batches,
    draw_text_batches,
)
from recaption.shapeworld.captioner.forward import patches_of, read, see
from recaption.shapeworld.captioner.tokens import make_tokenizer
from recaption.shapeworld.content import Medium
from recaption.shapeworld.drawing.setting import WORDS

log = logging.getLogger(__name__)

HELD_OUT = 999_983
"""Seed of the scenes that are measured on."""

_HEADS = (1 + len(SHAPES), 1 + len(HUES), 1 + len(FILLS), 2, len(Medium), 1 + len(WORDS))
_HEAD_WEIGHTS = (1.5, 0.7, 1.0, 1.5, 0.3, 0.7)
_GROUPS = 4
"""Of texts in a batch, by length: less padding."""

_FULL_ANSWER = 12
"""Tokens of an answer; one with fewer weighs as much."""

_PLACES, _LONGEST_SIDE = 0.2, 12
"""What the places of image tokens count for; image tokens along a side, at most."""

_CENTRE, _COVERED, _BARE = 4.0, 0.6, 0.1
"""What a patch counts for: where a thing's centre is, on a thing, on the background."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how much at a time, how fast. `copy` to `joint` are steps."""

    copy: int = 800
    vision: int = 1500
    simple: int = 500
    joint: int = 11200
    decay: float = 0.5
    images: int = 24
    answers: int = 3
    rate: float = 1.5e-3
    seed: int = 1
    measure_every: int = 500
    save_every: int = 250

    @property
    def stages(self) -> tuple[tuple[str, int], ...]:
        """The stages with the step at which each ends."""
        ends, total = [], 0
        for name in ("copy", "vision", "simple", "joint"):
            total += getattr(self, name)
            ends.append((name, total))
        return tuple(ends)

    def stage_of(self, step: int) -> tuple[str, int]:
        """Return the stage of a step and the step within it."""
        begin = 0
        for name, end in self.stages:
            if step < end:
                return name, step - begin
            begin = end
        raise ValueError(f"got step {step}, expected one below {begin}")

    def rate_at(self, step: int) -> float:
        """Return the learning rate: warm-up in each stage, then flat, cosine decay at the end."""
        stage, within = self.stage_of(step)
        warm = min(1.0, (within + 1) / 60)
        falling = self.decay * self.joint
        left = self.stages[-1][1] - step
        if stage != "joint" or left > falling:
            return self.rate * warm
        return self.rate * max(0.02, 0.5 - 0.5 * math.cos(math.pi * left / falling))


class Lessons(IterableDataset):  # type: ignore[type-arg]
    """The batches of a stage, made in a process of their own."""

    def __init__(self, tokenizer: Any, plan: Plan, stage: str, first: int) -> None:
        self._make = (tokenizer, plan, stage, first)

    def __iter__(self) -> Iterator[Any]:
        tokenizer, plan, stage, first = self._make
        if stage == "copy":
            return draw_text_batches(tokenizer, plan.seed, plan.images * plan.answers)
        answers = 1 if stage == "vision" else plan.answers
        size = 2 * plan.images if stage == "vision" else plan.images
        begin = (("vision", "simple", "joint").index(stage) << 40) + first
        drawn = draw_batches(tokenizer, plan.seed, begin, size, answers, stage == "simple")
        return again(drawn, plan.seed + first)


class Course:
    """The state of a training: model, heads, optimizer, step."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder, self.step, self.seconds = plan, folder, 0, 0.0
        self.tokenizer = make_tokenizer(plan.seed)
        self.model = architecture.build(self.tokenizer, plan.seed)
        self.heads = nn.ModuleList(nn.Linear(architecture.SIZE.vision_width, n) for n in _HEADS)
        self.places = nn.Linear(architecture.SIZE.width, 2 * _LONGEST_SIDE)
        self.start_ids = torch.tensor(self.tokenizer(START).input_ids)
        layers = self.model.model.language_model.layers
        layers[len(layers) // 2 - 1].register_forward_hook(self._keep_half_way)
        parameters = [m.parameters() for m in (self.model, self.heads, self.places)]
        self.optimizer = torch.optim.AdamW(
            list(itertools.chain(*parameters)),
            lr=plan.rate,
            betas=(0.9, 0.98),
            weight_decay=0.02,
            fused=True,
        )
        self.held_out: list[Batch] = []
        self._half_way = torch.zeros(())

    def resume(self) -> None:
        """Go on from the last state, if there is one."""
        file = self.folder / "state.pt"
        if not file.exists():
            return
        state = torch.load(file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.places.load_state_dict(state["places"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write the state in place of the last one."""
        file = self.folder / "state.pt"
        unfinished = file.with_suffix(".new")
        torch.save(
            {
                "model": self.model.state_dict(),
                "heads": self.heads.state_dict(),
                "places": self.places.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
            },
            unfinished,
        )
        unfinished.replace(file)

    def loss_of(self, stage: str, batch: Any) -> tuple[Tensor, Tensor]:
        """Return the losses of language and of patches."""
        if stage == "copy":
            return self._language_loss(None, (0, 0), *batch), torch.zeros(())
        h_BLD, tokens_BGD = see(self.model.model.visual, patches_of(batch.images), batch.grid)
        of_patches = self._patch_loss(h_BLD, torch.from_numpy(batch.patch_labels))
        if stage == "vision":
            return torch.zeros(()), of_patches
        return self._language_loss(tokens_BGD, batch.grid, batch.ids, batch.labels), of_patches

    def _language_loss(
        self, tokens_BGD: Tensor | None, grid: tuple[int, int], ids: Array, labels: Array
    ) -> Tensor:
        """Return the mean over the answers' tokens, and what the places of image tokens cost.

        Texts of like length go through together. The tokens of a short answer weigh more: else the
        one word that answers a question would count for nothing beside a caption.
        """
        ids_NT, labels_NT = torch.from_numpy(ids), torch.from_numpy(labels)
        lengths = (ids_NT != self.tokenizer.pad_token_id).sum(1)
        answered_N = (labels_NT != -100).sum(1)
        weight_N = (_FULL_ANSWER / answered_N).clamp(min=1.0)
        total, weights = torch.zeros(()), (weight_N * answered_N).sum()
        for rows in lengths.argsort().chunk(_GROUPS):
            longest = int(lengths[rows].max())
            wanted = labels_NT[rows, 1:longest]
            tokens = None
            if tokens_BGD is not None:
                tokens = tokens_BGD[rows // (len(ids_NT) // len(tokens_BGD))]
            text = ids_NT[rows, :longest]
            hidden = read(self.model, self.start_ids, tokens, grid, text)[:, :-1]
            is_asked = wanted != -100
            logits = self.model.lm_head(hidden[is_asked])
            each = F.cross_entropy(logits, wanted[is_asked], reduction="none")
            total = total + (each * weight_N[rows, None].expand_as(wanted)[is_asked]).sum()
        loss = total / weights
        return loss if tokens_BGD is None else loss + _PLACES * self._place_loss(grid)

    def _place_loss(self, grid: tuple[int, int]) -> Tensor:
        """Return how ill an image token knows its row and column, half way up the language model.

        Rotary positions are relative, so where something is must be worked out; nothing in the
        captions asks for that early, and without asking it is hardly learned.
        """
        rows, columns = grid[0] // architecture.MERGE, grid[1] // architecture.MERGE
        h_NGD = self._half_way[:, len(self.start_ids) :][:, : rows * columns]
        row, column = self.places(F.layer_norm(h_NGD, h_NGD.shape[-1:])).chunk(2, dim=-1)
        place = torch.arange(rows * columns).expand(len(h_NGD), -1).flatten()
        of_rows = F.cross_entropy(row.flatten(0, 1), place // columns)
        return of_rows + F.cross_entropy(column.flatten(0, 1), place % columns)

    def _keep_half_way(self, _: Any, __: Any, output: Any) -> None:
        self._half_way = output[0] if isinstance(output, tuple) else output

    def _patch_loss(self, h_BLD: Tensor, labels_BL6: Tensor) -> Tensor:
        h = F.layer_norm(h_BLD, h_BLD.shape[-1:]).flatten(0, 1)
        labels = labels_BL6.flatten(0, 1)
        weight = torch.where((labels[:, 0] > 0) | (labels[:, 5] > 0), _COVERED, _BARE)
        weight = torch.where(labels[:, 3] > 0, _CENTRE, weight)
        weight = weight / weight.sum()
        total = torch.zeros(())
        for k, (head, of_head) in enumerate(zip(self.heads, _HEAD_WEIGHTS, strict=True)):
            each = F.cross_entropy(head(h), labels[:, k], reduction="none")
            total = total + of_head * (each * weight).sum()
        return total

    def advance(self, stage: str, batch: Any) -> tuple[float, float]:
        """Take one step; return both losses."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step)
        of_language, of_patches = self.loss_of(stage, batch)
        loss = of_language + (1.0 if stage == "vision" else 0.3) * of_patches
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return of_language.item(), of_patches.item()

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Return the share of answer tokens foreseen on held-out scenes, by task."""
        if not self.held_out:
            drawn = draw_batches(self.tokenizer, HELD_OUT, 0, self.plan.images, self.plan.answers)
            self.held_out = [next(drawn) for _ in range(6)]
        right: dict[str, list[float]] = defaultdict(list)
        for batch in self.held_out:
            h_BLD, tokens = see(self.model.model.visual, patches_of(batch.images), batch.grid)
            ids = torch.from_numpy(batch.ids)
            tokens = tokens.repeat_interleave(self.plan.answers, dim=0)
            hidden = read(self.model, self.start_ids, tokens, batch.grid, ids)[:, :-1]
            guess = self.model.lm_head(hidden).argmax(-1)
            wanted = torch.from_numpy(batch.labels)[:, 1:]
            for row, task in enumerate(batch.tasks):
                is_asked = wanted[row] != -100
                right[task].append((guess[row] == wanted[row])[is_asked].float().mean().item())
            h = F.layer_norm(h_BLD, h_BLD.shape[-1:])
            labels = torch.from_numpy(batch.patch_labels)
            centres = labels[..., 3] > 0
            for name, k in (("shape", 0), ("colour", 1), ("fill", 2)):
                found = self.heads[k](h[centres]).argmax(-1) == labels[centres][:, k]
                right[f"patch {name}"].append(found.float().mean().item())
            printed = labels[..., 5] > 0
            found = self.heads[5](h[printed]).argmax(-1) == labels[printed][:, 5]
            right["patch word"].append(found.float().mean().item())
        return {name: round(sum(v) / len(v), 4) for name, v in sorted(right.items())}


@torch.no_grad()
def whiten(model: Any, tokenizer: Any, plan: Plan) -> None:
    """Start the patch embedding as a whitening of real patches: their principal components."""
    drawn = draw_batches(tokenizer, plan.seed, 1 << 50, 32, 1)
    images = [patches_of(next(drawn).images).flatten(0, 1) for _ in range(12)]
    x = torch.cat(images).double()
    x = x - x.mean(0)
    variance, axes = torch.linalg.eigh(x.T @ x / len(x))
    width = model.model.visual.patch_embed.proj.weight.shape[0]
    kept = axes[:, -width:].flip(1) / (variance[-width:].flip(0) + 2e-3).sqrt()
    weight = kept.T.float().view(width, 3, 1, architecture.PATCH, architecture.PATCH)
    model.model.visual.patch_embed.proj.weight.copy_(weight.expand(-1, -1, 2, -1, -1) / 2)


def train(plan: Plan, folder: Path) -> None:
    """Train, and write `checkpoint/` and `curve.jsonl` below the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    course = Course(plan, folder)
    whiten(course.model, course.tokenizer, plan)
    course.resume()
    total = plan.stages[-1][1]
    clock = time.monotonic() - course.seconds
    while course.step < total:
        stage, within = plan.stage_of(course.step)
        end = dict(plan.stages)[stage]
        lessons = Lessons(course.tokenizer, plan, stage, within * plan.images)
        loader = DataLoader(
            lessons, batch_size=None, num_workers=1, prefetch_factor=8, collate_fn=_as_it_is
        )
        for batch in loader:
            losses = course.advance(stage, batch)
            course.seconds = time.monotonic() - clock
            _tell(course, stage, losses, total)
            if course.step >= end:
                break
    _finish(course)


def _as_it_is(batch: Any) -> Any:
    return batch


def _tell(course: Course, stage: str, losses: tuple[float, float], total: int) -> None:
    step, plan = course.step, course.plan
    if step % 25 == 0:
        of_language, of_patches = losses
        log.info(
            "%s %d/%d %.0f s language %.3f patches %.3f",
            *(stage, step, total, course.seconds, of_language, of_patches),
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
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    for name, value in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args())
    folder, threads = given.pop("out"), given.pop("threads")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(Plan(**given), folder)


if __name__ == "__main__":
    main()
