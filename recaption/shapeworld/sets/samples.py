"""One image of a rendered set with all that is told of it; a pure function of set and index."""

from __future__ import annotations

from dataclasses import dataclass

from recaption import keyed
from recaption.shapeworld.alt_text import AltText, draw_alt_text
from recaption.shapeworld.class_hint import ClassHint, draw_class_hint
from recaption.shapeworld.crops import draw_crop
from recaption.shapeworld.render import encode, pixels_of
from recaption.shapeworld.scenes import Scene, draw_scene, draw_simple_scene
from recaption.shapeworld.sets.rendered_set import RenderedSet

DRAWN_SIZES = (64, 128)
"""Smallest and largest shorter side, in pixels, where none is given."""


@dataclass(frozen=True, slots=True)
class DrawnSample:
    """What an image `shown` of a scene carries. Alt-text and class hint speak of the whole scene.

    `size` is the image's shorter side in pixels.
    """

    scene: Scene
    shown: Scene
    size: int
    alt_text: AltText
    class_hint: ClassHint

    @property
    def pixels(self) -> tuple[int, int]:
        """The image's width and height."""
        return pixels_of(self.shown.aspect, self.size)


def draw_sample(rendered: RenderedSet, index: int) -> DrawnSample:
    """Draw the sample of a set at an index."""
    if rendered.most_things:
        scene = draw_simple_scene(rendered.seed, index, rendered.most_things, rendered.only_large)
    else:
        scene = draw_scene(rendered.seed, index)
    shown = draw_crop(scene) if rendered.crops else scene
    return DrawnSample(
        scene=scene,
        shown=shown,
        size=rendered.size or _draw_size(scene),
        alt_text=draw_alt_text(scene, scene.seed),
        class_hint=draw_class_hint(scene, shown),
    )


def image_of(sample: DrawnSample, rendered: RenderedSet) -> bytes:
    """Return the sample's image, encoded as the set asks."""
    return encode(sample.shown, sample.size, rendered.image_format)


def _draw_size(scene: Scene) -> int:
    span = DRAWN_SIZES[1] - DRAWN_SIZES[0] + 1
    return DRAWN_SIZES[0] + int(span * keyed.uniform("size", scene.seed, scene.index))
