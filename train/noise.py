"""Random numbers that depend on a key per image and on nothing else: not on batch, order, device.

A counter-based generator: value i of key k is a hash of (k, i), by the finaliser of SplitMix64
(Steele, Lea & Flood, OOPSLA 2014, figure 14), so a whole batch is drawn in a few tensor operations
on the device where it is needed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_GAMMA = -7046029254386353131  # 0x9e3779b97f4a7c15
_FIRST = -4658895280553007687  # 0xbf58476d1ce4e5b9
_SECOND = -7723592293110705685  # 0x94d049bb133111eb


def uniform(key_B: Tensor, count: int, stream: int = 0) -> Tensor:
    """Return uniform numbers in (0, 1), float32 (B, count); another stream gives others."""
    counter = torch.arange(count, device=key_B.device, dtype=torch.int64)
    z = _mix(key_B + _signed(_GAMMA * (stream + 1)))[:, None] + _GAMMA * (counter + 1)
    bits = _mix(z) >> 40 & 0xFFFFFF
    return (bits.to(torch.float32) + 0.5) * 2.0**-24


def normal(key_B: Tensor, shape: tuple[int, ...], stream: int = 0) -> Tensor:
    """Return standard normal numbers, float32 (B, *shape), by Box and Muller (1958)."""
    count = math.prod(shape)
    half = (count + 1) // 2
    u1, u2 = uniform(key_B, 2 * half, stream).chunk(2, dim=1)
    radius, angle = (-2 * u1.log()).sqrt(), 2 * math.pi * u2
    both = torch.cat((radius * angle.cos(), radius * angle.sin()), dim=1)
    return both[:, :count].reshape(len(key_B), *shape)


def _signed(number: int) -> int:
    """Return a number modulo 2**64 as an int64 holds it."""
    return (number + 2**63) % 2**64 - 2**63


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _FIRST
    z = (z ^ _shift(z, 27)) * _SECOND
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Shift to the right as if there were no sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
