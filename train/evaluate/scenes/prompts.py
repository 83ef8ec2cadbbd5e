"""Prompts for a small text-to-image model: true captions of simple scenes that it has not seen."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from recaption import keyed
from recaption.shapeworld.content import Ground, Medium
from recaption.shapeworld.drawing.geometry import Related, Relation
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.scenes import Scene, draw_if_simple
from recaption.shapeworld.words import english

SIDES = (Relation.LEFT_OF, Relation.ABOVE)
"""The relations that positions alone decide."""

_MOST_TRIES = 1000
"""Scenes looked at for each one that is wanted: there is one in eight or so."""


@dataclass(frozen=True, slots=True)
class ScenePrompt:
    """A scene and a true caption of it."""

    scene: Scene
    caption: str


def draw_prompts(
    seed: int,
    count: int,
    most_things: int = 3,
    *,
    has_relation: bool = False,
    media: Collection[Medium] = (Medium.FLAT,),
    grounds: Collection[Ground] = tuple(Ground),
    only_large: bool = False,
) -> list[ScenePrompt]:
    """Return square scenes of 1 to `most_things` things, without lettering, and their captions.

    A caption is in the short style; with `has_relation`, of scenes of 2 things or more, a sentence
    follows that tells how two of them lie; with `only_large`, all things are large. Take a seed
    that no training data were drawn from. Raises ValueError where hardly any scene is as asked for.
    """
    found: list[ScenePrompt] = []
    for index in range(count * _MOST_TRIES):
        if len(found) == count:
            return found
        scene = draw_if_simple(seed, index, most_things, only_large=only_large, media=media)
        if scene is not None and scene.background.kind in grounds:
            caption = _with_relation(scene) if has_relation else _short(scene)
            if caption is not None:
                found.append(ScenePrompt(scene, caption))
    if len(found) == count:
        return found
    raise ValueError(
        f"got {len(found)} of {count} prompts: too few scenes of at most {most_things} things in"
        f" {', '.join(media)} on {', '.join(grounds)}; ask for more media, grounds or things"
    )


def _short(scene: Scene) -> str:
    return captions(scene, Style.SHORT, 0)


def _with_relation(scene: Scene) -> str | None:
    """Return a short caption and a sentence on how two things lie, None where none is clear."""
    clause = next(_clauses(scene), None)
    return None if clause is None else f"{_short(scene)} {english.sentence(clause)}"


def _clauses(scene: Scene) -> Iterator[str]:
    rng = random.Random(keyed.integer("prompt", scene.seed, scene.index))
    told = english.Told(scene, rng)
    for related in side_relations(scene):
        clause = english.relation(told, related)
        if clause is not None:
            yield clause


def side_relations(scene: Scene) -> list[Related]:
    """Return the true relations worth telling that positions alone decide."""
    return [one for one in english.telling_relations(scene) if one.relation in SIDES]
