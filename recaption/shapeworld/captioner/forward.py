"""Qwen2-VL's own modules run on batches of equal grids: the same sums as transformers, faster.

What is saved: images of a batch share one grid, so vision attention is one call; the texts about an
image share its tokens; the convolution over patches is a matrix product.

Legend: B images, N texts, L patches, G image tokens, T text positions, D width.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.qwen2_vl.modeling_qwen2_vl import (
    apply_rotary_pos_emb_vision,
    get_vision_position_ids,
)

from recaption.shapeworld.captioner.architecture import MERGE, PATCH
from recaption.shapeworld.captioner.batches import Array

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP, which Qwen2-VL's processor uses."""


def patches_of(images: Array) -> Tensor:
    """Return [B, H, W, 3] uint8 as normalised patches [B, L, 3 * P * P] in Qwen2-VL's order."""
    x = (torch.from_numpy(images).float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    b, height, width, _ = x.shape
    rows, columns = height // (PATCH * MERGE), width // (PATCH * MERGE)
    x = x.permute(0, 3, 1, 2).reshape(b, 3, rows, MERGE, PATCH, columns, MERGE, PATCH)
    return x.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(b, rows * columns * MERGE**2, -1)


def see(visual: Any, patches_BLP: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return what the vision tower makes of images: patches [B, L, D] and image tokens [B, G, D].

    A still image stands twice in a temporal patch of two frames: the weights of both add up.
    """
    weight = visual.patch_embed.proj.weight
    h_BLD = F.linear(patches_BLP, weight.sum(dim=2).flatten(1))
    thw = torch.tensor([[1, *grid]])
    cos, sin = visual.rotary_pos_emb(h_BLD, get_vision_position_ids(thw, MERGE))
    for block in visual.blocks:
        h_BLD = h_BLD + _attend(block.attn, block.norm1(h_BLD), cos, sin)
        h_BLD = h_BLD + block.mlp(block.norm2(h_BLD))
    tokens = visual.merger(h_BLD.flatten(0, 1))
    return h_BLD, tokens.view(len(h_BLD), -1, tokens.shape[-1])


def _attend(attention: Any, x_BLD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    b, length, _ = x_BLD.shape
    qkv = attention.qkv(x_BLD).view(b * length, 3, attention.num_heads, -1)
    q, k, v = qkv.unbind(1)
    q, k = apply_rotary_pos_emb_vision(q, k, cos.repeat(b, 1), sin.repeat(b, 1))
    q, k, v = (t.view(b, length, attention.num_heads, -1).transpose(1, 2) for t in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v)
    joined: Tensor = attention.proj(out.transpose(1, 2).reshape(b, length, -1))
    return joined


@lru_cache(maxsize=64)
def positions(grid: tuple[int, int], before: int, text: int) -> Tensor:
    """Return M-RoPE positions [3, 1, before + G + text]: time, height, width."""
    rows, columns = grid[0] // MERGE, grid[1] // MERGE
    head = torch.arange(before).expand(3, -1)
    y, x = np.divmod(np.arange(rows * columns), columns)
    image = torch.from_numpy(np.stack([np.zeros_like(y), y, x])) + before
    tail = torch.arange(text).expand(3, -1) + before + max(rows, columns)
    return torch.cat([head, image, tail], dim=1)[:, None]


def read(
    model: Any, start_ids: Tensor, tokens_NGD: Tensor | None, grid: tuple[int, int], ids_NT: Tensor
) -> Tensor:
    """Return hidden states [N, T, D] at the text behind the image, or behind none.

    Rows are padded at their right end, where a causal mask keeps the padding from being seen.
    """
    language = model.model.language_model
    n = len(ids_NT)
    parts = [language.embed_tokens(start_ids.expand(n, -1))]
    if tokens_NGD is not None:
        parts.append(tokens_NGD)
    parts.append(language.embed_tokens(ids_NT))
    x = torch.cat(parts, dim=1)
    before, text = start_ids.shape[0], ids_NT.shape[1]
    if tokens_NGD is None:
        where = torch.arange(before + text).expand(3, 1, -1)
    else:
        where = positions(grid, before, text)
    out = language(
        inputs_embeds=x,
        position_ids=where.expand(3, n, -1),
        attention_mask={"full_attention": None},
    )
    hidden: Tensor = out.last_hidden_state[:, -text:]
    return hidden
