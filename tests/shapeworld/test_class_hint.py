"""Class hints: with or without gloss, mostly right, and known to be wrong where they are."""

import pytest

from recaption.shapeworld.class_hint import GLOSS, WRONG, draw_class_hint
from recaption.shapeworld.crops import draw_crop
from recaption.shapeworld.known import is_right
from recaption.shapeworld.scenes import draw_scene


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(43, index) for index in range(1500)]


def test_a_hint_is_wrong_and_has_a_gloss_as_often_as_it_should(scenes):
    hints = [draw_class_hint(scene, scene) for scene in scenes]
    wrong = sum(not hint.is_right for hint in hints) / len(hints)
    glossed = sum(hint.has_gloss for hint in hints) / len(hints)
    assert (wrong, glossed) == (pytest.approx(WRONG, abs=0.03), pytest.approx(GLOSS, abs=0.04))


def test_a_right_hint_is_the_scenes_own_class_and_a_wrong_one_is_borne_out_by_nothing(scenes):
    for scene in scenes:
        hint, own = draw_class_hint(scene, scene), scene.unseen.class_name
        assert hint.is_right is is_right(hint.text, scene)
        assert (hint.one == own) is hint.is_right
        expected = f"{hint.one.word}, {hint.one.gloss}" if hint.has_gloss else hint.one.word
        assert hint.text == expected


def test_a_hint_is_drawn_again_the_same_and_for_a_crop_too(scenes):
    judged = set()
    for scene in scenes[:400]:
        shown = draw_crop(scene)
        whole, of_crop = draw_class_hint(scene, scene), draw_class_hint(scene, shown)
        assert draw_class_hint(scene, scene) == whole
        assert of_crop.text == whole.text
        assert of_crop.is_right is is_right(of_crop.text, shown)
        judged.add((whole.is_right, of_crop.is_right))
    assert (True, False) in judged, "no crop lost what its scene is about: the test tests nothing"
