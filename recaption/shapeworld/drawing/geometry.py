"""Exact geometry of things: outlines, what is visible of each, and how they lie to each other.

Shares of area are counted on a fixed lattice of some 500 to 1,100 sample points per shape, bound to
the thing and symmetric: a thing moved, scaled or mirrored is sampled at the same spots of itself,
so that a share does not depend on the size of any raster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from recaption.shapeworld.content import Shape, Thing, Word
from recaption.shapeworld.drawing.outlines import Points, contains, outline, reach

WHOLE = 0.98
"""A thing with at least this share of its area in the frame is whole, however much is hidden."""

NAMED = 0.5
"""Below this visible share of its area, the shape of a thing is not told, only that it is there."""

NOTICED = 0.15
"""Below this visible share of its area, a thing is painted and never spoken of."""

HIDES = 0.03
"""A thing is behind another that hides at least this share of its area."""

MARGIN = 0.08
"""Left and above hold from this distance of the visible centres, in shorter sides of the frame."""


class Presence(StrEnum):
    """How much of a thing there is to see."""

    WHOLE = "whole"
    CUT = "cut"
    FRAGMENT = "fragment"
    TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is seen of one thing.

    `framed` is the share of its area inside the frame, `visible` the share that is also not hidden
    by nearer things; `x`, `y` the centre of the visible part in shares of the frame; `edges` the
    sides of the frame that cut it; `hidden_by` the indices of the things it is behind.
    """

    framed: float
    visible: float
    x: float
    y: float
    edges: tuple[str, ...]
    hidden_by: tuple[int, ...]

    @property
    def presence(self) -> Presence:
        """The rule: trace below `NOTICED`, fragment below `NAMED`, cut below `WHOLE` in frame."""
        if self.visible < NOTICED:
            return Presence.TRACE
        if self.visible < NAMED:
            return Presence.FRAGMENT
        return Presence.WHOLE if self.framed >= WHOLE else Presence.CUT

    @property
    def is_named(self) -> bool:
        """Whether its shape can be told."""
        return self.visible >= NAMED


class Relation(StrEnum):
    """How one thing lies to another."""

    LEFT_OF = "left_of"
    ABOVE = "above"
    INSIDE = "inside"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Related:
    """Thing number `first` lies so to thing number `second`."""

    first: int
    relation: Relation
    second: int


def frame_of(aspect: float) -> tuple[float, float]:
    """Return width and height in shorter sides, of a frame of aspect = width / height."""
    return max(1.0, aspect), max(1.0, 1.0 / aspect)


@cache
def _samples(shape: Shape) -> Points:
    """Return the sample points of a shape of radius 1, on a lattice symmetric about its axis."""
    step = 0.0617
    line = (np.arange(-21, 21) + 0.5) * step
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return grid[contains(outline(shape), grid)]


@cache
def _centroid(shape: Shape) -> Points:
    middle: Points = _samples(shape).mean(axis=0, keepdims=True)
    return middle


def _rotation(angle: float) -> Points:
    turn = math.radians(angle)
    return np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])


def centre_of(thing: Thing, aspect: float) -> tuple[float, float]:
    """Return a thing's centre in shorter sides of the frame."""
    width, height = frame_of(aspect)
    return thing.x * width, thing.y * height


def to_frame(thing: Thing, aspect: float, points: Points) -> Points:
    """Carry points of the upright unit shape to where they lie, in shorter sides of the frame."""
    return points @ _rotation(thing.angle) * thing.radius + centre_of(thing, aspect)


def to_unit(thing: Thing, aspect: float, points: Points) -> Points:
    """Carry points of the frame to the upright unit shape."""
    return (points - centre_of(thing, aspect)) / thing.radius @ _rotation(-thing.angle)


def gap_between(a: Thing, b: Thing, aspect: float) -> float:
    """Return the distance of two things' enclosing circles, negative where these overlap."""
    apart = math.dist(centre_of(a, aspect), centre_of(b, aspect))
    return apart - a.radius * reach(a.shape) - b.radius * reach(b.shape)


def word_share(word: Word, aspect: float) -> float:
    """Return the share of a word's plate that is in the frame."""
    width, height = frame_of(aspect)
    x, y = word.x * width, word.y * height
    across = min(x + word.width / 2, width) - max(x - word.width / 2, 0)
    down = min(y + word.height / 2, height) - max(y - word.height / 2, 0)
    return max(across, 0) * max(down, 0) / (word.width * word.height)


