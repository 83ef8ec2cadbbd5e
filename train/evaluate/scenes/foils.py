"""Captions of simple scenes with one thing wrong: each differs from the true one in that alone."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from recaption import keyed
from recaption.shapeworld.content import Shape, Thing
from recaption.shapeworld.drawing.setting import GROUND_COLOURS, THING_COLOURS
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.scenes import Scene
from train.evaluate.scenes.prompts import ScenePrompt

_OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
_SIDE = re.compile(rf"\b({'|'.join(_OPPOSITE)})\b")


@dataclass(frozen=True, slots=True)
class Foil:
    """A scene with its caption and a false one; `kind`: what is wrong in that."""

    kind: str
    scene: Scene
    caption: str
    foil: str


def draw_foils(plain: Sequence[ScenePrompt], related: Sequence[ScenePrompt]) -> list[Foil]:
    """Return the foils of prompts: of `plain` in each kind that fits, of `related` in relations."""
    found = [foil for prompt in plain for foil in _of_scene(prompt)]
    for prompt in related:
        found.append(Foil("relation", prompt.scene, prompt.caption, _turned(prompt.caption)))
    return found


def _turned(caption: str) -> str:
    """Say the opposite in the last sentence, which tells how two things lie."""
    start, end, relation = caption.rpartition(". ")
    return start + end + _SIDE.sub(lambda match: _OPPOSITE[match[0]], relation)


def _of_scene(prompt: ScenePrompt) -> Iterator[Foil]:
    scene = prompt.scene
    rng = random.Random(keyed.integer("foil", scene.seed, scene.index))
    for kind, change in _KINDS.items():
        changed = change(scene, rng)
        # With a key of the same scene, so in the same words but for what was changed.
        wrong = "" if changed is None else captions(changed, Style.SHORT, 0)
        if wrong and wrong != prompt.caption:
            yield Foil(kind, scene, prompt.caption, wrong)


def _other_colour(scene: Scene, rng: random.Random) -> Scene | None:
    used = {thing.colour for thing in scene.things} | {
        scene.background.first,
        scene.background.second,
    }
    return _with_thing(
        scene,
        rng,
        lambda thing: replace(
            thing, colour=rng.choice([c for c in THING_COLOURS if c not in used])
        ),
    )


def _other_shape(scene: Scene, rng: random.Random) -> Scene | None:
    used = {thing.shape for thing in scene.things}
    others = [shape for shape in Shape if shape not in used]
    return _with_thing(scene, rng, lambda thing: replace(thing, shape=rng.choice(others)))


def _with_thing(scene: Scene, rng: random.Random, change: Callable[[Thing], Thing]) -> Scene | None:
    index = rng.randrange(len(scene.things))
    things = list(scene.things)
    things[index] = change(things[index])
    return replace(scene, things=tuple(things))


def _swapped(scene: Scene, rng: random.Random) -> Scene | None:
    """Exchange the colours of two things of different looks."""
    if len(scene.things) != 2:
        return None
    first, second = scene.things
    if first.colour == second.colour or first.shape == second.shape:
        return None
    swapped = replace(first, colour=second.colour), replace(second, colour=first.colour)
    return replace(scene, things=swapped)


def _other_ground(scene: Scene, rng: random.Random) -> Scene | None:
    ground = scene.background
    used = {ground.first, ground.second, *(thing.colour for thing in scene.things)}
    colour = rng.choice([c for c in GROUND_COLOURS if c not in used])
    return replace(scene, background=replace(ground, first=colour))


_KINDS = {
    "colour": _other_colour,
    "shape": _other_shape,
    "binding": _swapped,
    "background": _other_ground,
}
