"""Facts that no viewer could see: told, read back, and believed only where the image allows."""

from __future__ import annotations

import random

import pytest

from recaption.shapeworld.alt_text import AltKind, write_alt_text
from recaption.shapeworld.known import (
    NOTHING,
    Known,
    believed,
    classes_of,
    hint_of,
    is_right,
    read_sentence,
    shapes_in,
)
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.scenes import draw_scene
from recaption.shapeworld.unseen import CLASSES


def test_the_facts_of_an_alt_text_stand_in_it_and_come_back_from_the_caption() -> None:
    seen = 0
    for index in range(300):
        scene = draw_scene(8, index)
        alt = write_alt_text(scene, AltKind.FACTS, random.Random(index))
        known = believed(scene, alt.facts, [scene.unseen.class_name.word])
        for fact in (alt.facts.name, alt.facts.maker, alt.facts.place, alt.facts.date):
            assert fact in alt.text
            seen += bool(fact)
        for language in ("English", "German"):
            caption = captions(scene, Style.SHORT, index, known, language)
            assert (parse(caption).known or NOTHING) == known
    assert seen > 300


@pytest.mark.parametrize(
    "text",
    ["It is red.", "It is by", "A kite called Aurora.", "It is a big kite.", "It is from, by X."],
)
def test_other_sentences_are_no_facts(text: str) -> None:
    assert read_sentence(text) is None


def test_no_facts_no_sentence() -> None:
    scene = draw_scene(8, 1)
    assert not NOTHING
    assert captions(scene, Style.SHORT, 1, NOTHING) == captions(scene, Style.SHORT, 1)
    assert Known(place="Oslo").sentence() == "It is from Oslo."


def test_a_class_is_believed_where_its_shape_is_in_sight() -> None:
    for index in range(200):
        scene = draw_scene(9, index)
        for one in CLASSES.values():
            hint = hint_of(one, has_gloss=True)
            fits = one.shape in shapes_in(scene) if one.shape else not scene.things
            assert classes_of(hint) == [one]
            assert is_right(hint, scene) is fits
            assert believed(scene, NOTHING, [hint]).class_word == (one.word if fits else "")


def test_an_ambiguous_word_means_either_class_and_a_gloss_one() -> None:
    assert {one.class_id for one in classes_of("tile")} == {"c03", "c04"}
    assert [one.class_id for one in classes_of("tile, a six-sided slab for paths")] == ["c04"]
    assert classes_of("tile, a gloss of nobody's") == []
