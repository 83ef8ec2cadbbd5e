"""What a scene is made of: things, a word, a background, and the part of a picture that one sees.

Positions `x`, `y` are shares of the frame's width and height, y downwards. Lengths (`radius`,
`height`) are in units of the frame's shorter side, so that they are the same in both directions.
Angles are degrees, clockwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

RGB = tuple[int, int, int]


class Shape(StrEnum):
    """What a thing is. Each is mirror-symmetric about its upright axis, so a flip keeps it."""

    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    STAR = "star"
    CROSS = "cross"
    RING = "ring"
    DIAMOND = "diamond"
    HEXAGON = "hexagon"
    HEART = "heart"
    ARROW = "arrow"
    CRESCENT = "crescent"


class Colour(StrEnum):
    """The colours of things and of backgrounds, by the name a viewer would give them."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    GREEN = "green"
    TURQUOISE = "turquoise"
    BLUE = "blue"
    PURPLE = "purple"
    PINK = "pink"
    BROWN = "brown"
    BLACK = "black"
    GREY = "grey"
    WHITE = "white"
    CREAM = "cream"
    LIGHT_BLUE = "light blue"
    LIGHT_GREEN = "light green"
    DARK_BLUE = "dark blue"
    DARK_GREEN = "dark green"


PALETTE: dict[Colour, RGB] = {
    Colour.RED: (218, 28, 36),
    Colour.ORANGE: (250, 135, 15),
    Colour.YELLOW: (250, 222, 30),
    Colour.GREEN: (35, 160, 60),
    Colour.TURQUOISE: (45, 205, 205),
    Colour.BLUE: (30, 75, 225),
    Colour.PURPLE: (130, 40, 165),
    Colour.PINK: (255, 135, 190),
    Colour.BROWN: (120, 70, 32),
    Colour.BLACK: (18, 18, 20),
    Colour.GREY: (138, 138, 140),
    Colour.WHITE: (250, 250, 248),
    Colour.CREAM: (250, 238, 205),
    Colour.LIGHT_BLUE: (195, 222, 248),
    Colour.LIGHT_GREEN: (205, 238, 200),
    Colour.DARK_BLUE: (22, 32, 92),
    Colour.DARK_GREEN: (18, 66, 38),
}
"""sRGB, 0 to 255."""


DISTINCT = 100.0
"""Colours further apart than this in sRGB are told apart at a glance."""


class Size(StrEnum):
    """How large a thing looks in its frame."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


RADII: dict[Size, tuple[float, float]] = {
    Size.SMALL: (0.080, 0.088),
    Size.MEDIUM: (0.130, 0.145),
    Size.LARGE: (0.225, 0.250),
}
"""The radii that scenes are drawn with, in shorter sides of the frame."""

SIZE_LIMITS = (0.107, 0.181)
"""Small lies below the first, large above the second: the geometric means of the gaps."""

SIZE_DOUBT = 1.12
"""Within this factor of a limit a viewer could give either name, so none is claimed."""


class Fill(StrEnum):
    """What is on a thing's surface."""

    PLAIN = "plain"
    STRIPED = "striped"
    DOTTED = "dotted"


class Medium(StrEnum):
    """How the picture is made."""

    FLAT = "flat"
    SKETCH = "sketch"
    WATERCOLOUR = "watercolour"
    PIXEL_ART = "pixel_art"
    GREY_PHOTO = "grey_photo"


class Tone(StrEnum):
    """What a grey photo leaves of a colour."""

    DARK = "dark"
    GREY = "grey"
    LIGHT = "light"


def luma(rgb: RGB) -> float:
    """Return Rec. 601 luma, 0 to 255."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def tone_of(colour: Colour) -> Tone:
    """Return how a colour looks in a grey photo."""
    y = luma(PALETTE[colour])
    return Tone.DARK if y < 97 else Tone.LIGHT if y > 170 else Tone.GREY


def hue_in(colour: Colour, medium: Medium) -> str:
    """Return the word for a colour as the medium shows it."""
    return (tone_of(colour) if medium is Medium.GREY_PHOTO else colour).value


def are_distinct(a: Colour, b: Colour, medium: Medium) -> bool:
    """Tell whether two colours side by side can be told apart at a glance."""
    if medium is Medium.GREY_PHOTO:
        return tone_of(a) is not tone_of(b)
    return math.dist(PALETTE[a], PALETTE[b]) > DISTINCT


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """Return the colour that is `share` of the way from a to b."""
    return tuple(round(p + (q - p) * share) for p, q in zip(a, b, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape of a scene; its centre may lie outside the frame. `tint` scales its brightness."""

    shape: Shape
    colour: Colour
    fill: Fill
    x: float
    y: float
    radius: float
    angle: float
    tint: float

    @property
    def size(self) -> Size:
        """How large it looks."""
        if self.radius < SIZE_LIMITS[0]:
            return Size.SMALL
        return Size.LARGE if self.radius > SIZE_LIMITS[1] else Size.MEDIUM

    @property
    def is_size_clear(self) -> bool:
        """Whether no viewer would call it the next size up or down."""
        return all(
            max(self.radius / limit, limit / self.radius) > SIZE_DOUBT for limit in SIZE_LIMITS
        )

    @property
    def pointing(self) -> str | None:
        """Where an arrow points, `up`, `right`, `down` or `left`; None for other shapes."""
        if self.shape is not Shape.ARROW:
            return None
        return ("up", "right", "down", "left")[round(self.angle / 90) % 4]


@dataclass(frozen=True, slots=True)
class Word:
    """A printed word on a white plate with centre `x`, `y`; `height` is the plate's."""

    text: str
    x: float
    y: float
    height: float
    mirrored: bool = False

    @property
    def width(self) -> float:
        """The plate's width in shorter sides of the frame."""
        return self.height * (0.72 * len(self.text) + 0.5)


class Ground(StrEnum):
    """The kinds of background."""

    PLAIN = "plain"
    GRADIENT = "gradient"
    HORIZON = "horizon"
    SPLIT = "split"
    BANDS = "bands"


@dataclass(frozen=True, slots=True)
class Background:
    """What lies behind the things.

    PLAIN is all `first`. GRADIENT goes evenly from `first` at y = `start` to `second` at y = `end`.
    HORIZON is `first` above y = `start`, `second` below. SPLIT is `first` left of x = `start`,
    `second` right of it. BANDS alternate downwards: `first` in [start, end), `second` in the next
    band as high, and so on both ways. A kind ignores the fields it has no use for.
    """

    kind: Ground
    first: Colour
    second: Colour
    start: float
    end: float

    @property
    def colours(self) -> tuple[Colour, ...]:
        """The colours that it shows."""
        return (self.first,) if self.kind is Ground.PLAIN else (self.first, self.second)


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle in shares of the frame, 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1."""

    x0: float = 0.0
    y0: float = 0.0
    x1: float = 1.0
    y1: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 <= 1 and 0 <= self.y0 < self.y1 <= 1):
            raise ValueError(f"got {self}, expected 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1")

    @property
    def width(self) -> float:
        """In widths of the frame."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """In heights of the frame."""
        return self.y1 - self.y0


@dataclass(frozen=True, slots=True)
class View:
    """Which part of the original picture is seen: its `region`, cut out first, then flipped."""

    region: Region
    flipped: bool


WHOLE_VIEW = View(region=Region(), flipped=False)
"""The view of a scene as drawn."""
