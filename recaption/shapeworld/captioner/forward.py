"""Qwen2-VL's own weights run on batches of equal grids: the same sums as transformers, faster.

What is saved: images of a batch share one grid, so vision attention is one call; what stands before
the texts, an image's tokens, is read once for all texts about the image; the convolution over
patches is a matrix product. In bfloat16 on a CPU with AMX the matrix products are 6 to 9 times as
fast as in float32; attention is written out, since the fused one's backward pass is slow there.

Legend: B images, N texts, L patches, G image tokens, P positions before the texts, T of the text,
D width, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.qwen2_vl.modeling_qwen2_vl import get_vision_position_ids

from recaption.shapeworld.captioner.architecture import MERGE, PATCH
from recaption.shapeworld.captioner.batches import Array
from recaption.shapeworld.captioner.by_hand import gated, rms_normed, rotated

UNSEEN = -1e9
"""What is added to the score of a key that is not to be looked at."""

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


# ---------------------------------------------------------------------------------- the image


def see(visual: Any, patches_BLP: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return what the vision tower makes of images: patches [B, L, D] and image tokens [B, G, D].

    A still image stands twice in a temporal patch of two frames: the weights of both add up.
    """
    weight = visual.patch_embed.proj.weight
    h_BLD = F.linear(patches_BLP.to(weight.dtype), weight.sum(dim=2).flatten(1))
    cos, sin = visual.rotary_pos_emb(h_BLD, get_vision_position_ids(_thw(grid), MERGE))
    turn = _half(cos, h_BLD.dtype), _half(sin, h_BLD.dtype)
    for block in visual.blocks:
        h_BLD = h_BLD + _look_around(block.attn, block.norm1(h_BLD), turn)
        h_BLD = h_BLD + block.mlp(block.norm2(h_BLD))
    tokens = visual.merger(h_BLD.flatten(0, 1))
    return h_BLD, tokens.view(len(h_BLD), -1, tokens.shape[-1])


def _thw(grid: tuple[int, int]) -> Tensor:
    return torch.tensor([[1, *grid]])


def _look_around(attention: Any, x_BLD: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    b, length, _ = x_BLD.shape
    heads = attention.num_heads
    qkv = attention.qkv(x_BLD).view(b, length, 3 * heads, -1).transpose(1, 2)
    qk, v = rotated(qkv[:, : 2 * heads], *turn), qkv[:, 2 * heads :]
    q, k = qk.chunk(2, dim=1)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, length, -1)
    joined: Tensor = attention.proj(out)
    return joined


# ----------------------------------------------------------------------------------- the text


@dataclass(frozen=True, slots=True)
class Before:
    """What stands before texts, read: keys and values [B, H, P, D / H] of each layer.

    `half_way` [B, P, D] are the states half way up, `next` the position of a text's first token.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    half_way: Tensor
    next: int

    def of(self, rows: Tensor) -> Before:
        """Return what stands before each of N texts, given the number of its image."""
        layers = tuple((k[rows], v[rows]) for k, v in self.layers)
        return Before(layers, self.half_way, self.next)


def read_before(
    model: Any, start_ids: Tensor, tokens_BGD: Tensor | None, grid: tuple[int, int]
) -> Before:
    """Read what stands before the texts: how a prompt starts, then an image's tokens, or none."""
    language = model.model.language_model
    x = language.embed_tokens(start_ids)[None]
    start = start_ids.shape[0]
    if tokens_BGD is None:
        where, after = torch.arange(start).expand(3, 1, -1), start
    else:
        x = torch.cat([x.expand(len(tokens_BGD), -1, -1), tokens_BGD], dim=1)
        where, after = _positions(grid, start)
    turn, mask = rotary(language, where, x.dtype), causal_mask(0, x.shape[1], x.dtype)
    layers, half_way = [], x
    for number, layer in enumerate(language.layers):
        kept: list[tuple[Tensor, Tensor]] = []
        x = run_layer(layer, x, turn, mask, partial(_keep, kept))
        layers += kept
        if number == len(language.layers) // 2 - 1:
            half_way = x
    return Before(tuple(layers), half_way, after)


