"""The state of a training of the captioner, one step of it, and what it can do so far."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recaption import keyed
from recaption.shapeworld.captioner import architecture
from recaption.shapeworld.captioner.batches import (
    START,
    Batch,
    Pictures,
    Texts,
    draw_batches,
    draw_pictures,
)
from recaption.shapeworld.captioner.forward import Before, patches_of, read, read_before, see
from recaption.shapeworld.captioner.losses import (
    HEADS,
    LONGEST_SIDE,
    balanced,
    patch_loss,
    place_loss,
    surprise,
)
from recaption.shapeworld.captioner.plan import Plan
from recaption.shapeworld.captioner.reward import worth_of
from recaption.shapeworld.captioner.self_critical import (
    Asking,
    advantages,
    draw_asking,
    weigh,
)
from recaption.shapeworld.captioner.speak import draw_answers
from recaption.shapeworld.captioner.tokens import make_tokenizer

HELD_OUT = 999_983
"""Seed of the scenes that are measured on."""

_PLACES, _PATCHES = 0.2, 0.3
"""What the places of image tokens, and what patches show, count for beside language."""

TEMPERATURE = 0.8
"""Of answers that are drawn to be learned from: near those that are given."""

_LONGEST_ANSWER = 160
"""Tokens of an answer that is drawn, at most."""


def _images_of(texts: Texts, tokens_BGD: Tensor) -> Tensor:
    """Return the number of each text's image."""
    return torch.arange(len(texts.ids)) // (len(texts.ids) // len(tokens_BGD))


def is_half_fast() -> bool:
    """Whether this processor multiplies matrices in bfloat16 many times as fast (AMX)."""
    return bool(torch.cpu._is_amx_tile_supported())


