"""What a caption of a style should tell of a scene, and whether it does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from recaption.shapeworld.content import Fill
from recaption.shapeworld.drawing.geometry import Presence
from recaption.shapeworld.language import Style, is_word_read
from recaption.shapeworld.reading.claims import ClaimKind, Mention, Reading, Verdict
from recaption.shapeworld.reading.judge import (
    Judgement,
    ground_of,
    is_ground,
    of_relations,
    place_verdict,
)
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.words import english


@dataclass(frozen=True, slots=True)
class Expected:
    """Something that a caption of this style should tell, and whether it did."""

    kind: ClaimKind
    is_told: bool
    what: str


_DETAILED = (Style.DENSE,)


def expect(scene: Scene, style: Style, reading: Reading) -> list[Expected]:
    """Return what a caption of a style should tell of a scene, and whether this one does."""
    about = Judgement(scene, reading)
    if style is Style.ATTRIBUTES:
        return list(_expected_of_picture(about))
    found = list(_expected_looks(about, style))
    if style in (Style.DENSE, Style.SPATIAL):
        found += _expected_places(about)
        found += _expected_relations(about, style)
    if style in _DETAILED:
        found += [*_expected_details(about), *_expected_of_picture(about)]
        if is_word_read(scene) and scene.word is not None:
            is_told = scene.word.text in {word.text for word in reading.words}
            found.append(Expected(ClaimKind.WORD, is_told, scene.word.text))
    return found


def _placed(about: Judgement) -> list[int]:
    told = english.Told(about.scene, random.Random(0))
    return [k for k in about.named if english.place(told, k)]


def _expected_looks(about: Judgement, style: Style) -> Iterator[Expected]:
    """Each thing's shape and colour; how many there are of each look.

    The spatial style tells things that have a place or a relation worth telling, so only those.
    """
    wanted = about.named if style is not Style.SPATIAL else _placed(about)
    for k in wanted:
        told = [m for m, thing in zip(about.mentions, about.matches, strict=True) if thing == k]
        name = about.name(k)
        is_shape = any(m.shape is about.scene.things[k].shape for m in told)
        yield Expected(ClaimKind.SHAPE, is_shape, name)
        yield Expected(ClaimKind.COLOUR, any(m.hue == about.hue(k) for m in told), name)
    if style is not Style.SPATIAL:
        in_scene = [about.look(k) for k in about.named]
        in_caption = [(m.hue, str(m.shape)) for m in about.mentions]
        for look in dict.fromkeys(in_scene):
            is_told = in_caption.count(look) == in_scene.count(look)
            yield Expected(ClaimKind.COUNT, is_told, f"{in_scene.count(look)} {' '.join(look)}")


def _told_of(about: Judgement, thing: int) -> Mention | None:
    pairs = zip(about.mentions, about.matches, strict=True)
    return next((mention for mention, found in pairs if found == thing), None)


def _expected_places(about: Judgement) -> Iterator[Expected]:
    for k in _placed(about):
        place = (told := _told_of(about, k)) and told.place
        is_told = bool(place) and place_verdict(about, place or "", k) is Verdict.TRUE
        yield Expected(ClaimKind.PLACE, is_told, f"where the {about.name(k)} is")


def _expected_details(about: Judgement) -> Iterator[Expected]:
    for k in about.named:
        thing, sight, told = about.scene.things[k], about.scene.sightings()[k], _told_of(about, k)
        name = about.name(k)
        if thing.is_size_clear and sight.presence is Presence.WHOLE:
            is_told = told is not None and told.size is thing.size
            yield Expected(ClaimKind.SIZE, is_told, f"{name} is {thing.size}")
        if thing.fill is not Fill.PLAIN:
            is_told = told is not None and told.fill is thing.fill
            yield Expected(ClaimKind.FILL, is_told, f"{name} is {thing.fill}")
        if thing.pointing:
            is_told = told is not None and told.pointing == thing.pointing
            yield Expected(ClaimKind.POINTING, is_told, f"{name} points {thing.pointing}")


def _expected_relations(about: Judgement, style: Style) -> Iterator[Expected]:
    """As many true relations as the style tells, of those between things told apart by look."""
    told = english.Told(about.scene, random.Random(0))
    tellable = [
        one
        for one in english.telling_relations(about.scene)
        if english.the(told, one.first) and english.the(told, one.second)
    ]
    most = 6 if style is Style.SPATIAL else max(1, len(about.named) - 1)
    wanted = min(most, len(tellable))
    true = {c.claim for c in of_relations(about) if c.verdict is Verdict.TRUE}
    for number in range(wanted):
        yield Expected(ClaimKind.RELATION, number < len(true), f"relation {number + 1} of {wanted}")


def _expected_of_picture(about: Judgement) -> Iterator[Expected]:
    scene, reading = about.scene, about.reading
    yield Expected(ClaimKind.MEDIUM, scene.medium in reading.media, scene.medium)
    is_told = any(is_ground(scene, ground) for ground in reading.grounds)
    yield Expected(ClaimKind.GROUND, is_told, str(ground_of(scene.background, scene.medium)))