def _cut_by(points: Points, frame: tuple[float, float]) -> dict[str, npt.NDArray[np.bool_]]:
    x, y = points[:, 0], points[:, 1]
    return {"left": x < 0, "right": x >= frame[0], "top": y < 0, "bottom": y >= frame[1]}


def _is_clear(thing: Thing, aspect: float) -> bool:
    """Tell whether the circle about a thing lies in the frame."""
    (x, y), (width, height) = centre_of(thing, aspect), frame_of(aspect)
    r = thing.radius * reach(thing.shape)
    return r <= x <= width - r and r <= y <= height - r


def _sight(index: int, things: tuple[Thing, ...], aspect: float) -> Sighting:
    thing, frame = things[index], frame_of(aspect)
    nearer = range(index + 1, len(things))
    meeting = [k for k in nearer if gap_between(thing, things[k], aspect) < 0]
    if not meeting and _is_clear(thing, aspect):
        x, y = to_frame(thing, aspect, _centroid(thing.shape))[0] / frame
        return Sighting(1.0, 1.0, float(x), float(y), (), ())
    points = to_frame(thing, aspect, _samples(thing.shape))
    beyond = _cut_by(points, frame)
    framed = ~np.any(list(beyond.values()), axis=0)
    shown, hidden_by = framed.copy(), []
    for other in meeting:
        hidden = contains(outline(things[other].shape), to_unit(things[other], aspect, points))
        if (hidden & framed).mean() >= HIDES:
            hidden_by.append(other)
        shown &= ~hidden
    x, y = points[shown].mean(axis=0) / frame if shown.any() else (thing.x, thing.y)
    return Sighting(
        framed=float(framed.mean()),
        visible=float(shown.mean()),
        x=float(x),
        y=float(y),
        edges=tuple(side for side, out in beyond.items() if out.mean() > 1 - WHOLE),
        hidden_by=tuple(hidden_by),
    )


@lru_cache(maxsize=64)
def sightings(things: tuple[Thing, ...], aspect: float) -> tuple[Sighting, ...]:
    """Return what is seen of each thing; a later thing is nearer than an earlier one."""
    return tuple(_sight(index, things, aspect) for index in range(len(things)))


def is_inside(inner: int, outer: int, things: tuple[Thing, ...], aspect: float) -> bool:
    """Tell whether all of one thing lies on another, or in its hole where it is a ring."""
    a, b = things[inner], things[outer]
    if math.dist(centre_of(a, aspect), centre_of(b, aspect)) > b.radius * reach(b.shape):
        return False
    contours = outline(b.shape)
    if inner < outer and len(contours) == 1:
        return False
    for of_a in (outline(a.shape)[0], _samples(a.shape)):  # few points first: most pairs end there
        points = to_unit(b, aspect, to_frame(a, aspect, of_a))
        if not contains(contours[-1:], points).all():
            return False
    return True


def _sided(first: int, second: int, sights: tuple[Sighting, ...], aspect: float) -> list[Related]:
    a, b = sights[first], sights[second]
    width, height = frame_of(aspect)
    found = []
    for relation, distance in (
        (Relation.LEFT_OF, (b.x - a.x) * width),
        (Relation.ABOVE, (b.y - a.y) * height),
    ):
        if distance >= MARGIN:
            found.append(Related(first, relation, second))
    return found


@lru_cache(maxsize=64)
def relations(things: tuple[Thing, ...], aspect: float) -> tuple[Related, ...]:
    """Return every relation that holds between things whose shape can be told.

    A pair that is one inside the other has no other relation.
    """
    sights = sightings(things, aspect)
    named = [index for index, sight in enumerate(sights) if sight.is_named]
    found: list[Related] = []
    for first in named:
        for second in named:
            if first == second or is_inside(second, first, things, aspect):
                continue
            if is_inside(first, second, things, aspect):
                found.append(Related(first, Relation.INSIDE, second))
                continue
            if second in sights[first].hidden_by:
                found.append(Related(first, Relation.BEHIND, second))
            found.extend(_sided(first, second, sights, aspect))
    return tuple(found)
