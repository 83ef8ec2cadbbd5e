"""A scene: everything that is in a picture, known exactly. Drawn by seed, written as JSON."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from recaption import keyed
from recaption.shapeworld.content import (
    WHOLE_VIEW,
    Background,
    Colour,
    Fill,
    Ground,
    Medium,
    Region,
    Shape,
    Size,
    Thing,
    View,
    Word,
)
from recaption.shapeworld.drawing import geometry, layout, setting
from recaption.shapeworld.unseen import CLASSES, Unseen, draw_unseen

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture's content. `things` go from far to near; `aspect` is width / height.

    `seed` and `index` say which drawn scene it is or was cut from, `view` which part of that.
    """

    seed: int
    index: int
    aspect: float
    medium: Medium
    background: Background
    things: tuple[Thing, ...]
    word: Word | None
    unseen: Unseen
    view: View = WHOLE_VIEW

    def sightings(self) -> tuple[geometry.Sighting, ...]:
        """What is seen of each thing, in the order of `things`."""
        return geometry.sightings(self.things, self.aspect)

    def relations(self) -> tuple[geometry.Related, ...]:
        """How the things whose shape can be told lie to each other."""
        return geometry.relations(self.things, self.aspect)

    @property
    def zoom(self) -> float:
        """How much larger things look than in the original scene; 1 for a whole one."""
        region = self.view.region
        original = geometry.frame_of(self.aspect * region.height / region.width)
        return 1.0 / min(original[0] * region.width, original[1] * region.height)

    def main_thing(self) -> int | None:
        """The index of the thing with the most visible surface, None where none is named."""
        sights = self.sightings()
        named = [index for index, sight in enumerate(sights) if sight.is_named]
        areas = {k: sights[k].visible * self.things[k].radius ** 2 for k in named}
        return max(named, key=lambda k: areas[k]) if named else None


_TRIES, _STRIDE = 10_000, 1_000_003


def draw_scene(seed: int, index: int) -> Scene:
    """Draw a scene; a pure function of its arguments."""
    scene = _draw_scene_if(seed, index, lambda canvas, count: True)
    assert scene is not None, (seed, index)
    return scene


def draw_if_simple(
    seed: int,
    index: int,
    most_things: int,
    *,
    only_large: bool = False,
    media: Collection[Medium] = (Medium.FLAT,),
) -> Scene | None:
    """Return the scene of seed and index if it is simple, else None, most often at little cost.

    Simple: in one of the media, square, with 1 to `most_things` things and no word; with
    `only_large`, of large things alone.
    """

    def is_simple(canvas: layout.Canvas, count: int) -> bool:
        is_plain = canvas.aspect == 1 and canvas.word is None and canvas.medium in media
        return is_plain and 1 <= count <= most_things

    scene = _draw_scene_if(seed, index, is_simple)
    has_small = scene and any(thing.size is not Size.LARGE for thing in scene.things)
    return None if only_large and has_small else scene


def draw_simple_scene(seed: int, index: int, most_things: int, only_large: bool = False) -> Scene:
    """Draw again until a scene in flat colours is simple: see `draw_if_simple`.

    For models that learn to draw in minutes. A pure function of its arguments.
    """
    for attempt in range(_TRIES):
        scene = draw_if_simple(seed + attempt * _STRIDE, index, most_things, only_large=only_large)
        if scene is not None:
            return scene
    raise ValueError(f"no scene has 1 to {most_things} things; expected 1 or more")


def _draw_scene_if(
    seed: int, index: int, wants: Callable[[layout.Canvas, int], bool]
) -> Scene | None:
    """Draw a scene, but None where canvas and number of things are not wanted."""
    rng = random.Random(keyed.integer("scene", seed, index))
    medium = setting.pick(rng, setting.MEDIA)
    aspect = setting.pick(rng, setting.ASPECTS)
    background, colours = setting.draw_background(rng, medium)
    word = setting.draw_word(rng, aspect) if rng.random() < setting.WORD_SHARE else None
    canvas = layout.Canvas(aspect, medium, colours, word)
    count = setting.pick(rng, layout.COUNTS)
    if not wants(canvas, count):
        return None
    things = layout.draw_things(rng, canvas, count)
    nothing_known = draw_unseen(rng, None)
    scene = Scene(seed, index, aspect, medium, background, things, word, nothing_known)
    main = scene.main_thing()
    return scene if main is None else replace(scene, unseen=draw_unseen(rng, things[main].shape))


def to_json(scene: Scene) -> dict[str, Any]:
    """Return the scene as values that `json` writes; the round trip through text is exact."""
    return asdict(scene)


def from_json(row: Mapping[str, Any]) -> Scene:
    """Return the scene that `to_json` wrote."""
    word, view = row["word"], row["view"]
    return Scene(
        seed=row["seed"],
        index=row["index"],
        aspect=row["aspect"],
        medium=_choose(Medium, row["medium"]),
        background=_background(row["background"]),
        things=tuple(_thing(thing) for thing in row["things"]),
        word=Word(**word) if word is not None else None,
        unseen=_unseen(row["unseen"]),
        view=View(region=Region(**view["region"]), flipped=view["flipped"]),
    )


def _choose(choices: type[Choice], value: str) -> Choice:
    try:
        return choices(value)
    except ValueError:
        known = ", ".join(choices)
        raise ValueError(f"got {choices.__name__} {value!r}, expected one of {known}") from None


def _background(row: Mapping[str, Any]) -> Background:
    return Background(
        kind=_choose(Ground, row["kind"]),
        first=_choose(Colour, row["first"]),
        second=_choose(Colour, row["second"]),
        start=row["start"],
        end=row["end"],
    )


def _thing(row: Mapping[str, Any]) -> Thing:
    return Thing(
        shape=_choose(Shape, row["shape"]),
        colour=_choose(Colour, row["colour"]),
        fill=_choose(Fill, row["fill"]),
        x=row["x"],
        y=row["y"],
        radius=row["radius"],
        angle=row["angle"],
        tint=row["tint"],
    )


def _unseen(row: Mapping[str, Any]) -> Unseen:
    if row["class_id"] not in CLASSES:
        raise ValueError(f"got class {row['class_id']!r}, expected one of {', '.join(CLASSES)}")
    return Unseen(**row)
