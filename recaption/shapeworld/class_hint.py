"""The class name that comes with an image, as label files write it: mostly right, at times not."""

from __future__ import annotations

import random
from dataclasses import dataclass

from recaption import keyed
from recaption.shapeworld.known import hint_of, is_right
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.unseen import CLASSES, ClassName

WRONG = 0.15
"""Share of images whose class is one that the scene does not bear out."""

GLOSS = 0.4
"""Share of images whose class is told with its gloss."""


@dataclass(frozen=True, slots=True)
class ClassHint:
    """A class told of an image; `is_right` is whether what is shown bears it out."""

    one: ClassName
    has_gloss: bool
    is_right: bool

    @property
    def text(self) -> str:
        """The hint as written: `tile`, or `tile, one box of a table`."""
        return hint_of(self.one, self.has_gloss)


def draw_class_hint(scene: Scene, shown: Scene) -> ClassHint:
    """Draw the class hint of a scene of which `shown` is seen; the same for the same scene.

    A right class of a scene may be wrong of a crop, which may lack what the scene is about.
    """
    rng = random.Random(keyed.integer("class_hint", scene.seed, scene.index))
    has_gloss, is_wrong = rng.random() < GLOSS, rng.random() < WRONG
    one = rng.choice(_wrong_of(scene, has_gloss)) if is_wrong else scene.unseen.class_name
    return ClassHint(one, has_gloss, is_right(hint_of(one, has_gloss), shown))


def _wrong_of(scene: Scene, has_gloss: bool) -> list[ClassName]:
    return [one for one in CLASSES.values() if not is_right(hint_of(one, has_gloss), scene)]
