"""Claims against scenes: each kind of falsehood is found, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recaption.shapeworld.content import (
    Background,
    Colour,
    Fill,
    Ground,
    Medium,
    Shape,
    Thing,
    Word,
)
from recaption.shapeworld.language import Style
from recaption.shapeworld.reading.claims import ClaimKind, Verdict
from recaption.shapeworld.reading.expected import expect
from recaption.shapeworld.reading.judge import judge
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.scenes import Scene, draw_scene


def thing(shape: Shape, colour: Colour, x: float, y: float, radius: float = 0.085) -> Thing:
    return Thing(shape, colour, Fill.PLAIN, x, y, radius, 0.0, 1.0)


@pytest.fixture
def scene() -> Scene:
    """A small red circle at the left, a large blue dotted square at the right, on plain white."""
    square = replace(thing(Shape.SQUARE, Colour.BLUE, 0.75, 0.5, 0.23), fill=Fill.DOTTED)
    return replace(
        draw_scene(1, 1),
        aspect=1.0,
        medium=Medium.FLAT,
        background=Background(Ground.PLAIN, Colour.WHITE, Colour.WHITE, 0.0, 1.0),
        things=(thing(Shape.CIRCLE, Colour.RED, 0.2, 0.5), square),
        word=Word("OPEN", 0.5, 0.9, 0.15),
    )


TRUE = [
    "A red circle and a blue square on a white background.",
    "There is a small red circle at the left.",
    "The red circle is to the left of the blue square.",
    "The blue square is dotted.",
    "It shows two shapes.",
    'The word "OPEN" is printed at the bottom.',
    "This is a flat graphic.",
]


@pytest.mark.parametrize("caption", TRUE)
def test_true_claims_are_true(scene: Scene, caption: str) -> None:
    judged = judge(scene, parse(caption))
    assert judged
    assert {one.verdict for one in judged} == {Verdict.TRUE}, judged


FALSE = [
    ("A green circle.", ClaimKind.COLOUR),
    ("A red star.", ClaimKind.SHAPE),
    ("Two red circles.", ClaimKind.COUNT),
    ("It shows three shapes.", ClaimKind.COUNT),
    ("There is no object in it.", ClaimKind.COUNT),
    ("There is a large red circle.", ClaimKind.SIZE),
    ("There is a red striped circle.", ClaimKind.FILL),
    ("The red circle is in the top right corner.", ClaimKind.PLACE),
    ("The red circle is to the right of the blue square.", ClaimKind.RELATION),
    ("The red circle is inside the blue square.", ClaimKind.RELATION),
    ("The red circle is cut off at the left.", ClaimKind.CUT),
    ("A watercolour of a red circle.", ClaimKind.MEDIUM),
    ("A red circle on a plain grey background.", ClaimKind.GROUND),
    ("A red circle on a background of white and grey bands.", ClaimKind.GROUND),
    ('The word "EXIT" is printed.', ClaimKind.WORD),
    ("Part of something green can be seen.", ClaimKind.FRAGMENT),
    ("It shows red and green on a white background.", ClaimKind.PALETTE),
    ("The mood is sombre.", ClaimKind.MOOD),
    ("Style: soft washes with uneven pigment.", ClaimKind.LOOK),
    ("A red circle. It is called Nobody.", ClaimKind.FACT),
    ("A red circle. It is a kite.", ClaimKind.CLASS),
]


@pytest.mark.parametrize(("caption", "kind"), FALSE)
def test_each_kind_of_falsehood_is_found(scene: Scene, caption: str, kind: ClaimKind) -> None:
    reading = parse(caption)
    assert not reading.unknown
    false = {one.kind for one in judge(scene, reading) if one.verdict is Verdict.FALSE}
    assert kind in false
    assert false <= {kind, ClaimKind.SHAPE, ClaimKind.COLOUR}


def test_what_could_be_seen_either_way_is_neither(scene: Scene) -> None:
    between = replace(scene, things=(thing(Shape.CIRCLE, Colour.RED, 0.385, 0.5, 0.108),))
    for caption in ("The red circle is at the left.", "There is a medium red circle."):
        verdicts = [one.verdict for one in judge(between, parse(caption))]
        assert Verdict.UNVERIFIABLE in verdicts and Verdict.FALSE not in verdicts


@pytest.mark.parametrize(
    ("style", "caption", "missing"),
    [
        (Style.SHORT, "A red circle.", {ClaimKind.SHAPE, ClaimKind.COLOUR, ClaimKind.COUNT}),
        (Style.ATTRIBUTES, "Medium: flat graphic.", {ClaimKind.GROUND}),
        (
            Style.SPATIAL,
            "The red circle is at the left. The blue square is towards the right.",
            {ClaimKind.RELATION},
        ),
    ],
)
def test_what_a_style_should_tell_and_does_not_is_missing(
    scene: Scene, style: Style, caption: str, missing: set[ClaimKind]
) -> None:
    told = expect(scene, style, parse(caption))
    assert {one.kind for one in told if not one.is_told} >= missing
    assert any(one.is_told for one in told)


def test_twins_are_matched_to_the_places_told(scene: Scene) -> None:
    twins = tuple(thing(Shape.STAR, Colour.RED, x, 0.5) for x in (0.2, 0.8))
    reading = parse("A red star at the right and a red star at the left.")
    judged = judge(replace(scene, things=twins), reading)
    assert all(one.verdict is Verdict.TRUE for one in judged), judged
