"""Claims about a scene in one sentence each, true or false: what a claim check asks a captioner."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from recaption import keyed
from recaption.shapeworld.content import Background, Fill, Medium, Shape, Size, hue_in
from recaption.shapeworld.drawing import setting
from recaption.shapeworld.drawing.geometry import Presence, Related, Relation
from recaption.shapeworld.language import is_word_read
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.words import english
from recaption.shapeworld.words.english import NUMBERS, Told, plural, sentence

THING_HUES = tuple(setting.THING_COLOURS)
"""What a thing can be said to be where colours show."""


@dataclass(frozen=True, slots=True)
class Question:
    """A claim, of what kind it is, and whether it is true of the scene it was made for."""

    kind: str
    claim: str
    is_true: bool


def draw_question(scene: Scene, seed: int) -> Question:
    """Draw a claim about a scene, true or false with equal chance."""
    rng = random.Random(keyed.integer("question", seed, scene.seed, scene.index, scene.view))
    told, is_true = Told(scene, rng), rng.random() < 0.5
    for kind in rng.sample(tuple(_WRITERS), len(_WRITERS)):
        claim = _WRITERS[kind](told, is_true)
        if claim is not None:
            return Question(kind, sentence(claim), is_true)
    raise AssertionError("the medium can always be asked for")


def _exists(told: Told, is_true: bool) -> str | None:
    looks = {told.look(k) for k in told.named}
    if is_true:
        if not looks:
            return None
        hue, shape = told.rng.choice(sorted(looks))
        return _there_is(told, hue, shape)
    hue, shape = _other_look(told, looks)
    return _there_is(told, hue, shape)


def _there_is(told: Told, hue: str, shape: Shape) -> str:
    return f"there is {english.with_article(f'{hue} {told.words[shape]}')}"


def _other_look(told: Told, looks: set[tuple[str, Shape]]) -> tuple[str, Shape]:
    """Return colour and shape of no thing in sight, mostly close to one that is."""
    half_seen = {told.hue(k) for k, sight in enumerate(told.sights) if not sight.is_named}
    hues = [h for h in _hues(told.scene) if h not in half_seen]
    while True:
        hue, shape = told.rng.choice(hues), told.rng.choice(tuple(Shape))
        if looks and told.rng.random() < 0.85:
            near_hue, near_shape = told.rng.choice(sorted(looks))
            is_recoloured = told.rng.random() < 0.5
            near_is_free = near_hue not in half_seen
            hue, shape = (
                (hue, near_shape) if is_recoloured or not near_is_free else (near_hue, shape)
            )
        if (hue, shape) not in looks:
            return hue, shape


def _hues(scene: Scene) -> list[str]:
    return sorted({hue_in(colour, scene.medium) for colour in THING_HUES})


def _count(told: Told, is_true: bool) -> str | None:
    count = len(told.named)
    if not count or count < len(told.scene.things):
        return None
    shown = count if is_true else told.rng.choice([n for n in range(1, 6) if n != count])
    return f"there {'is' if shown == 1 else 'are'} {_number_of(shown, 'shape')}"


def _number_of(count: int, noun: str) -> str:
    return f"one {noun}" if count == 1 else f"{NUMBERS[count]} {plural(noun)}"


def _size(told: Told, is_true: bool) -> str | None:
    clear = [
        k
        for k in told.named
        if told.scene.things[k].is_size_clear and told.sights[k].presence is Presence.WHOLE
    ]
    picked = _pick(told, clear)
    if picked is None:
        return None
    index, name = picked
    right = told.scene.things[index].size
    return f"{name} is {right if is_true else _another(told, tuple(Size), right)}"


def _fill(told: Told, is_true: bool) -> str | None:
    picked = _pick(told, told.named)
    if picked is None:
        return None
    index, name = picked
    right = told.scene.things[index].fill
    return f"{name} is {right if is_true else _another(told, tuple(Fill), right)}"


def _pick(told: Told, indices: Sequence[int]) -> tuple[int, str] | None:
    """Return one of the things and a phrase for it by colour and shape alone."""
    unique = [k for k in indices if [told.look(j) for j in told.named].count(told.look(k)) == 1]
    if not unique:
        return None
    index = told.rng.choice(unique)
    return index, f"the {english.noun(told, index)}"


def _another(told: Told, choices: Sequence[str], right: str) -> str:
    return told.rng.choice([choice for choice in choices if choice != right])


def _place(told: Told, is_true: bool) -> str | None:
    picked = _pick(told, [k for k in told.named if english.place(told, k)])
    if picked is None:
        return None
    index, name = picked
    if is_true:
        return f"{name} is {english.place(told, index)}"
    sight = told.sights[index]
    x, y = sight.x, sight.y
    while abs(x - sight.x) < 0.3 and abs(y - sight.y) < 0.3:
        x, y = told.rng.choice((0.2, 0.5, 0.8)), told.rng.choice((0.2, 0.5, 0.8))
    moved = replace(sight, x=x, y=y)
    elsewhere = Told(told.scene, told.rng)
    elsewhere.__dict__["sights"] = (*told.sights[:index], moved, *told.sights[index + 1 :])
    return f"{name} is {english.place(elsewhere, index)}"


def _relation(told: Told, is_true: bool) -> str | None:
    found = english.telling_relations(told.scene)
    if not found:
        return None
    related = told.rng.choice(found)
    if not is_true:
        related = _wrong_relation(told, related)
    return english.relation(told, related)


def _wrong_relation(told: Told, related: Related) -> Related:
    """Return a relation that clearly does not hold: the sides exchanged, or another axis."""
    true = set(told.scene.relations())
    pair, turned = (related.first, related.second), (related.second, related.first)
    choices = [Related(turned[0], related.relation, turned[1])]
    for relation in (Relation.LEFT_OF, Relation.ABOVE):
        for (a, b), (c, d) in ((pair, turned), (turned, pair)):
            if Related(c, relation, d) in true:
                choices.append(Related(a, relation, b))
    return told.rng.choice(choices)


def _medium(told: Told, is_true: bool) -> str:
    right = told.scene.medium
    shown = right if is_true else Medium(_another(told, tuple(Medium), right))
    words = english.with_article(told.rng.choice(english.MEDIUM_WORDS[shown]))
    return f"this is {words}"


def _ground(told: Told, is_true: bool) -> str | None:
    if is_true:
        return f"this is a picture with {english.background(told)}"
    shown = _hues_of(told.scene, told.scene.background)
    if len(shown) > 1 and told.scene.medium is Medium.GREY_PHOTO:
        return None  # of three tones two are taken: no background is wholly another
    while True:
        other, _ = setting.draw_background(told.rng, told.scene.medium)
        if not shown & _hues_of(told.scene, other):
            elsewhere = Told(replace(told.scene, background=other), told.rng)
            return f"this is a picture with {english.background(elsewhere)}"


def _hues_of(scene: Scene, background: Background) -> set[str]:
    return {hue_in(colour, scene.medium) for colour in background.colours}


def _word(told: Told, is_true: bool) -> str | None:
    word = told.scene.word
    if is_true:
        return f'the word "{word.text}" is printed' if word and is_word_read(told.scene) else None
    if word is None and told.rng.random() < 0.7:
        return None
    if word is not None and not is_word_read(told.scene):
        return None
    right = word.text if word else ""
    return f'the word "{_another(told, setting.WORDS, right)}" is printed'


_WRITERS: dict[str, Callable[[Told, bool], str | None]] = {
    "object": _exists,
    "count": _count,
    "size": _size,
    "fill": _fill,
    "place": _place,
    "relation": _relation,
    "medium": _medium,
    "ground": _ground,
    "word": _word,
}
