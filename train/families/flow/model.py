"""The denoiser: a transformer over the tokens of text and image together.

Joint attention rather than cross-attention: one kind of block, one attention kernel per block, and
words are refined by the image they belong to. Both kinds of tokens go through the same weights, as
in the single-stream blocks of Flux: separate ones (SD3) double the parameters, which a small model
on short captions has better use for. Time and the caption as a whole enter by adaLN-Zero
(Peebles & Xie 2023, section 3.2), so that a fresh block is the identity.

Places of the caption that hold no token hold learned vectors and are looked at like tokens. So
attention needs no mask, and runs on the fastest kernels; the empty caption, of such vectors alone,
is the condition of no condition.

Where an image token is it learns twice: sines added to it say where in the image, rotations of
queries and keys how far from one another (text stays unrotated). A caption says 'left of' as well
as 'at the left'.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from train.families.flow.config import Size
from train.families.flow.layers import (
    Attention,
    RMSNorm,
    Rotation,
    SwiGLU,
    grid_angles,
    init_linear,
    wave,
    zero,
)

# B images, T text tokens, L image tokens, S = T + L, D channels, E channels of the encoded text,
# C channels, H height, W width of an image in its space, P channels of a patch, Q angles, N = 6 D

TIME_WAVES = 128
"""Frequencies that a time is written in; twice as many channels."""


class Modulation(nn.Module):
    """Shifts, scales and gates from the condition, all zero at first."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.linear = nn.Linear(width, count * width)

    def forward(self, condition_BD: Tensor) -> tuple[Tensor, ...]:
        """Return `count` tensors of shape (B, 1, D)."""
        all_B1N: Tensor = self.linear(F.silu(condition_BD))[:, None]
        return all_B1N.chunk(self.count, dim=-1)


class Block(nn.Module):
    """Attention and MLP, both modulated by the condition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.modulation = Modulation(width, count=6)
        self.attention_norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = SwiGLU(width)

    def forward(self, x_BSD: Tensor, condition_BD: Tensor, rotation: Rotation) -> Tensor:
        """Return the tokens after the block."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(condition_BD)
        y_BSD = modulate(self.attention_norm(x_BSD), shift_a, scale_a)
        x_BSD = x_BSD + gate_a * self.attention(y_BSD, rotation)
        y_BSD = modulate(self.mlp_norm(x_BSD), shift_m, scale_m)
        changed_BSD: Tensor = x_BSD + gate_m * self.mlp(y_BSD)
        return changed_BSD


class Denoiser(nn.Module):
    """The network of the flow: from a mixture of image and noise, a time and a text."""

    def __init__(
        self,
        size: Size,
        channels: int,
        side: int,
        patch: int,
        text_width: int,
        text_length: int,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        width = size.width
        self.patch, self.grid, self.checkpointing = patch, side // patch, checkpointing
        self.image_in = nn.Linear(channels * patch**2, width)
        self.text_norm = RMSNorm(text_width)
        self.text_in = nn.Linear(text_width, width)
        self.pooled_in = nn.Linear(text_width, width)
        self.null_TD = nn.Parameter(torch.empty(text_length, width))
        self.null_pooled_D = nn.Parameter(torch.empty(width))
        self.time_in = nn.Sequential(
            nn.Linear(2 * TIME_WAVES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.blocks = nn.ModuleList(Block(width, size.heads) for _ in range(size.depth))
        self.out_modulation = Modulation(width, count=2)
        self.out_norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.image_out = nn.Linear(width, channels * patch**2)
        self._make_positions(width, width // size.heads, text_length)
        self._init_weights()

    def forward(
        self, z_BCHW: Tensor, t_B: Tensor, text_BTE: Tensor, pooled_BE: Tensor, mask_BT: Tensor
    ) -> Tensor:
        """Return an image or a velocity (B, C, H, W), float32."""
        x_BLD = self.image_in(self._patches(z_BCHW)) + self.place_LD
        text_BTD = self._read(text_BTE, mask_BT)
        condition_BD = self.time_in(time_wave(t_B)) + self._sum_up(pooled_BE, mask_BT)
        x_BSD = torch.cat((text_BTD, x_BLD), dim=1)
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x_BSD = checkpoint(
                    block, x_BSD, condition_BD, (self.cos_SQ, self.sin_SQ), use_reentrant=False
                )
            else:
                x_BSD = block(x_BSD, condition_BD, (self.cos_SQ, self.sin_SQ))
        shift, scale = self.out_modulation(condition_BD)
        x_BLD = modulate(self.out_norm(x_BSD[:, text_BTD.shape[1] :]), shift, scale)
        return self._assemble(self.image_out(x_BLD).float())

    def _read(self, text_BTE: Tensor, mask_BT: Tensor) -> Tensor:
        text_BTD = self.text_in(self.text_norm(text_BTE))
        return torch.where(mask_BT[:, :, None], text_BTD.float(), self.null_TD)

    def _sum_up(self, pooled_BE: Tensor, mask_BT: Tensor) -> Tensor:
        pooled_BD = self.pooled_in(self.text_norm(pooled_BE))
        return torch.where(mask_BT.any(1)[:, None], pooled_BD.float(), self.null_pooled_D)

    def _patches(self, z_BCHW: Tensor) -> Tensor:
        return F.pixel_unshuffle(z_BCHW, self.patch).flatten(2).transpose(1, 2)

    def _assemble(self, patch_BLP: Tensor) -> Tensor:
        images, _, channels = patch_BLP.shape
        grid = patch_BLP.transpose(1, 2).reshape(images, channels, self.grid, self.grid)
        return F.pixel_shuffle(grid, self.patch)

    def _make_positions(self, width: int, head_width: int, text_length: int) -> None:
        place_LD = wave(grid_angles(self.grid, width // 2, base=10_000.0))
        image_LQ = grid_angles(self.grid, head_width // 2, base=100.0)
        angle_SQ = torch.cat((torch.zeros(text_length, head_width // 2), image_LQ))
        self.place_LD: Tensor
        self.cos_SQ: Tensor
        self.sin_SQ: Tensor
        for name, value in (
            ("place_LD", place_LD),
            ("cos_SQ", angle_SQ.cos()),
            ("sin_SQ", angle_SQ.sin()),
        ):
            self.register_buffer(name, value, persistent=False)

    def _init_weights(self) -> None:
        self.apply(init_linear)
        for null in (self.null_TD, self.null_pooled_D):
            nn.init.normal_(null, std=0.02)
        for module in self.modules():
            if isinstance(module, Modulation):
                zero(module.linear)
        zero(self.image_out)


def modulate(x_BSD: Tensor, shift_B1D: Tensor, scale_B1D: Tensor) -> Tensor:
    """Scale and shift all tokens of an image alike."""
    return x_BSD * (1 + scale_B1D) + shift_B1D


def time_wave(t_B: Tensor) -> Tensor:
    """Write a time of [0, 1] as cosines and sines, from a period of 2 pi / 1000 up."""
    rate_Q = 10_000.0 ** -(torch.arange(TIME_WAVES, device=t_B.device) / TIME_WAVES)
    return wave(1000 * t_B[:, None] * rate_Q)
