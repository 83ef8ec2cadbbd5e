"""Where a scene plays: its medium, its format, its background, a printed word."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TypeVar

from recaption.shapeworld.content import (
    DISTINCT,
    PALETTE,
    RGB,
    Background,
    Colour,
    Ground,
    Medium,
    Word,
    are_distinct,
    luma,
    mix,
    tone_of,
)
from recaption.shapeworld.drawing import geometry

MEDIA = {
    Medium.FLAT: 34,
    Medium.SKETCH: 16,
    Medium.WATERCOLOUR: 17,
    Medium.PIXEL_ART: 16,
    Medium.GREY_PHOTO: 17,
}
GROUNDS = {
    Ground.PLAIN: 50,
    Ground.GRADIENT: 14,
    Ground.HORIZON: 16,
    Ground.SPLIT: 12,
    Ground.BANDS: 8,
}
ASPECTS = {1.0: 60, 1.3333: 20, 0.75: 20}
THING_COLOURS = tuple(Colour)[:12]
GROUND_COLOURS = (
    Colour.WHITE,
    Colour.BLACK,
    Colour.GREY,
    Colour.CREAM,
    Colour.LIGHT_BLUE,
    Colour.LIGHT_GREEN,
    Colour.PINK,
    Colour.DARK_BLUE,
    Colour.DARK_GREEN,
)
PAPERS = (
    Colour.WHITE,
    Colour.CREAM,
    Colour.LIGHT_BLUE,
    Colour.LIGHT_GREEN,
    Colour.PINK,
    Colour.GREY,
)
"""What is drawn and painted on by hand."""

UNCLEAR_IN_GREY = {Colour.RED, Colour.GREEN, Colour.ORANGE, Colour.PINK, Colour.TURQUOISE}
"""Colours whose grey lies close to the next tone."""

# fmt: off
WORDS = (
    "OPEN", "CAFE", "STOP", "SALE", "TAXI", "EXIT", "HOTEL", "BREAD", "NORTH", "MILK", "BANK",
    "PARK", "MENU", "HOME", "RIVER", "TEA", "ZOO", "FISH", "MAPLE", "LEMON", "SHIP", "WEST",
)
# fmt: on
WORD_SHARE = 0.2
THIN_LINE_CONTRAST = 45.0
"""Luma between a line and its paper."""

Choice = TypeVar("Choice")


def pick(rng: random.Random, weights: dict[Choice, int]) -> Choice:
    """Draw one of the keys by weight."""
    return rng.choices(tuple(weights), tuple(weights.values()))[0]


def draw_background(rng: random.Random, medium: Medium) -> tuple[Background, tuple[Colour, ...]]:
    """Draw a background that leaves a choice of colours for things; return both."""
    wanted = 2 if medium is Medium.GREY_PHOTO else 5
    while True:
        kind = pick(rng, GROUNDS)
        by_hand = medium in (Medium.SKETCH, Medium.WATERCOLOUR)
        first, second = rng.sample(PAPERS if by_hand else GROUND_COLOURS, 2)
        start, end = _draw_ends(rng, kind)
        background = Background(kind, first, second, start, end)
        colours = _colours_on(background, medium)
        if _is_told_apart(background, medium) and len(colours) >= wanted:
            return background, colours


def _draw_ends(rng: random.Random, kind: Ground) -> tuple[float, float]:
    match kind:
        case Ground.PLAIN | Ground.GRADIENT:
            return 0.0, 1.0
        case Ground.HORIZON:
            return round(rng.uniform(0.35, 0.75), 4), 1.0
        case Ground.SPLIT:
            return round(rng.uniform(0.30, 0.70), 4), 1.0
        case Ground.BANDS:
            return 0.0, round(1 / rng.choice((4, 5, 6)), 4)


def _is_told_apart(background: Background, medium: Medium) -> bool:
    if background.kind is Ground.PLAIN:
        return True
    if background.kind is Ground.GRADIENT and medium is Medium.GREY_PHOTO:
        return False  # on its way it would pass every tone that a thing could have
    return are_distinct(background.first, background.second, medium)


def _colours_on(background: Background, medium: Medium) -> tuple[Colour, ...]:
    if medium is Medium.GREY_PHOTO:
        shown = {tone_of(colour) for colour in background.colours}
        clear = [colour for colour in THING_COLOURS if colour not in UNCLEAR_IN_GREY]
        return tuple(colour for colour in clear if tone_of(colour) not in shown)
    ends = PALETTE[background.first], PALETTE[background.second]
    steps = {Ground.PLAIN: (0.0,), Ground.GRADIENT: (0.0, 0.25, 0.5, 0.75, 1.0)}
    grounds = [mix(*ends, share) for share in steps.get(background.kind, (0.0, 1.0))]
    return tuple(
        colour
        for colour in THING_COLOURS
        if all(_stands_out(PALETTE[colour], ground, medium) for ground in grounds)
    )


def _stands_out(ink: RGB, ground: RGB, medium: Medium) -> bool:
    if medium is Medium.SKETCH and abs(luma(ink) - luma(ground)) < THIN_LINE_CONTRAST:
        return False
    return math.dist(ink, ground) > DISTINCT


def draw_word(rng: random.Random, aspect: float) -> Word:
    """Draw a printed word near the upper or lower edge."""
    width, height = geometry.frame_of(aspect)
    word = Word(rng.choice(WORDS), 0.5, 0.5, round(rng.uniform(0.15, 0.18), 4))
    margin_x = (word.width / 2 + 0.02) / width
    margin_y = (word.height / 2 + rng.uniform(0.02, 0.08)) / height
    x = round(rng.uniform(margin_x, 1 - margin_x), 4)
    return replace(word, x=x, y=round(margin_y if rng.random() < 0.4 else 1 - margin_y, 4))
