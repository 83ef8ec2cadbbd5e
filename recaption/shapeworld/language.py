"""True captions of a scene, by style, in several wordings each."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum

from recaption import keyed
from recaption.shapeworld.content import PALETTE, Colour, Ground, Medium, luma, mix
from recaption.shapeworld.drawing.geometry import WHOLE, Presence, word_share
from recaption.shapeworld.known import NOTHING, Known
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.words import english, german
from recaption.shapeworld.words.english import Told, join, sentence, with_article


class Style(StrEnum):
    """What a caption tells."""

    SHORT = "short"
    DENSE = "dense"
    ATTRIBUTES = "attributes"
    SPATIAL = "spatial"


LANGUAGES = ("English", "German")
"""German has words for the style `short`, and answers so in every style."""

VIVID = frozenset(tuple(Colour)[:8])
"""Colours that make a picture lively."""

LOOK_WORDS: dict[Medium, tuple[str, ...]] = {
    Medium.FLAT: ("clean edges and even colour", "crisp shapes in solid colour"),
    Medium.SKETCH: ("drawn lines on bare paper", "hand-drawn outlines, nothing painted in"),
    Medium.WATERCOLOUR: ("soft washes with uneven pigment", "blotted washes and soft edges"),
    Medium.PIXEL_ART: ("coarse square blocks", "blocky edges on a coarse grid"),
    Medium.GREY_PHOTO: ("grain, soft focus and no colour", "noisy, softly focused, without colour"),
}


def captions(
    scene: Scene,
    style: Style,
    wording_seed: int,
    known: Known = NOTHING,
    language: str = "English",
) -> str:
    """Return a true caption; the same arguments give the same words.

    `known` are facts to tell that cannot be seen. Raises ValueError for a language without words.
    """
    if language not in LANGUAGES:
        raise ValueError(f"got language {language!r}, expected one of {', '.join(LANGUAGES)}")
    key = keyed.integer("caption", style, wording_seed, scene.seed, scene.index, scene.view)
    told = Told(scene, random.Random(key))
    if language == "German":
        return german.caption(told, known)
    caption = _WRITERS[Style(style)](told)
    return f"{caption} {known.sentence()}" if known else caption


def known_sentence(known: Known, language: str = "English") -> str:
    """Return the sentence of known facts that a caption ends with, empty where there are none."""
    if not known:
        return ""
    return german.known_sentence(known) if language == "German" else known.sentence()


def is_word_read(scene: Scene) -> bool:
    """Whether the picture shows a whole word."""
    return scene.word is not None and word_share(scene.word, scene.aspect) >= WHOLE


def _word(told: Told) -> str:
    """Return the printed word as a phrase, empty where there is none to speak of."""
    word = told.scene.word
    if word is None or word_share(word, told.scene.aspect) < 0.15:
        return ""
    if not is_word_read(told.scene):
        return "some lettering that is cut off"
    mirrored = " in mirror writing" if word.mirrored else ""
    return told.rng.choice((f'the word "{word.text}"', f'a sign reading "{word.text}"')) + mirrored


def _fragments(told: Told) -> list[str]:
    return [f"part of something {told.hue(k)}" for k in told.fragments]


def _short(told: Told) -> str:
    shown = english.group(told) or _fragments(told)
    word = _word(told)
    if word and (not shown or told.rng.random() < 0.5):
        shown = [*shown, word]
    if not shown:
        return sentence(english.background(told))
    form = told.rng.choice(("{things}", "{things} on {ground}", "{medium} of {things}"))
    return sentence(
        form.format(
            things=join(shown),
            ground=english.background(told),
            medium=with_article(english.medium(told)),
        )
    )


def _opening(told: Told) -> str:
    medium, ground = with_article(english.medium(told)), english.background(told)
    forms = (f"{medium} with {ground}", f"this is {medium} with {ground}")
    return sentence(told.rng.choice(forms))


def _things(told: Told) -> list[str]:
    """Return each thing with its place, as sentences."""
    placed = [
        f"{with_article(english.full_noun(told, k))} {english.place(told, k)}".strip()
        for k in told.named
    ]
    if not placed:
        return []
    if told.rng.random() < 0.5:
        return [sentence(f"{told.rng.choice(('there is', 'one sees'))} {join(placed)}")]
    return [sentence(f"{told.rng.choice(('there is ', ''))}{phrase}") for phrase in placed]


def _cuts(told: Told) -> list[str]:
    """Return what the frame cuts, as sentences."""
    told_cuts = []
    for k in told.named:
        sight, name = told.sights[k], english.the(told, k)
        if name is not None and sight.presence is Presence.CUT and sight.edges:
            told_cuts.append(sentence(f"{name} is cut off at the {join(sight.edges)}"))
    parts = _fragments(told)
    return [*told_cuts, sentence(f"{join(parts)} can be seen")] if parts else told_cuts


def _relations(told: Told, most: int) -> list[str]:
    clauses = (english.relation(told, one) for one in english.telling_relations(told.scene))
    return [sentence(clause) for clause in clauses if clause is not None][:most]


def _dense(told: Told) -> str:
    count = len(told.named)
    sentences = [_opening(told)]
    is_counted = count > 1 and count == len(told.scene.things)
    if is_counted and told.rng.random() < 0.4:
        sentences.append(sentence(f"it shows {english.NUMBERS[count]} shapes"))
    sentences += _things(told)
    sentences += _relations(told, most=max(1, count - 1))
    sentences += _cuts(told)
    if word := _word(told):
        place = _word_place(told)
        sentences.append(sentence(f"{word} is printed {place}".strip()))
    elif not told.scene.things:
        sentences.append(told.rng.choice(("Nothing else is in it.", "There is no object in it.")))
    return " ".join(sentences)


def _word_place(told: Told) -> str:
    word = told.scene.word
    assert word is not None
    return "at the top" if word.y < 0.36 else "at the bottom" if word.y > 0.64 else ""


def _spatial(told: Told) -> str:
    placed = []
    for k in told.named:
        name, place = english.the(told, k), english.place(told, k)
        if place:
            subject = name or f"one {english.noun(told, k)}"
            placed.append(sentence(f"{subject} is {place}"))
    sentences = [*placed, *_relations(told, most=6), *_cuts(told)]
    if not sentences:
        shown = english.group(told)
        nothing = f"no object stands on {english.background(told)}"
        sentences = [sentence(f"{join(shown)} can be seen" if shown else nothing)]
    return " ".join(sentences)


def _attributes(told: Told) -> str:
    hues = join(list(dict.fromkeys(told.hue(k) for k in told.named + told.fragments)))
    if hues and told.scene.medium is Medium.GREY_PHOTO:
        hues += " tones"
    medium, ground = english.medium(told), english.background(told)
    look = told.rng.choice(LOOK_WORDS[told.scene.medium])
    mood = told.rng.choice(mood_of(told.scene))
    if told.rng.random() < 0.5:
        colours = f"{hues} on {ground}" if hues else ground
        return f"Medium: {medium}. Style: {look}. Colours: {colours}. Mood: {mood}."
    shown = f"it shows {hues} on {ground}" if hues else f"it shows {ground}"
    opening = f"{with_article(medium)}, {look}"
    return " ".join(sentence(part) for part in (opening, shown, f"the mood is {mood}"))


def mood_of(scene: Scene) -> tuple[str, ...]:
    """Return words for the mood, by rule: from the ground's luma and how many colours are vivid."""
    ground = scene.background
    share = {Ground.HORIZON: 1 - ground.start, Ground.SPLIT: 1 - ground.start, Ground.PLAIN: 0.0}
    mean = mix(PALETTE[ground.first], PALETTE[ground.second], share.get(ground.kind, 0.5))
    is_dark = luma(mean) < 90
    things = zip(scene.things, scene.sightings(), strict=True)
    seen = {thing.colour for thing, sight in things if sight.presence is not Presence.TRACE}
    vivid = len(seen & VIVID) if scene.medium is not Medium.GREY_PHOTO else 0
    if not seen:
        return ("empty and dark",) if is_dark else ("empty and still",)
    if is_dark:
        return ("dramatic", "striking") if vivid >= 2 else ("sombre", "dark and heavy")
    return ("lively", "cheerful") if vivid >= 3 else ("calm", "quiet")


_WRITERS: dict[Style, Callable[[Told], str]] = {
    Style.SHORT: _short,
    Style.DENSE: _dense,
    Style.ATTRIBUTES: _attributes,
    Style.SPATIAL: _spatial,
}
