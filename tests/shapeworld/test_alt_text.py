"""Alt-text: each kind about as often as it should be, and worth what its kind says."""

from collections import Counter

import pytest

from recaption.shapeworld.alt_text import WEIGHTS, AltKind, draw_alt_text
from recaption.shapeworld.content import Colour, Medium, Shape
from recaption.shapeworld.scenes import draw_scene


@pytest.fixture(scope="module")
def drawn():
    scenes = [draw_scene(41, index) for index in range(2000)]
    return [(scene, draw_alt_text(scene, 7)) for scene in scenes]


def of_kind(drawn, kind):
    return [(scene, alt.text) for scene, alt in drawn if alt.kind is kind]


def test_kinds_come_as_often_as_they_should(drawn):
    counts = Counter(alt.kind for _, alt in drawn)
    assert sum(WEIGHTS.values()) == 100
    for kind, percent in WEIGHTS.items():
        assert counts[kind] == pytest.approx(20 * percent, rel=0.2), kind


def test_alt_text_is_a_function_of_scene_and_seed(drawn):
    again = [draw_alt_text(scene, 7) for scene, _ in drawn[:200]]
    assert again == [alt for _, alt in drawn[:200]]
    other = [draw_alt_text(scene, 8) for scene, _ in drawn[:200]]
    assert other != again


def test_empty_is_empty_and_nothing_else_is(drawn):
    assert all((alt.text == "") == (alt.kind is AltKind.EMPTY) for _, alt in drawn)


def test_terse_names_a_thing_that_is_there(drawn):
    for scene, text in of_kind(drawn, AltKind.TERSE):
        if scene.things and scene.medium is not Medium.GREY_PHOTO:
            assert any(text.startswith(thing.colour) for thing in scene.things), text


def test_wrong_names_a_thing_that_is_not_there(drawn):
    for scene, text in of_kind(drawn, AltKind.WRONG):
        looks = {f"{thing.colour} {thing.shape}" for thing in scene.things}
        assert text not in looks
        if scene.medium is Medium.GREY_PHOTO:
            assert all(thing.shape not in text.split() for thing in scene.things)


def test_stale_shares_no_shape_with_the_image(drawn):
    for scene, text in of_kind(drawn, AltKind.STALE):
        assert not {thing.shape.value for thing in scene.things} & set(text.split())


def test_facts_carry_what_cannot_be_seen(drawn):
    for scene, text in of_kind(drawn, AltKind.FACTS):
        unseen = scene.unseen
        for fact in (unseen.name, unseen.maker, unseen.place, unseen.date):
            assert fact is None or fact in text


def test_instructions_ask_for_what_is_not_there(drawn):
    for scene, text in of_kind(drawn, AltKind.INSTRUCTION):
        wanted = [shape for shape in Shape if shape.value in text]
        assert wanted
        assert not set(wanted) & {thing.shape for thing in scene.things}
        assert any(colour.value in text for colour in Colour)


def test_file_names_say_nothing(drawn):
    assert all(any(c.isdigit() for c in text) for _, text in of_kind(drawn, AltKind.FILE_NAME))
