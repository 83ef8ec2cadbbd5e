"""Claims against what was found: each figure on cases that are known."""

from __future__ import annotations

import pytest

from recaption.shapeworld.content import Shape
from recaption.shapeworld.drawing.geometry import Relation
from train.evaluate.scenes.compare import LEAST_DISTANCE, Relating, claims_of, score_found
from train.evaluate.scenes.recogniser.reading import Found

CAPTION = "A red star and a blue circle. The red star is to the left of the blue circle."
RED_STAR = Found("red", Shape.STAR, 0.2, 0.5, 0.1, 0.9)
BLUE_CIRCLE = Found("blue", Shape.CIRCLE, 0.8, 0.5, 0.1, 0.9)


def thing(hue: str, shape: Shape, x: float = 0.5, y: float = 0.5) -> Found:
    return Found(hue, shape, x, y, 0.1, 0.9)


def scored(caption: str, *things: Found) -> dict[str, float]:
    return {name: one.value for name, one in score_found([things], [caption]).items()}


def test_a_caption_claims_each_thing_once() -> None:
    claims = claims_of("Two red stars and a light blue ring on a plain white background.")
    red_star = ("red", Shape.STAR)
    assert claims.looks == (red_star, red_star, ("light blue", Shape.RING))
    assert claims.relations == ()


@pytest.mark.parametrize(
    "sentence",
    [
        "The red star is to the left of the blue circle.",
        "The blue circle is to the right of the red star.",
    ],
)
def test_a_relation_is_the_same_told_either_way(sentence: str) -> None:
    claims = claims_of(f"A red star and a blue circle. {sentence}")
    expected = Relating(("red", Shape.STAR), Relation.LEFT_OF, ("blue", Shape.CIRCLE))
    assert claims.relations == (expected,)
    assert len(claims.looks) == 2, "the red star is the one told before"


def test_other_words_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got the caption 'A dog\.'.*expected a caption of rend"):
        claims_of("A dog.")


@pytest.mark.parametrize(
    ("things", "shape", "colour", "both", "count", "relation"),
    [
        ((RED_STAR, BLUE_CIRCLE), 1, 1, 1, 1, 1),
        ((BLUE_CIRCLE, RED_STAR), 1, 1, 1, 1, 1),
        ((), 0, 0, 0, 0, 0),
        ((RED_STAR,), 0.5, 0.5, 0.5, 0, 0),
        ((RED_STAR, BLUE_CIRCLE, thing("green", Shape.RING)), 1, 1, 1, 0, 1),
        ((thing("blue", Shape.STAR), thing("red", Shape.CIRCLE)), 1, 1, 0, 1, 0),
        ((thing("red", Shape.STAR), thing("red", Shape.STAR)), 0.5, 0.5, 0.5, 1, 0),
        ((thing("red", Shape.STAR, x=0.9), BLUE_CIRCLE), 1, 1, 1, 1, 0),
        ((thing("red", Shape.RING), thing("blue", Shape.RING)), 0, 1, 0, 1, 0),
    ],
)
def test_each_figure(
    things: tuple[Found, ...],
    shape: float,
    colour: float,
    both: float,
    count: float,
    relation: float,
) -> None:
    values = scored(CAPTION, *things)
    figures = {"shape": shape, "colour": colour, "shape+colour": both, "count": count}
    assert values == figures | {"relation": relation, "all": both == count == relation == 1}


def test_left_takes_a_distance() -> None:
    near = thing("red", Shape.STAR, x=BLUE_CIRCLE.x - LEAST_DISTANCE / 2)
    far = thing("red", Shape.STAR, x=BLUE_CIRCLE.x - LEAST_DISTANCE * 1.01)
    assert scored(CAPTION, near, BLUE_CIRCLE)["relation"] == 0
    assert scored(CAPTION, far, BLUE_CIRCLE)["relation"] == 1


def test_above_goes_by_the_height() -> None:
    caption = "A red star and a blue circle. The blue circle is below the red star."
    assert scored(caption, thing("red", Shape.STAR, y=0.1), BLUE_CIRCLE)["relation"] == 1
    assert scored(caption, thing("red", Shape.STAR, y=0.9), BLUE_CIRCLE)["relation"] == 0


def test_figures_have_their_number_and_interval() -> None:
    found = [(RED_STAR, BLUE_CIRCLE)] * 30 + [(RED_STAR,)] * 10
    figures = score_found(found, [CAPTION] * 40)
    assert {name: one.n for name, one in figures.items()} == {
        "shape": 80,
        "colour": 80,
        "shape+colour": 80,
        "count": 40,
        "relation": 40,
        "all": 40,
    }
    count = figures["count"]
    assert count.value == 0.75
    assert 0.55 < count.low < 0.70 < 0.80 < count.high < 0.95


def test_what_is_not_claimed_has_no_figure() -> None:
    assert "relation" not in scored("A red star.", RED_STAR)
