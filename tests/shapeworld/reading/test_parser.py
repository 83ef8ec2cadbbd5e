"""Captions to claims: the language's own captions are read whole, other people's words reported."""

from __future__ import annotations

import pytest

from recaption.shapeworld.captioner.lessons import draw_view
from recaption.shapeworld.content import Fill, Medium, Shape, Size
from recaption.shapeworld.drawing.geometry import Relation
from recaption.shapeworld.known import Known
from recaption.shapeworld.language import LOOK_WORDS, Style, captions, mood_of
from recaption.shapeworld.questions import draw_question
from recaption.shapeworld.reading.claims import Ground, Mention, Printed, Told, Verdict
from recaption.shapeworld.reading.expected import expect
from recaption.shapeworld.reading.judge import judge
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.words import lexicon

SCENES = 400


@pytest.mark.parametrize("style", Style)
def test_own_captions_are_understood_true_and_complete(style: Style) -> None:
    claims = 0
    for index in range(SCENES):
        _, shown = draw_view(4321, index)
        caption = captions(shown, style, index)
        reading = parse(caption)
        assert not reading.unknown, (caption, reading.unknown)
        judged = judge(shown, reading)
        claims += len(judged)
        assert all(one.verdict is Verdict.TRUE for one in judged), (caption, judged)
        missing = [one for one in expect(shown, style, reading) if not one.is_told]
        assert not missing, (caption, missing)
    assert claims > 3 * SCENES


def test_own_german_captions_are_understood_and_true() -> None:
    for index in range(SCENES):
        _, shown = draw_view(4322, index)
        caption = captions(shown, Style.SHORT, index, language="German")
        reading = parse(caption)
        assert not reading.unknown, (caption, reading.unknown)
        assert all(one.verdict is Verdict.TRUE for one in judge(shown, reading)), caption


def test_questions_are_understood_and_as_true_as_they_say() -> None:
    kinds = set()
    for index in range(SCENES):
        _, shown = draw_view(4323, index)
        question = draw_question(shown, index)
        reading = parse(question.claim)
        assert not reading.unknown, question
        verdicts = {one.verdict for one in judge(shown, reading)}
        expected = {Verdict.TRUE} if question.is_true else verdicts | {Verdict.FALSE}
        assert verdicts == expected, question
        kinds.add((question.kind, question.is_true))
    assert len(kinds) == 18


def test_a_dense_caption_is_read_to_the_last_detail() -> None:
    reading = parse(
        "An outline sketch with a background that is white above and light blue below. There is a"
        " large red striped arrow pointing left in the top right corner and a small blue disc with"
        " dots at the bottom. The red arrow is above the blue disc. The blue disc is in front of"
        ' the red arrow. The red arrow is cut off at the right and top. The word "OPEN" in mirror'
        " writing is printed at the bottom. Part of something green can be seen."
    )
    assert reading.unknown == ()
    assert reading.media == (Medium.SKETCH,)
    assert reading.grounds == (Ground("above", ("white", "light blue")),)
    arrow = Mention(
        "red", Shape.ARROW, 1, Size.LARGE, Fill.STRIPED, "left", "top right", ("right", "top")
    )
    disc = Mention("blue", Shape.CIRCLE, 1, Size.SMALL, Fill.DOTTED, None, "bottom middle")
    assert reading.mentions == (arrow, disc)
    assert reading.relations == (Told(0, Relation.ABOVE, 1), Told(0, Relation.BEHIND, 1))
    assert reading.words == (Printed("OPEN", is_mirrored=True),)
    assert reading.fragments == ("green",)


def test_groups_counts_and_known_facts_are_read() -> None:
    reading = parse(
        "Two dark blue circles and a heart-free zone. It shows three shapes."
        " It is a kite called Aurora No. 5, by Mira Holt, from Lisbon, dated June 1950."
    )
    assert reading.totals == (3,)
    assert reading.known == Known("kite", "Aurora No. 5", "Mira Holt", "Lisbon", "June 1950")
    assert reading.unknown == ("heart-free", "zone")


@pytest.mark.parametrize(
    ("caption", "unknown"),
    [
        ("A red dragon.", ("dragon",)),
        ("A crimson circle on a white background.", ("crimson",)),
        ("The red circle loves the blue star.", ("loves",)),
        ("Circle red a on.", ("Circle red a on.",)),
        ("A red circle. It is something else entirely.", ("entirely",)),
        ("Ein karmesinroter Kreis auf weißem Grund.", ("karmesinroter",)),
        ("", ()),
    ],
)
def test_what_is_not_understood_is_reported(caption: str, unknown: tuple[str, ...]) -> None:
    assert parse(caption).unknown == unknown


def test_the_parser_knows_every_mood_and_look() -> None:
    looks = {lexicon.split(words) for choices in LOOK_WORDS.values() for words in choices}
    assert looks == set(lexicon.LOOKS)
    moods = {mood for index in range(2000) for mood in mood_of(draw_view(5, index)[1])}
    assert {lexicon.split(mood) for mood in moods} == set(lexicon.MOODS)
