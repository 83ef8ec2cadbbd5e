"""Prompts: true, simple, the same for the same seed."""

from __future__ import annotations

import pytest

from recaption.shapeworld.content import Ground, Medium, Size
from recaption.shapeworld.reading.claims import Verdict
from recaption.shapeworld.reading.judge import judge
from recaption.shapeworld.reading.parser import parse
from train.evaluate.scenes.prompts import draw_prompts


@pytest.mark.parametrize("has_relation", [False, True])
def test_prompts_are_simple_and_true(has_relation: bool) -> None:
    prompts = draw_prompts(5, 12, has_relation=has_relation)
    assert len(prompts) == 12
    for prompt in prompts:
        scene, reading = prompt.scene, parse(prompt.caption)
        assert (scene.aspect, scene.medium, scene.word) == (1, Medium.FLAT, None)
        assert 1 + has_relation <= len(scene.things) <= 3
        assert not reading.unknown
        assert {one.verdict for one in judge(scene, reading)} == {Verdict.TRUE}
        assert len(reading.relations) == has_relation
        assert sum(one.count for one in reading.mentions) == len(scene.things)


def test_more_prompts_begin_with_the_same() -> None:
    assert draw_prompts(6, 8)[:3] == draw_prompts(6, 3)
    assert draw_prompts(7, 3) != draw_prompts(6, 3)


def test_media_grounds_and_number_of_things_can_be_asked_for() -> None:
    prompts = draw_prompts(
        5, 6, most_things=1, media=[Medium.SKETCH, Medium.FLAT], grounds=[Ground.PLAIN]
    )
    assert {len(prompt.scene.things) for prompt in prompts} == {1}
    assert {prompt.scene.background.kind for prompt in prompts} == {Ground.PLAIN}
    assert {prompt.scene.medium for prompt in prompts} <= {Medium.SKETCH, Medium.FLAT}


def test_prompts_can_ask_for_large_things_only() -> None:
    prompts = draw_prompts(5, 6, only_large=True)
    assert {one.size for prompt in prompts for one in prompt.scene.things} == {Size.LARGE}


def test_what_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.evaluate.scenes.prompts._MOST_TRIES", 20)
    with pytest.raises(ValueError, match=r"got 0 of 2 prompts: .* at most 1 things in flat"):
        draw_prompts(5, 2, most_things=1, has_relation=True)
