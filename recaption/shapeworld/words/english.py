"""English words and phrases for what is in a scene, true of the scene that they are told of.

A thing is told by what can be seen of it: no shape of a fragment, no colour in a grey photo, no
size or place that a viewer could see otherwise.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from recaption.shapeworld.content import Colour, Fill, Ground, Medium, Shape, hue_in
from recaption.shapeworld.drawing import geometry
from recaption.shapeworld.drawing.geometry import Presence, Related, Relation, Sighting
from recaption.shapeworld.scenes import Scene

SHAPE_WORDS: dict[Shape, tuple[str, ...]] = {
    Shape.CIRCLE: ("circle", "circle", "disc"),
    Shape.SQUARE: ("square",),
    Shape.TRIANGLE: ("triangle",),
    Shape.STAR: ("star", "star", "five-pointed star"),
    Shape.CROSS: ("cross", "cross", "plus sign"),
    Shape.RING: ("ring", "ring", "hoop"),
    Shape.DIAMOND: ("diamond", "diamond", "rhombus"),
    Shape.HEXAGON: ("hexagon",),
    Shape.HEART: ("heart",),
    Shape.ARROW: ("arrow",),
    Shape.CRESCENT: ("crescent", "crescent", "crescent moon"),
}
MEDIUM_WORDS: dict[Medium, tuple[str, ...]] = {
    Medium.FLAT: ("flat graphic", "flat illustration", "simple vector graphic"),
    Medium.SKETCH: ("outline sketch", "line drawing", "drawing in outline"),
    Medium.WATERCOLOUR: ("watercolour", "watercolour painting", "painting in watercolour"),
    Medium.PIXEL_ART: ("piece of pixel art", "pixel-art picture", "pixel graphic"),
    Medium.GREY_PHOTO: ("black-and-white photo", "grainy grey photo", "monochrome photograph"),
}
NUMBERS = ("no", "one", "two", "three", "four", "five")

COLUMNS = {"left": (0.0, 0.36), "middle": (0.41, 0.59), "right": (0.64, 1.0)}
ROWS = {"top": (0.0, 0.36), "middle": (0.41, 0.59), "bottom": (0.64, 1.0)}
"""Where a visible centre is called so, in shares of the frame; between them nothing is said."""

SLIVER = 0.08
"""A part of the background smaller than this share of the frame is not spoken of."""


@dataclass(frozen=True)  # without slots: cached properties need a __dict__
class Told:
    """A scene being told: its wording is drawn from `rng`, and stays with a thing once drawn."""

    scene: Scene
    rng: random.Random

    @cached_property
    def sights(self) -> tuple[Sighting, ...]:
        """What is seen of each thing."""
        return self.scene.sightings()

    @cached_property
    def words(self) -> dict[Shape, str]:
        """The word for each shape, one per caption."""
        return {shape: self.rng.choice(words) for shape, words in SHAPE_WORDS.items()}

    @cached_property
    def named(self) -> list[int]:
        """The things whose shape can be told, in the order they are told."""
        order = [k for k, sight in enumerate(self.sights) if sight.is_named]
        return sorted(order, key=lambda k: (round(2 * self.sights[k].y), self.sights[k].x))

    @cached_property
    def fragments(self) -> list[int]:
        """The things of which only a part of some shape is seen."""
        return [k for k, sight in enumerate(self.sights) if sight.presence is Presence.FRAGMENT]

    def hue(self, index: int) -> str:
        """The word for a thing's colour."""
        return hue_in(self.scene.things[index].colour, self.scene.medium)

    def look(self, index: int) -> tuple[str, Shape]:
        """What two things must share to be called the same."""
        return self.hue(index), self.scene.things[index].shape


def with_article(phrase: str) -> str:
    """Put a or an before a phrase."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def join(phrases: Sequence[str]) -> str:
    """Join phrases with commas and a last `and`."""
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def sentence(text: str) -> str:
    """Make a sentence of a phrase."""
    return f"{text[0].upper()}{text[1:]}."


def plural(noun: str) -> str:
    """Return the plural of a shape's word."""
    if noun == "rhombus":
        return "rhombuses"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def noun(told: Told, index: int) -> str:
    """Return colour and shape: `red star`."""
    return f"{told.hue(index)} {told.words[told.scene.things[index].shape]}"


def full_noun(told: Told, index: int) -> str:
    """Return all that can be told of a thing: `large red striped arrow pointing left`."""
    thing, sight = told.scene.things[index], told.sights[index]
    is_whole = sight.presence is Presence.WHOLE
    size = f"{thing.size} " if thing.is_size_clear and is_whole else ""
    shape, hue = told.words[thing.shape], told.hue(index)
    pointing = f" pointing {thing.pointing}" if thing.pointing else ""
    if thing.fill is Fill.PLAIN:
        return f"{size}{hue} {shape}{pointing}"
    if told.rng.random() < 0.5:
        return f"{size}{hue} {thing.fill} {shape}{pointing}"
    marks = "stripes" if thing.fill is Fill.STRIPED else "dots"
    return f"{size}{hue} {shape} with {marks}{pointing and ','}{pointing}"