def read(model: Any, before: Before, ids_NT: Tensor) -> Tensor:
    """Return hidden states [N, T, D] of texts, each behind its own row of `before`.

    Rows are padded at their right end, where a causal mask keeps the padding from being seen.
    """
    language = model.model.language_model
    text = ids_NT.shape[1]
    x = language.embed_tokens(ids_NT)
    where = torch.arange(before.next, before.next + text).expand(3, 1, -1)
    turn = rotary(language, where, x.dtype)
    mask = causal_mask(before.layers[0][0].shape[2], text, x.dtype)
    for layer, (keys, values) in zip(language.layers, before.layers, strict=True):
        past = keys.expand(len(x), -1, -1, -1), values.expand(len(x), -1, -1, -1)
        x = run_layer(layer, x, turn, mask, partial(_behind, past))
    return normed(language.norm, x)


def _keep(kept: list[tuple[Tensor, Tensor]], k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    kept.append((k, v))
    return k, v


def _behind(past: tuple[Tensor, Tensor], k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)


@lru_cache(maxsize=64)
def _positions(grid: tuple[int, int], before: int) -> tuple[Tensor, int]:
    """Return M-RoPE positions [3, 1, P] up to the text (time, height, width), and its first."""
    rows, columns = grid[0] // MERGE, grid[1] // MERGE
    y, x = np.divmod(np.arange(rows * columns), columns)
    image = torch.from_numpy(np.stack([np.zeros_like(y), y, x])) + before
    head = torch.arange(before).expand(3, -1)
    return torch.cat([head, image], dim=1)[:, None], before + max(rows, columns)


def rotary(language: Any, where: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosines and sines [N, 1, T, D / H / 2] of positions [3, N, T]."""
    cos, sin = language.rotary_emb(torch.zeros(1), where)
    return _half(cos[:, None], dtype), _half(sin[:, None], dtype)


def normed(norm: Any, x: Tensor) -> Tensor:
    """Return states as a norm of the language model leaves them."""
    return rms_normed(x, norm.weight, norm.variance_epsilon)


def _half(angles: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the first half of a head's cosines or sines; the second repeats it."""
    return angles[..., : angles.shape[-1] // 2].to(dtype)


@lru_cache(maxsize=256)
def causal_mask(past: int, text: int, dtype: torch.dtype) -> Tensor:
    """Return what is added to scores [T, P + T]: a text sees what stands before it."""
    later = torch.full((text, text), UNSEEN, dtype=dtype).triu(1)
    return torch.cat([torch.zeros(text, past, dtype=dtype), later], dim=1)


Keeper = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes the keys and values of what is read, returns those that it is to look at."""


def run_layer(
    layer: Any, x_NTD: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor, keep: Keeper
) -> Tensor:
    """Run one layer of the language model; `mask` is added to scores, [T, S] or [N, T, S]."""
    n, text, _ = x_NTD.shape
    attention, mlp = layer.self_attn, layer.mlp
    head, groups = attention.head_dim, attention.num_key_value_groups
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    weight, bias = _joined([p.weight for p in projections]), _joined([p.bias for p in projections])
    qkv = F.linear(normed(layer.input_layernorm, x_NTD), weight, bias)
    qkv = qkv.view(n, text, -1, head).transpose(1, 2)
    shared = qkv.shape[1] // (groups + 2)
    qk, v = rotated(qkv[:, :-shared], *turn), qkv[:, -shared:]
    all_k, all_v = (kept.reshape(n * shared, -1, head) for kept in keep(qk[:, -shared:], v))
    # the queries that share keys lie behind one another: no key is copied
    q = qk[:, :-shared].reshape(n * shared, groups * text, head)
    if mask.dim() == 3:
        mask = mask.repeat_interleave(shared, dim=0)
    mask = mask.repeat(*[1] * (mask.dim() - 2), groups, 1)
    scores = torch.baddbmm(mask, q, all_k.transpose(1, 2), alpha=head**-0.5)
    out = (scores.softmax(-1) @ all_v).view(n, -1, text, head).transpose(1, 2)
    x_NTD = x_NTD + attention.o_proj(out.reshape(n, text, -1))
    both = F.linear(
        normed(layer.post_attention_layernorm, x_NTD),
        _joined([mlp.gate_proj.weight, mlp.up_proj.weight]),
    )
    out_NTD: Tensor = x_NTD + mlp.down_proj(gated(both))
    return out_NTD


def _joined(weights: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(weights))
