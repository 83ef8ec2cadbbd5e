"""Steps of a transformer with their gradients by hand: fewer passes over memory than autograd's.

On a CPU with AMX the matrix products take so little time that these decide.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def rms_normed(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return x [..., D] normalised by its root mean square (Zhang & Sennrich 2019, eq. 4)."""
    out: Tensor = _Rms.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
    return out


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x [..., T, D] at its rotary positions (Su et al. 2021, eq. 34).

    Halves of D are turned as pairs; cosines and sines are [..., T, D / 2].
    """
    out: Tensor = _Rotated.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return out


def gated(both: Tensor) -> Tensor:
    """Return SwiGLU (Shazeer 2020, eq. 6) of gates and values side by side: [..., 2 D] to D."""
    out: Tensor = _Gated.apply(both)  # type: ignore[no-untyped-call]
    return out


class _Rms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = torch.rsqrt(norm.square() / x.shape[-1] + epsilon).to(x.dtype)
        unit = x * scale
        ctx.save_for_backward(unit, weight, scale)
        return unit * weight

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        unit, weight, scale = ctx.saved_tensors
        grad = grads[0]
        of_weight = (grad * unit).flatten(0, -2).sum(0)
        grad = grad * weight
        along = (grad * unit).mean(-1, keepdim=True)
        return (grad - unit * along) * scale, of_weight, None


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(grads[0], cos, sin, -1.0), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, direction: float) -> Tensor:
    out = torch.empty_like(x)
    (a, b), (new_a, new_b) = x.chunk(2, -1), out.chunk(2, -1)
    torch.mul(a, cos, out=new_a).addcmul_(b, sin, value=-direction)
    torch.mul(b, cos, out=new_b).addcmul_(a, sin, value=direction)
    return out


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        gate, value = both.chunk(2, -1)
        opened = F.silu(gate)
        ctx.save_for_backward(both, opened)
        return opened * value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        both, opened = ctx.saved_tensors
        gate, value = both.chunk(2, -1)
        out = torch.empty_like(both)
        of_gate, of_value = out.chunk(2, -1)
        torch.mul(grads[0], opened, out=of_value)
        of_gate.copy_(torch.ops.aten.silu_backward(grads[0] * value, gate))
        return out
