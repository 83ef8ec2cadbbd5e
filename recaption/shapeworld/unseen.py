"""What no viewer could see in a picture: its class, a proper name, a place, a maker, a date."""

from __future__ import annotations

import random
from dataclasses import dataclass

from recaption.shapeworld.content import Shape


@dataclass(frozen=True, slots=True)
class ClassName:
    """A class of a data set: `class_id` is unique, the word is not, the gloss says which is meant.

    `shape` is the shape that a picture of the class is about, None for pictures of nothing.
    """

    class_id: str
    word: str
    gloss: str
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class Unseen:
    """What is known of a picture and not seen in it."""

    class_id: str
    name: str | None = None
    place: str | None = None
    maker: str | None = None
    date: str | None = None

    @property
    def class_name(self) -> ClassName:
        """The class, with its word and gloss."""
        return CLASSES[self.class_id]


_CLASSES = (
    ClassName("c00", "blank", "a surface with nothing on it", None),
    ClassName("c01", "disc", "a flat round plate", Shape.CIRCLE),
    ClassName("c02", "wheel", "a round body that turns about its middle", Shape.CIRCLE),
    ClassName("c03", "tile", "a four-cornered slab for floors and walls", Shape.SQUARE),
    ClassName("c04", "tile", "a six-sided slab for paths", Shape.HEXAGON),
    ClassName("c05", "cell", "a six-sided chamber of a honeycomb", Shape.HEXAGON),
    ClassName("c06", "cell", "one box of a table", Shape.SQUARE),
    ClassName("c07", "kite", "a four-cornered toy flown on a string", Shape.DIAMOND),
    ClassName("c08", "kite", "a three-cornered sail", Shape.TRIANGLE),
    ClassName("c09", "star", "a figure with five points", Shape.STAR),
    ClassName("c10", "badge", "a five-pointed sign of office", Shape.STAR),
    ClassName("c11", "badge", "a cross worn as a decoration", Shape.CROSS),
    ClassName("c12", "plus", "the sign of adding", Shape.CROSS),
    ClassName("c13", "band", "a closed strip worn on a finger", Shape.RING),
    ClassName("c14", "washer", "a flat ring laid under a nut", Shape.RING),
    ClassName("c15", "charm", "a small heart worn for luck", Shape.HEART),
    ClassName("c16", "charm", "a small moon worn for luck", Shape.CRESCENT),
    ClassName("c17", "moon", "the new moon as a thin bow", Shape.CRESCENT),
    ClassName("c18", "pointer", "a mark that shows the way", Shape.ARROW),
    ClassName("c19", "pointer", "a three-cornered mark on a scale", Shape.TRIANGLE),
    ClassName("c20", "gem", "a cut stone with four sides", Shape.DIAMOND),
    ClassName("c21", "valentine", "a heart sent as a greeting", Shape.HEART),
)
CLASSES = {one.class_id: one for one in _CLASSES}
"""All classes by id; tile, cell, kite, badge, charm and pointer each name two of them."""

_GIVEN = ("Mira", "Anton", "Lucia", "Tomas", "Greta", "Idris", "Noor", "Pavel", "Selma", "Yuki")
_FAMILY = ("Holt", "Vasquez", "Okafor", "Lindqvist", "Marek", "Tanaka", "Duarte", "Rowan", "Adler")
_PLACES = ("Lisbon", "Oslo", "Kyoto", "Accra", "Lima", "Tartu", "Graz", "Porto", "Hobart", "Quebec")
_NAMES = ("Aurora", "Zephyr", "Old Bartholomew", "Calliope", "Nimbus", "Saffron", "Lady Winter")
_TITLES = ("{name}", "{name} No. {number}", "The {name}", "{name} II")
_ONSETS, _VOWELS, _CODAS = "bdfgklmnprstvz", "aeiou", ("", "", "", "n", "r", "s", "l")
COINED = 0.6
"""Share of names that are coined, so that a captioner must copy and cannot learn them by heart."""

_MONTHS = ("March", "June", "August", "November")


def coin_name(rng: random.Random) -> str:
    """Return a name that nobody has seen before, of two or three syllables: `Zopika`."""
    syllables = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((2, 3, 3)))]
    return ("".join(syllables) + rng.choice(_CODAS)).capitalize()


def _draw_date(rng: random.Random) -> str:
    year = rng.randint(1921, 2024)
    written = rng.choice(("{year}", "{month} {year}", "{year}-{m:02d}-{d:02d}"))
    month, m, d = rng.choice(_MONTHS), rng.randint(1, 12), rng.randint(1, 28)
    return written.format(year=year, month=month, m=m, d=d)


def draw_unseen(rng: random.Random, about: Shape | None) -> Unseen:
    """Draw what is not seen in a picture about a shape, or about nothing."""
    choices = [one.class_id for one in _CLASSES if one.shape is about]
    own = coin_name(rng) if rng.random() < COINED else rng.choice(_NAMES)
    family = coin_name(rng) if rng.random() < COINED else rng.choice(_FAMILY)
    title = rng.choice(_TITLES).format(name=own, number=rng.randint(2, 40))
    maker = f"{rng.choice(_GIVEN)} {family}"
    return Unseen(
        class_id=rng.choice(choices),
        name=title if rng.random() < 0.6 else None,
        place=rng.choice(_PLACES) if rng.random() < 0.5 else None,
        maker=maker if rng.random() < 0.5 else None,
        date=_draw_date(rng) if rng.random() < 0.5 else None,
    )
