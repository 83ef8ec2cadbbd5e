"""The equations of rectified flow, each a function.

[SD3]  Esser et al., Scaling Rectified Flow Transformers, 2024 (arXiv 2403.03206)
[CFG]  Ho & Salimans, Classifier-Free Diffusion Guidance, 2022 (arXiv 2207.12598)
[EDM]  Karras et al., Elucidating the Design Space, 2022 (arXiv 2206.00364)
[JiT]  Li & He, Back to Basics: Let Denoising Generative Models Denoise, 2025 (arXiv 2511.13720)

Symbols: x0 the image in the space it is generated in, eps standard normal noise, t the time, 0 at
the image and 1 at the noise, z the mixture at time t, v = dz/dt the velocity. `t` is a scalar, or
of shape (B, 1, 1, 1) for images of shape (B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""v(z, t), t a scalar."""

SMALLEST_TIME = 0.05
"""What a division by t is held above; the value of [JiT], section 4."""


def interpolate(x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    """Return z at time t on the straight path from image to noise."""
    return (1 - t) * x0 + t * eps  # [SD3] equation 13


def velocity(x0: Tensor, eps: Tensor) -> Tensor:
    """Return the velocity on the straight path, the same at all times."""
    return eps - x0  # the time derivative of [SD3] equation 13


def velocity_to(x0: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """Return the velocity of the straight path through z that ends in the image x0 at time 0."""
    return (z - x0) / t.clamp_min(SMALLEST_TIME)  # [JiT] table 1, its v from its x and z


def image_from(v: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """Return the image that a velocity leads to from z on a straight path."""
    return z - t * v  # [SD3] equation 13, solved for x0


def logit_normal(normal: Tensor, mean: float, std: float) -> Tensor:
    """Return times of a logit-normal distribution from standard normal numbers."""
    return torch.sigmoid(mean + std * normal)  # [SD3] equation 19 is its density


def shift_times(t: Tensor, alpha: float) -> Tensor:
    """Return times moved towards noise (alpha > 1) or image, ends kept."""
    return alpha * t / (1 + (alpha - 1) * t)  # [SD3] equation 23, alpha = sqrt(m / n)


def sampler_times(steps: int, shift: float) -> Tensor:
    """Return the steps + 1 times from noise, 1, to image, 0, float32."""
    return shift_times(torch.linspace(1, 0, steps + 1), shift)


def guide(v_with: Tensor, v_without: Tensor, scale: float) -> Tensor:
    """Return the velocity with a caption, led away from the one without."""
    return v_without + scale * (v_with - v_without)  # [CFG] equation 6, scale = 1 + w


def euler(v: Velocity, z: Tensor, times: Tensor) -> Tensor:
    """Follow dz/dt = v(z, t) along the times; its error falls with the step size."""
    for t, t_next in pairwise(times):
        z = z + (t_next - t) * v(z, t)
    return z


def heun(v: Velocity, z: Tensor, times: Tensor) -> Tensor:
    """Follow dz/dt = v(z, t) along the times; its error falls with the square of the step size.

    The last step is Euler's, as in [EDM] algorithm 1: it costs no order and asks for no velocity
    at time 0, where a network that puts out images has none.
    """
    for t, t_next in pairwise(times[:-1]):
        slope = v(z, t)
        z_euler = z + (t_next - t) * slope
        z = z + (t_next - t) * (slope + v(z_euler, t_next)) / 2  # [EDM] algorithm 1, line 8
    return euler(v, z, times[-2:])