class Course:
    """The state of a training: model, heads, optimizer, step.

    The model runs in bfloat16, in which it is shipped, where that is fast; `masters` are its
    parameters in float32, which the optimizer changes.
    """

    def __init__(self, plan: Plan, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        self.plan, self.folder, self.step, self.seconds = plan, folder, 0, 0.0
        self.tokenizer = make_tokenizer(plan.seed)
        self.model = architecture.build(self.tokenizer, plan.seed)
        self.heads = nn.ModuleList(nn.Linear(architecture.SIZE.vision_width, n) for n in HEADS)
        self.places = nn.Linear(architecture.SIZE.width, 2 * LONGEST_SIDE)
        self.start_ids = torch.tensor(self.tokenizer(START).input_ids)
        self.trained = nn.ModuleList([self.model, self.heads, self.places]).to(dtype)
        self.masters = [p.detach().float().clone() for p in self.trained.parameters()]
        self.optimizer = torch.optim.AdamW(
            self.masters, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True
        )
        self.held_out: list[Batch] = []
        self.asked: list[Asking] = []

    def start_from(self, checkpoint: Path) -> None:
        """Take the weights of a checkpoint; heads and optimizer stay as new."""
        from transformers import AutoModelForImageTextToText

        found = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
        self.model.load_state_dict(found.state_dict())
        self._keep_masters()

    def _keep_masters(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.masters, list(self.trained.parameters()))

    def _follow_masters(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(list(self.trained.parameters()), self.masters)

    def whiten(self) -> None:
        """Start the patch embedding as a whitening of real patches: their principal components."""
        drawn = draw_pictures(self.plan.seed, 1 << 50, 32)
        images = [patches_of(next(drawn)[0].images).flatten(0, 1) for _ in range(12)]
        x = torch.cat(images).double()
        x = x - x.mean(0)
        variance, axes = torch.linalg.eigh(x.T @ x / len(x))
        embedding = self.model.model.visual.patch_embed.proj.weight
        width = embedding.shape[0]
        kept = axes[:, -width:].flip(1) / (variance[-width:].flip(0) + 2e-3).sqrt()
        weight = kept.T.float().view(width, 3, 1, architecture.PATCH, architecture.PATCH)
        with torch.no_grad():
            embedding.copy_(weight.expand(-1, -1, 2, -1, -1) / 2)
        self._keep_masters()

    # ------------------------------------------------------------------------------ on disk

    def resume(self) -> bool:
        """Go on from the last state; return whether there is one."""
        file = self.folder / "state.pt"
        if not file.exists():
            return False
        state = torch.load(file, weights_only=True)
        with torch.no_grad():
            torch._foreach_copy_(self.masters, state["masters"])
        self._follow_masters()
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        return True

    def save(self) -> None:
        """Write the state in place of the last one."""
        file = self.folder / "state.pt"
        unfinished = file.with_suffix(".new")
        torch.save(
            {
                "masters": self.masters,
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
            },
            unfinished,
        )
        unfinished.replace(file)

    # ------------------------------------------------------------------------------- losses

    def loss_of(self, stage: str, batch: Any) -> tuple[Tensor, Tensor]:
        """Return the losses of language and of patches."""
        if stage == "copy":
            before = read_before(self.model, self.start_ids, None, (0, 0))
            rows = torch.zeros(len(batch.ids), dtype=torch.long)
            return self._surprise(before, rows, balanced(batch)), torch.zeros(())
        tokens_BGD, of_patches = self._look_at(batch if stage == "vision" else batch.pictures)
        if stage == "vision":
            return torch.zeros(()), of_patches
        grid = batch.pictures.grid
        before = read_before(self.model, self.start_ids, tokens_BGD, grid)
        image_N = _images_of(batch.texts, tokens_BGD)
        of_language = self._surprise(before, image_N, balanced(batch.texts))
        h_BGD = before.half_way[:, len(self.start_ids) :]
        return of_language + _PLACES * place_loss(self.places, h_BGD, grid), of_patches

    def reward_loss(self, asking: Asking) -> Tensor:
        """Return a loss whose gradient makes answers likelier that are worth more."""
        tokens_BGD, of_patches = self._look_at(asking.pictures)
        image_N = torch.arange(len(tokens_BGD)).repeat_interleave(self.plan.drawn)
        before = read_before(self.model, self.start_ids, tokens_BGD, asking.pictures.grid)
        answers, told = self._answer(before, image_N, asking, TEMPERATURE)
        ahead, pad = advantages(told, asking.asked), self.tokenizer.pad_token_id
        texts = weigh(asking.prompts, answers.numpy(), ahead, pad)
        loss = surprise(self.model, before, image_N, texts, pad, TEMPERATURE)
        return loss / int((texts.weights != 0).sum()) + _PATCHES * of_patches

    def _answer(
        self, before: Before, image_N: Tensor, asking: Asking, temperature: float
    ) -> tuple[Tensor, list[str]]:
        """Return answers to each text's prompt, as tokens and as words."""
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        prompts = [torch.tensor(one) for one in asking.prompts]
        prompts_BT = nn.utils.rnn.pad_sequence(prompts, batch_first=True, padding_value=pad)
        draw = torch.Generator().manual_seed(keyed.integer("draw", self.plan.seed, self.step) >> 1)
        answers = draw_answers(
            *(self.model, before.of(image_N), prompts_BT[image_N], pad, end, _LONGEST_ANSWER),
            *(draw, temperature),
        )
        return answers, self.tokenizer.batch_decode(answers, skip_special_tokens=True)

    def _surprise(self, before: Before, image_N: Tensor, texts: Texts) -> Tensor:
        return surprise(self.model, before, image_N, texts, self.tokenizer.pad_token_id)

    def _look_at(self, pictures: Pictures) -> tuple[Tensor, Tensor]:
        """Return the image tokens of pictures, and the loss of their patches."""
        h_BLD, tokens_BGD = self._see(pictures)
        return tokens_BGD, patch_loss(self.heads, h_BLD, torch.from_numpy(pictures.patch_labels))

    def _see(self, pictures: Pictures) -> tuple[Tensor, Tensor]:
        return see(self.model.model.visual, patches_of(pictures.images), pictures.grid)

    def advance(self, stage: str, batch: Any) -> tuple[float, float]:
        """Take one step; return both losses."""
        if stage == "reward":
            batch, asking = batch
            self.reward_loss(asking).backward()  # type: ignore[no-untyped-call]
        elif stage == "joint":
            batch, more = batch
            (_PATCHES * self._look_at(more)[1]).backward()  # type: ignore[no-untyped-call]
        of_language, of_patches = self.loss_of(stage, batch)
        self.learn(of_language + (1.0 if stage == "vision" else _PATCHES) * of_patches)
        return of_language.item(), of_patches.item()

    def learn(self, loss: Tensor) -> None:
        """Take one step down a loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step)
        loss.backward()  # type: ignore[no-untyped-call]
        for master, parameter in zip(self.masters, self.trained.parameters(), strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.optimizer.step()
        self._follow_masters()
        self.step += 1

    # ----------------------------------------------------------------------------- measured

    def measure(self) -> dict[str, float]:
        """Return the share of answer tokens foreseen on held-out scenes, and answers' worth."""
        with torch.no_grad():
            return self._foresight() | {"worth": self._worth()}

    def _worth(self) -> float:
        """Return the mean worth of the likeliest answers to held-out prompts."""
        if not self.asked:
            self.asked = list(itertools.islice(draw_asking(self.tokenizer, HELD_OUT, 0, 24), 8))
        worth: list[float] = []
        for one in self.asked:
            _, tokens_BGD = self._see(one.pictures)
            before = read_before(self.model, self.start_ids, tokens_BGD, one.pictures.grid)
            _, told = self._answer(before, torch.arange(len(tokens_BGD)), one, 0.0)
            worth += [worth_of(text, asked) for text, asked in zip(told, one.asked, strict=True)]
        return round(sum(worth) / len(worth), 3)

    def _foresight(self) -> dict[str, float]:
        """Return the share of answer tokens foreseen on held-out scenes, by task."""
        if not self.held_out:
            drawn = draw_batches(self.tokenizer, HELD_OUT, 0, self.plan.images, self.plan.answers)
            self.held_out = list(itertools.islice(drawn, 6))
        right: dict[str, list[float]] = defaultdict(list)
        for batch in self.held_out:
            pictures = batch.pictures
            h_BLD, tokens = self._see(pictures)
            before = read_before(self.model, self.start_ids, tokens, pictures.grid)
            ids, image = torch.from_numpy(batch.texts.ids), _images_of(batch.texts, h_BLD)
            guess = self.model.lm_head(read(self.model, before.of(image), ids)[:, :-1]).argmax(-1)
            is_right = guess == ids[:, 1:]
            weights = torch.from_numpy(batch.texts.weights)[:, 1:]
            for row, task in enumerate(batch.tasks):
                right[task].append(is_right[row][weights[row] > 0].float().mean().item())
            right["deciding"].append(is_right[weights > 1].float().mean().item())
            h = F.layer_norm(h_BLD, h_BLD.shape[-1:])
            labels = torch.from_numpy(pictures.patch_labels)
            centres, printed = labels[..., 3] > 0, labels[..., 5] > 0
            asked = (("shape", 0, centres), ("colour", 1, centres), ("fill", 2, centres))
            for name, k, where in (*asked, ("word", 5, printed)):
                found = self.heads[k](h[where]).argmax(-1) == labels[where][:, k]
                right[f"patch {name}"].append(found.float().mean().item())
        return {name: round(sum(v) / len(v), 4) for name, v in sorted(right.items())}
