"""What a caption claims: things with their looks, relations, medium, background, word, facts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from recaption.shapeworld.content import Fill, Medium, Shape, Size
from recaption.shapeworld.drawing.geometry import Relation
from recaption.shapeworld.known import Known


class ClaimKind(StrEnum):
    """What a claim is about. A closed set."""

    SHAPE = "shape"
    COLOUR = "colour"
    COUNT = "count"
    SIZE = "size"
    FILL = "fill"
    POINTING = "pointing"
    PLACE = "place"
    CUT = "cut"
    FRAGMENT = "fragment"
    RELATION = "relation"
    MEDIUM = "medium"
    GROUND = "ground"
    WORD = "word"
    PALETTE = "palette"
    LOOK = "look"
    MOOD = "mood"
    FACT = "fact"
    CLASS = "class"


class Verdict(StrEnum):
    """How a claim stands against a scene."""

    TRUE = "true"
    FALSE = "false"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class Mention:
    """Things as a caption introduces them: `count` of one look. None: not said."""

    hue: str
    shape: Shape
    count: int = 1
    size: Size | None = None
    fill: Fill | None = None
    pointing: str | None = None
    place: str | None = None
    edges: tuple[str, ...] = ()

    @property
    def look(self) -> tuple[str, Shape]:
        """Colour and shape."""
        return self.hue, self.shape


@dataclass(frozen=True, slots=True)
class Ground:
    """A background as a caption tells it: `kind` and the colours in the order told.

    Kinds: plain, bands, fading (top, bottom), shaded, mostly, above (above, below), beside (left,
    right), both (two colours, no order told).
    """

    kind: str
    hues: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The background in a few words."""
        return " ".join([self.kind, " and ".join(self.hues)]).rstrip()


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed word as a caption tells it; `text` is empty where it is said to be cut off."""

    text: str
    is_mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One relation between mentions, by their numbers: first lies so to second."""

    first: int
    relation: Relation
    second: int


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a caption claims. `unknown` holds the words or sentences not understood."""

    mentions: tuple[Mention, ...] = ()
    relations: tuple[Told, ...] = ()
    totals: tuple[int, ...] = ()
    media: tuple[Medium, ...] = ()
    looks: tuple[str, ...] = ()
    grounds: tuple[Ground, ...] = ()
    words: tuple[Printed, ...] = ()
    fragments: tuple[str, ...] = ()
    palette: tuple[str, ...] = ()
    moods: tuple[str, ...] = ()
    is_empty: bool = False
    known: Known | None = None
    unknown: tuple[str, ...] = ()
