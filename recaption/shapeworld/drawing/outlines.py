"""The outlines of the shapes, and which points lie in them."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from recaption.shapeworld.content import Shape

Points = npt.NDArray[np.float64]
"""[n, 2], x and y."""

RING_HOLE = 0.56
"""Inner over outer radius of a ring."""


def _spokes(n: int, radii: tuple[float, ...], start: float = -90.0) -> Points:
    """Return n points around the origin, the first at `start` degrees, radii taken in turn."""
    turn = np.deg2rad(start) + 2 * np.pi * np.arange(n) / n
    r = np.resize(np.array(radii), n)
    return np.stack([r * np.cos(turn), r * np.sin(turn)], axis=1)


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) - 2.0
    return np.stack([x, y], axis=1) * (1.1 / 16)


def _crescent() -> Points:
    """Return a moon open upwards: the unit disc less one of radius `r` about (0, -`moved`)."""
    r, moved = 0.85, 0.55
    tip_y = -(1 - r * r + moved * moved) / (2 * moved)
    a, b = math.asin(tip_y), math.asin((tip_y + moved) / r)
    outer, inner = np.linspace(a, math.pi - a, 40), np.linspace(math.pi - b, b, 32)[1:-1]
    below = np.stack([np.cos(outer), np.sin(outer)], axis=1)
    above = np.stack([r * np.cos(inner), r * np.sin(inner) - moved], axis=1)
    points: Points = np.concatenate([below, above]) - (0.0, (1 + tip_y) / 2)
    return 1.1 * points


_ARROW = ((0, -1.1), (0.95, -0.05), (0.4, -0.05), (0.4, 1.1))
_CROSS = ((0.36, -1.08), (0.36, -0.36), (1.08, -0.36), (1.08, 0.36), (0.36, 0.36), (0.36, 1.08))


def _mirrored(right: tuple[tuple[float, float], ...]) -> Points:
    """Return the closed outline whose right half is given from top to bottom."""
    left = [(-x, y) for x, y in reversed(right) if x != 0]
    return np.array([*right, *left], dtype=np.float64)


@cache
def outline(shape: Shape) -> tuple[Points, ...]:
    """Return the contours of a shape of radius 1, upright: the outer one, then holes if any."""
    match shape:
        case Shape.CIRCLE:
            return (_spokes(64, (1.0,)),)
        case Shape.RING:
            return (_spokes(64, (1.05,)), _spokes(64, (1.05 * RING_HOLE,)))
        case Shape.SQUARE:
            return (_spokes(4, (1.22,), start=-45.0),)
        case Shape.TRIANGLE:
            return (_spokes(3, (1.2,)),)
        case Shape.STAR:
            return (_spokes(10, (1.25, 0.5)),)
        case Shape.HEXAGON:
            return (_spokes(6, (1.08,), start=0.0),)
        case Shape.DIAMOND:
            return (_spokes(4, (1.25, 0.75)),)
        case Shape.CROSS:
            return (_mirrored(_CROSS),)
        case Shape.ARROW:
            return (_mirrored(_ARROW),)
        case Shape.HEART:
            return (_heart(),)
        case Shape.CRESCENT:
            return (_crescent(),)


@cache
def reach(shape: Shape) -> float:
    """Return the radius of the circle about the centre that holds a shape of radius 1."""
    return float(np.hypot(*outline(shape)[0].T).max())


def contains(contours: tuple[Points, ...], points: Points) -> npt.NDArray[np.bool_]:
    """Tell which points lie in an area, by the even-odd rule."""
    inside = np.zeros(len(points), dtype=bool)
    px, py = points[:, 0], points[:, 1]
    for contour in contours:
        x0, y0 = contour[:, :1], contour[:, 1:]
        x1, y1 = np.roll(x0, -1, axis=0), np.roll(y0, -1, axis=0)
        level = np.where(y1 == y0, 1.0, y1 - y0)
        crossed = (y0 <= py) != (y1 <= py)
        inside ^= (crossed & (px < x0 + (py - y0) * (x1 - x0) / level)).sum(axis=0) % 2 == 1
    return inside
