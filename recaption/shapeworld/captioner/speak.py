"""The captioner's own answers, drawn token by token while it is trained.

Legend: N texts, T positions of prompts, P of what stands before them, A of answers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recaption.shapeworld.captioner.forward import (
    UNSEEN,
    Before,
    causal_mask,
    normed,
    rotary,
    run_layer,
)

_FEW = 0.02
"""The last of the texts are not waited for: so few of them are cut off where they are."""


class _Memory:
    """Keys and values of one layer: of what stands before, of prompts, then of answers."""

    def __init__(self, past: tuple[Tensor, Tensor], room: int) -> None:
        n, heads, self.filled, head = past[0].shape
        self.both = torch.zeros(2, n, heads, self.filled + room, head, dtype=past[0].dtype)
        self.both[:, :, :, : self.filled] = torch.stack(past)

    def keep(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        begin, self.filled = self.filled, self.filled + k.shape[2]
        self.both[0, :, :, begin : self.filled] = k
        self.both[1, :, :, begin : self.filled] = v
        return self.both[0, :, :, : self.filled], self.both[1, :, :, : self.filled]


@torch.no_grad()
def draw_answers(
    model: Any,
    before: Before,
    prompts_NT: Tensor,
    pad: int,
    end: int,
    most: int,
    draw: torch.Generator,
    temperature: float = 1.0,
) -> Tensor:
    """Return answers [N, A] to prompts that are padded at the right, each up to its end token.

    `before` has a row for each prompt. At most `most` tokens, and fewer where nearly all texts have
    ended; behind an answer's end is padding. At temperature 0 the most likely token is taken.
    """
    language, n, text = model.model.language_model, len(prompts_NT), prompts_NT.shape[1]
    lengths = (prompts_NT != pad).sum(1)
    memories = [_Memory(past, text + most) for past in before.layers]
    past = memories[0].filled
    x = language.embed_tokens(prompts_NT)
    turn = rotary(language, (before.next + torch.arange(text)).expand(3, 1, -1), x.dtype)
    mask = causal_mask(past, text, x.dtype)
    states = _through(language, memories, x, turn, mask)[torch.arange(n), lengths - 1]
    is_padding = torch.arange(text) >= lengths[:, None]
    hidden = torch.zeros(n, past + text + most, dtype=x.dtype)
    hidden[:, past : past + text][is_padding] = UNSEEN
    answers = torch.full((n, most), pad)
    is_open = torch.ones(n, dtype=torch.bool)
    for step in range(most):
        logits = model.lm_head(states).float()
        token = _pick(logits, temperature, draw)
        answers[is_open, step] = token[is_open]
        is_open &= token != end
        if is_open.sum() <= _FEW * n:
            return answers[:, : step + 1]
        x = language.embed_tokens(token)[:, None]
        where = (before.next + lengths + step)[None, :, None].expand(3, -1, -1)
        mask = hidden[:, None, : memories[0].filled + 1]
        turn = rotary(language, where, x.dtype)
        states = _through(language, memories, x, turn, mask)[:, 0]
    return answers


def _through(
    language: Any, memories: list[_Memory], x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor
) -> Tensor:
    for layer, memory in zip(language.layers, memories, strict=True):
        x = run_layer(layer, x, turn, mask, memory.keep)
    return normed(language.norm, x)


def _pick(logits: Tensor, temperature: float, draw: torch.Generator) -> Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    up_to = (logits / temperature).softmax(-1).cumsum(-1)
    at = torch.rand(len(logits), 1, generator=draw) * up_to[:, -1:]
    return torch.searchsorted(up_to, at).squeeze(-1).clamp(max=logits.shape[-1] - 1)
