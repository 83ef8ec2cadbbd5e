"""Gradients by hand: those of the plain formula, checked by finite differences."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recaption.shapeworld.captioner.by_hand import gated, rms_normed, rotated


def doubles(*shape: int) -> Tensor:
    draw = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, dtype=torch.float64, generator=draw).requires_grad_()


def singles(*shape: int) -> Tensor:
    return doubles(*shape).detach().float().requires_grad_()


def test_normalised_by_the_root_mean_square() -> None:
    x, weight = singles(2, 3, 4), singles(4)
    plain = weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)
    assert torch.allclose(rms_normed(x, weight, 1e-5), plain, atol=1e-6)


def test_rotated_as_pairs_of_halves() -> None:
    x, angle = doubles(2, 2, 3, 8), doubles(3, 4).detach()
    whole = torch.cat([angle, angle], dim=-1)
    first, second = x.chunk(2, -1)
    plain = x * whole.cos() + torch.cat([-second, first], -1) * whole.sin()
    assert torch.allclose(rotated(x, angle.cos(), angle.sin()), plain)


def test_gated_by_the_first_half() -> None:
    both = doubles(2, 3, 8)
    assert torch.allclose(gated(both), F.silu(both[..., :4]) * both[..., 4:])


@pytest.mark.parametrize("name", ["rms", "rotated", "gated"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    angle = doubles(3, 2).detach()
    if name == "rms":
        # the norm is summed in float32, too coarse for finite differences: against autograd's
        x, weight = singles(2, 3, 4), singles(4)
        plain = weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)
        up = singles(1, 3, 4).detach().expand(2, -1, -1)
        ours = torch.autograd.grad(rms_normed(x, weight, 1e-5), (x, weight), up)
        theirs = torch.autograd.grad(plain, (x, weight), up)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))
    elif name == "rotated":
        assert torch.autograd.gradcheck(
            lambda x: rotated(x, angle.cos(), angle.sin()), doubles(2, 3, 4)
        )
    else:
        assert torch.autograd.gradcheck(gated, doubles(2, 3, 8))
