"""What the captioner's training makes small: surprise at answers, and what patches and places say.

Legend: B images, N texts, L patches, G image tokens, P positions before the texts, T of the text,
D width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recaption.shapeworld.captioner.architecture import MERGE
from recaption.shapeworld.captioner.batches import FILLS, HUES, SHAPES, Texts
from recaption.shapeworld.captioner.forward import Before, read
from recaption.shapeworld.content import Medium
from recaption.shapeworld.drawing.setting import WORDS

HEADS = (1 + len(SHAPES), 1 + len(HUES), 1 + len(FILLS), 2, len(Medium), 1 + len(WORDS))
"""Choices of each head at a patch: what `Pictures.patch_labels` can be."""

_HEAD_WEIGHTS = (1.5, 0.7, 1.0, 1.5, 0.3, 0.7)

LONGEST_SIDE = 12
"""Image tokens along a side, at most."""

_GROUPS = 4
"""Of texts in a batch, by length: less padding."""

_LENGTHS, _ASKED = 16, 128
"""Lengths of texts and numbers of asked tokens are multiples of these: what a matrix product needs
to be prepared for in bfloat16 is prepared for each of its shapes, and costs more than the product.
"""

_FULL_ANSWER = 12
"""Tokens of an answer; one with fewer weighs as much."""

_CENTRE, _COVERED, _BARE = 4.0, 0.6, 0.1
"""What a patch counts for: where a thing's centre is, on a thing, on the background."""


def surprise(
    model: Any,
    before: Before,
    image_N: Tensor,
    texts: Texts,
    pad: int,
    temperature: float = 1.0,
) -> Tensor:
    """Return the sum of -log p of tokens, each by its weight, which may be negative.

    `image_N` is the number of each text's row in `before`, p what tokens are drawn with at a
    temperature. Texts of like length go through together.
    """
    ids_NT, weights_NT = torch.from_numpy(texts.ids), torch.from_numpy(texts.weights)
    lengths = (ids_NT != pad).sum(1)
    total = torch.zeros(())
    for rows in lengths.argsort().chunk(_GROUPS):
        longest = _rounded_up(int(lengths[rows].max()), _LENGTHS)
        text, weights = ids_NT[rows, :longest], weights_NT[rows, 1:longest].flatten()
        hidden = read(model, before.of(image_N[rows]), text)[:, :-1].flatten(0, 1)
        # with some of no weight, so that there are few different numbers of them
        number = _rounded_up(int((weights != 0).sum()), _ASKED)
        asked = weights.abs().argsort(descending=True)[:number]
        logits = model.lm_head(hidden[asked]).float() / temperature
        each = F.cross_entropy(logits, text[:, 1:].flatten()[asked], reduction="none")
        total = total + (each * weights[asked]).sum()
    return total


def _rounded_up(number: int, step: int) -> int:
    return -(-number // step) * step


def balanced(texts: Texts) -> Texts:
    """Return texts whose weights add up to 1, and in which the tokens of short answers weigh more.

    Else the one word that answers a question would count for nothing beside a caption.
    """
    answered = (texts.weights > 0).sum(axis=1, keepdims=True)
    weights = texts.weights * (_FULL_ANSWER / answered).clip(min=1.0)
    return Texts(texts.ids, (weights / weights.sum()).astype(texts.weights.dtype))


def place_loss(places: nn.Linear, h_BGD: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return how ill image tokens know their row and column, half way up the language model.

    Rotary positions are relative, so where something is must be worked out; nothing in the
    captions asks for that early, and without asking it is hardly learned.
    """
    rows, columns = grid[0] // MERGE, grid[1] // MERGE
    row, column = places(F.layer_norm(h_BGD, h_BGD.shape[-1:])).float().chunk(2, dim=-1)
    place = torch.arange(rows * columns).expand(len(h_BGD), -1).flatten()
    of_rows = F.cross_entropy(row.flatten(0, 1), place // columns)
    return of_rows + F.cross_entropy(column.flatten(0, 1), place % columns)


def patch_loss(heads: nn.ModuleList, h_BLD: Tensor, labels_BL6: Tensor) -> Tensor:
    """Return how ill patches tell what covers them."""
    h, labels = F.layer_norm(h_BLD, h_BLD.shape[-1:]).flatten(0, 1), labels_BL6.flatten(0, 1)
    weight = torch.where((labels[:, 0] > 0) | (labels[:, 5] > 0), _COVERED, _BARE)
    weight = torch.where(labels[:, 3] > 0, _CENTRE, weight)
    weight = weight / weight.sum()
    total = torch.zeros(())
    for k, (head, of_head) in enumerate(zip(heads, _HEAD_WEIGHTS, strict=True)):
        each = F.cross_entropy(head(h).float(), labels[:, k], reduction="none")
        total = total + of_head * (each * weight).sum()
    return total