def the(told: Told, index: int) -> str | None:
    """Return a phrase that means this thing and no other, None if there is none short enough."""
    thing = told.scene.things[index]
    alike = [k for k in told.named if k != index and told.look(k) == told.look(index)]
    if not alike:
        return f"the {noun(told, index)}"
    others = [told.scene.things[k] for k in alike]
    sizes_clear = all(one.is_size_clear for one in (thing, *others))
    if sizes_clear and all(other.size is not thing.size for other in others):
        return f"the {thing.size} {noun(told, index)}"
    return None


def place(told: Told, index: int) -> str:
    """Return where a thing is, `in the top left`; empty where no place is clear."""
    sight = told.sights[index]
    column, row = _band(sight.x, COLUMNS), _band(sight.y, ROWS)
    if column == "middle" and row == "middle":
        return told.rng.choice(("in the middle", "in the centre"))
    sides = [side for side in (row, column) if side and side != "middle"]
    if not sides:
        return ""
    if len(sides) == 2:
        corner = " ".join(sides)
        return told.rng.choice((f"in the {corner}", f"in the {corner} corner"))
    if column == "middle" or row == "middle":
        return f"at the {sides[0]}"
    return f"towards the {sides[0]}"


def _band(share: float, bands: dict[str, tuple[float, float]]) -> str | None:
    return next((name for name, (low, high) in bands.items() if low <= share <= high), None)


def group(told: Told) -> list[str]:
    """Return the things by kind, in order: `a red star`, `two blue circles`."""
    counts: dict[tuple[str, Shape], int] = {}
    for k in told.named:
        counts[told.look(k)] = counts.get(told.look(k), 0) + 1
    phrases = []
    for (hue, shape), count in counts.items():
        word = told.words[shape]
        one = with_article(f"{hue} {word}")
        phrases.append(one if count == 1 else f"{NUMBERS[count]} {hue} {plural(word)}")
    return phrases


def medium(told: Told) -> str:
    """Return what kind of picture it is, without article."""
    return told.rng.choice(MEDIUM_WORDS[told.scene.medium])


def background(told: Told) -> str:
    """Return the background with its article."""
    ground = told.scene.background
    first, second = (hue_in(c, told.scene.medium) for c in (ground.first, ground.second))
    match ground.kind:
        case Ground.PLAIN:
            return _plain(told, ground.first)
        case Ground.BANDS:
            return f"a background of {first} and {second} bands"
        case Ground.GRADIENT:
            return _gradient(told)
        case Ground.HORIZON | Ground.SPLIT:
            if not SLIVER < ground.start < 1 - SLIVER:
                return f"a mostly {first if ground.start > 0.5 else second} background"
    if ground.kind is Ground.SPLIT:
        return f"a background that is {first} on the left and {second} on the right"
    return told.rng.choice(
        (
            f"a background that is {first} above and {second} below",
            f"a two-tone background, {first} over {second}",
        )
    )


def _plain(told: Told, colour: Colour) -> str:
    plain = told.rng.choice(("", "plain "))
    return with_article(f"{plain}{hue_in(colour, told.scene.medium)} background")


def _gradient(told: Told) -> str:
    ground = told.scene.background
    top = -ground.start / (ground.end - ground.start)
    bottom = (1 - ground.start) / (ground.end - ground.start)
    if top <= 0.2 and bottom >= 0.8:
        return f"a background fading from {ground.first} at the top to {ground.second} below"
    return "a softly shaded background"


def relation(told: Told, related: Related) -> str | None:
    """Return how two things lie as a clause, or None where it would be unclear which are meant."""
    a, b = the(told, related.first), the(told, related.second)
    if a is None or b is None:
        return None
    is_turned = told.rng.random() < 0.4
    match related.relation:
        case Relation.INSIDE:
            return f"{b} has {a} inside it" if is_turned else f"{a} is inside {b}"
        case Relation.BEHIND:
            return f"{b} is in front of {a}" if is_turned else f"{a} is behind {b}"
        case Relation.LEFT_OF:
            return f"{b} is to the right of {a}" if is_turned else f"{a} is to the left of {b}"
        case Relation.ABOVE:
            return f"{b} is below {a}" if is_turned else f"{a} is above {b}"


def telling_relations(scene: Scene) -> list[Related]:
    """Return the relations worth telling: meetings first, and of two sides the clearly larger."""
    width, height = geometry.frame_of(scene.aspect)
    sights = scene.sightings()
    meetings, sides = [], []
    for related in scene.relations():
        if related.relation in (Relation.INSIDE, Relation.BEHIND):
            meetings.append(related)
            continue
        a, b = sights[related.first], sights[related.second]
        across, down = abs(a.x - b.x) * width, abs(a.y - b.y) * height
        along, aside = (across, down) if related.relation is Relation.LEFT_OF else (down, across)
        if along >= 1.2 * aside:
            sides.append(related)
    return meetings + sides
