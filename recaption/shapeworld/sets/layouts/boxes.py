"""Boxes around the things of a scene, from their geometry, and the class of each thing."""

from __future__ import annotations

from dataclasses import dataclass

from recaption.shapeworld.content import Region, Thing
from recaption.shapeworld.drawing.geometry import Sighting, frame_of, to_frame
from recaption.shapeworld.drawing.outlines import outline
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.unseen import CLASSES, ClassName


@dataclass(frozen=True, slots=True)
class Box:
    """The part of the frame that a thing takes up, also where nearer things hide it."""

    label: ClassName
    region: Region
    is_occluded: bool
    is_truncated: bool


def boxes_of(scene: Scene) -> list[Box]:
    """Return a box for each thing whose shape can be told, from far to near."""
    sights = zip(scene.things, scene.sightings(), strict=True)
    return [_box(scene, thing, sight) for thing, sight in sights if sight.is_named]


def class_of(scene: Scene, thing: Thing) -> ClassName:
    """Return a thing's class: the scene's own if it is of its shape, else the first that is."""
    own = scene.unseen.class_name
    fitting = (one for one in CLASSES.values() if one.shape is thing.shape)
    return own if own.shape is thing.shape else next(fitting)


def _box(scene: Scene, thing: Thing, sight: Sighting) -> Box:
    return Box(
        label=class_of(scene, thing),
        region=_region(thing, scene.aspect),
        is_occluded=bool(sight.hidden_by),
        is_truncated=bool(sight.edges),
    )


def _region(thing: Thing, aspect: float) -> Region:
    points = to_frame(thing, aspect, outline(thing.shape)[0]) / frame_of(aspect)
    (x0, y0), (x1, y1) = points.min(axis=0).clip(0, 1), points.max(axis=0).clip(0, 1)
    return Region(float(x0), float(y0), float(x1), float(y1))
