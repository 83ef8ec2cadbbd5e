"""How a scene is drawn: a background, then things tried in places until all of them fit."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, replace

from recaption.shapeworld.content import (
    RADII,
    Colour,
    Fill,
    Medium,
    Shape,
    Size,
    Thing,
    Word,
    are_distinct,
    hue_in,
)
from recaption.shapeworld.drawing import geometry
from recaption.shapeworld.drawing.outlines import reach
from recaption.shapeworld.drawing.setting import pick

COUNTS = {0: 4, 1: 21, 2: 28, 3: 24, 4: 14, 5: 9}
"""Things per scene, in percent."""

FILLS = {Fill.PLAIN: 60, Fill.STRIPED: 20, Fill.DOTTED: 20}
TWIN_SHARE = 0.12
"""Share of scenes of two or more things in which two of them look the same."""

MEETINGS = {"apart": 60, "overlap": 24, "inside": 16}
"""How the first two things of a scene lie, in percent."""

OVERLAP_VISIBLE = (0.60, 0.90)
"""What an overlap leaves visible of the farther thing."""

HOLDERS = (Shape.CIRCLE, Shape.SQUARE, Shape.HEXAGON, Shape.RING, Shape.DIAMOND)
"""The shapes with room inside for a small thing."""

BROAD = (*HOLDERS[:3], Shape.TRIANGLE, Shape.HEART, Shape.DIAMOND)
"""The shapes on which stripes and dots show even when small."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """What the things of a scene are laid on: `colours` are those that stand out from it."""

    aspect: float
    medium: Medium
    colours: tuple[Colour, ...]
    word: Word | None


def draw_things(rng: random.Random, canvas: Canvas, count: int) -> tuple[Thing, ...]:
    """Draw `count` things that fit, 0 to 5, from far to near."""
    meeting = pick(rng, MEETINGS) if count >= 2 else "apart"
    has_twins = count >= 2 and meeting == "apart" and rng.random() < TWIN_SHARE
    for attempt in itertools.count():
        things = _try_layout(rng, canvas, count, meeting, has_twins)
        if things is not None:
            return things
        if attempt == 200:
            meeting = "apart"  # a colour or two may leave no pair that can meet
        assert attempt < 2000, (canvas, count, meeting)
    raise AssertionError("unreachable")


def _try_layout(
    rng: random.Random, canvas: Canvas, count: int, meeting: str, has_twins: bool
) -> tuple[Thing, ...] | None:
    things: list[Thing] = []
    for number in range(count):
        thing = _draw_look(rng, canvas, things, count, meeting)
        if thing is None:
            return None
        if has_twins and number == 1:
            thing = things[0]
        near = things[0] if meeting != "apart" and number == 1 else None
        placed = _place(rng, canvas, thing, things, near)
        if placed is None:
            return None
        things.append(placed)
    return tuple(things) if _meets(tuple(things), meeting, canvas) else None


def _draw_look(
    rng: random.Random, canvas: Canvas, things: list[Thing], count: int, meeting: str
) -> Thing | None:
    """Draw all of a thing but its place; None if it looks like one that is there."""
    size = _draw_size(rng, len(things), count, meeting)
    holds = meeting == "inside" and not things
    shape = rng.choice(HOLDERS if holds else tuple(Shape))
    colour = rng.choice(canvas.colours)
    taken = {(other.shape, hue_in(other.colour, canvas.medium)) for other in things}
    if (shape, hue_in(colour, canvas.medium)) in taken:
        return None
    meets = meeting != "apart" and len(things) == 1
    if meets and not are_distinct(colour, things[0].colour, canvas.medium):
        return None
    return Thing(
        shape=shape,
        colour=colour,
        fill=_draw_fill(rng, shape, size, canvas.medium) if not holds else Fill.PLAIN,
        x=0.0,
        y=0.0,
        radius=round(rng.uniform(*RADII[size]), 4),
        angle=_draw_angle(rng, shape, canvas.medium),
        tint=round(rng.uniform(0.95, 1.05), 4),
    )


def _draw_size(rng: random.Random, number: int, count: int, meeting: str) -> Size:
    if meeting == "inside" and number < 2:
        return Size.SMALL if number else Size.LARGE
    if meeting == "overlap" and number < 2:
        return rng.choice((Size.MEDIUM, Size.LARGE))
    large = 30 if count <= 2 else 18 if count == 3 else 6
    return pick(rng, {Size.SMALL: 35, Size.MEDIUM: 35, Size.LARGE: large})


def _draw_fill(rng: random.Random, shape: Shape, size: Size, medium: Medium) -> Fill:
    fill, is_small = pick(rng, FILLS), size is Size.SMALL
    if medium is Medium.PIXEL_ART:
        return fill if shape in BROAD and not is_small else Fill.PLAIN
    return fill if shape in BROAD or not is_small else Fill.PLAIN


def _draw_angle(rng: random.Random, shape: Shape, medium: Medium) -> float:
    quarter = 0
    if shape is Shape.ARROW:
        quarter = rng.choice((0, 90, 180, -90))
    elif shape is Shape.CRESCENT:
        quarter = rng.choice((90, -90))
    lean = 0.0 if medium is Medium.PIXEL_ART else rng.uniform(-10, 10)  # cells have no slopes
    return round(quarter + lean, 2)


def _place(
    rng: random.Random, canvas: Canvas, thing: Thing, things: list[Thing], near: Thing | None
) -> Thing | None:
    """Return the thing at a place that is free, on or in `near` if that is given."""
    width, height = geometry.frame_of(canvas.aspect)
    margin = thing.radius * reach(thing.shape) + 0.02
    for _ in range(12):
        if near is None:
            x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
        else:
            spread = 0.04 if thing.size is Size.SMALL else 0.9 * (near.radius + thing.radius)
            x, y = geometry.centre_of(near, canvas.aspect)
            x, y = x + rng.uniform(-spread, spread), y + rng.uniform(-spread, spread)
            if not (margin <= x <= width - margin and margin <= y <= height - margin):
                continue
        placed = replace(thing, x=round(x / width, 4), y=round(y / height, 4))
        if _is_free(placed, [other for other in things if other is not near], canvas):
            return placed
    return None


def _is_free(thing: Thing, others: list[Thing], canvas: Canvas) -> bool:
    if any(geometry.gap_between(thing, other, canvas.aspect) < 0.025 for other in others):
        return False
    if canvas.word is None:
        return True
    width, height = geometry.frame_of(canvas.aspect)
    aside_x = abs(thing.x - canvas.word.x) * width - canvas.word.width / 2
    aside_y = abs(thing.y - canvas.word.y) * height - canvas.word.height / 2
    clear = math.hypot(max(aside_x, 0), max(aside_y, 0))
    return clear > thing.radius * reach(thing.shape) + 0.02


def _meets(things: tuple[Thing, ...], meeting: str, canvas: Canvas) -> bool:
    """Tell whether the first two things lie as they were meant to."""
    if meeting == "inside":
        return geometry.is_inside(1, 0, things, canvas.aspect)
    if meeting == "overlap":
        visible = geometry.sightings(things[:2], canvas.aspect)[0].visible
        return OVERLAP_VISIBLE[0] <= visible <= OVERLAP_VISIBLE[1]
    return True
