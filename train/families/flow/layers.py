"""What the denoiser and the text transformer are built of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# B images, S tokens, L image tokens, D channels, H heads, K channels of a head,
# M channels inside the MLP, Q pairs of channels that are rotated or filled with cos and sin

Rotation = tuple[Tensor, Tensor]
"""cos_SQ and sin_SQ of the angles by which queries and keys are turned, Q = K / 2."""


class RMSNorm(nn.RMSNorm):
    """That of torch, its weights in the precision of the input: else it is slow under autocast."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Divide by the root of the mean square."""
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    """Self-attention with normalised queries and keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        # Normalised, the logits stay small in bf16: Dehghani et al. 2023, section 2.1
        self.norm_q = RMSNorm(width // heads)
        self.norm_k = RMSNorm(width // heads)
        self.out = nn.Linear(width, width, bias=False)

    def forward(
        self, x_BSD: Tensor, rotation: Rotation | None = None, mask_B11S: Tensor | None = None
    ) -> Tensor:
        """Mix tokens; those where the mask is false are not looked at."""
        q_BHSK, k_BHSK, v_BHSK = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(x_BSD).chunk(3, dim=-1)
        )
        q_BHSK, k_BHSK = self.norm_q(q_BHSK), self.norm_k(k_BHSK)
        if rotation is not None:
            q_BHSK, k_BHSK = rotate(q_BHSK, rotation), rotate(k_BHSK, rotation)
        mixed_BHSK = F.scaled_dot_product_attention(
            q_BHSK.to(v_BHSK), k_BHSK.to(v_BHSK), v_BHSK, attn_mask=mask_B11S
        )
        out: Tensor = self.out(mixed_BHSK.transpose(1, 2).flatten(2))
        return out


class SwiGLU(nn.Module):
    """The gated MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.into = nn.Linear(width, 2 * hidden_width(width), bias=False)
        self.out = nn.Linear(hidden_width(width), width, bias=False)

    def forward(self, x_BSD: Tensor) -> Tensor:
        """Change each token by itself."""
        gate_BSM, x_BSM = self.into(x_BSD).chunk(2, dim=-1)
        out: Tensor = self.out(F.silu(gate_BSM) * x_BSM)  # Shazeer 2020, equation 6
        return out


def hidden_width(width: int) -> int:
    """Return the channels inside the MLP: as many weights as a plain one of 4 * width has."""
    return 32 * math.ceil(8 * width / 3 / 32)


def rotate(x_BHSK: Tensor, rotation: Rotation) -> Tensor:
    """Turn channels i and i + K/2 of a token by its angles."""
    cos_SQ, sin_SQ = rotation
    a_BHSQ, b_BHSQ = x_BHSK.chunk(2, dim=-1)
    # Su et al. 2021 (RoFormer), equation 34, with the pairs split over two halves
    return torch.cat((a_BHSQ * cos_SQ - b_BHSQ * sin_SQ, b_BHSQ * cos_SQ + a_BHSQ * sin_SQ), -1)


def grid_angles(side: int, pairs: int, base: float) -> Tensor:
    """Return angles (L, pairs) of a square grid of tokens: half from the row, half the column."""
    place_S = torch.arange(side, dtype=torch.float32)
    rate_Q = base ** -(torch.arange(pairs // 2) / (pairs // 2))
    angle_SQ = place_S[:, None] * rate_Q
    rows = angle_SQ[:, None].expand(side, side, -1)
    return torch.cat((rows, rows.transpose(0, 1)), dim=-1).flatten(0, 1)


def wave(angle_Q: Tensor) -> Tensor:
    """Return the cosines and sines of angles side by side."""
    return torch.cat((angle_Q.cos(), angle_Q.sin()), dim=-1)  # Vaswani et al. 2017, section 3.5


def init_linear(module: nn.Module) -> None:
    """Draw the weights of a linear layer as DiT does (Peebles & Xie 2023)."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def zero(layer: nn.Linear) -> None:
    """Set a layer to zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make what is drawn inside a function of the seed, and leave the state outside as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
