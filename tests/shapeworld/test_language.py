"""Captions: every claim that a plain reading finds in them is checked against the scene."""

import re
from itertools import product

import pytest

from recaption.shapeworld.content import Colour, Fill, Medium, Region, Tone, hue_in
from recaption.shapeworld.crops import crop, flip
from recaption.shapeworld.drawing.geometry import Presence, frame_of
from recaption.shapeworld.language import Style, captions, is_word_read
from recaption.shapeworld.scenes import draw_scene
from recaption.shapeworld.words.english import MEDIUM_WORDS, SHAPE_WORDS

HUES = "|".join([*Colour, *Tone])
NOUNS = {word: shape for shape, words in SHAPE_WORDS.items() for word in words}
NOUN = "|".join(sorted(NOUNS, key=len, reverse=True))
MENTION = re.compile(
    rf"(?:(small|medium|large) )?\b({HUES}) (?:(striped|dotted) )?({NOUN})\b(?:e?s\b)?"
    r"(?: with (stripes|dots))?(?:,? pointing (up|right|down|left))?"
)
RELATION = re.compile(
    rf"[Tt]he (?:(small|medium|large) )?({HUES}) ({NOUN}) (is to the left of|is to the right of|"
    rf"is above|is below|is inside|is behind|is in front of|has) the"
    rf" (?:(small|medium|large) )?({HUES}) ({NOUN})( inside it)?\."
)
PLACE = re.compile(
    rf"({HUES}) (?:striped |dotted )?({NOUN})(?: with \w+)?(?:,? pointing \w+)?(?: is)?"
    r" (?:in|at|towards) the (top left|top right|bottom left|bottom right|top|bottom|left|right"
    r"|middle|centre)\b"
)
FILLS = {"striped": Fill.STRIPED, "stripes": Fill.STRIPED, "dotted": Fill.DOTTED}
CROPS = (Region(0, 0, 0.6, 0.6), Region(0.3, 0.2, 0.9, 0.95), Region(0.1, 0.4, 1, 1))


def world():
    """Yield scenes, their crops and flips."""
    for index in range(220):
        scene = draw_scene(31, index)
        yield scene
        yield flip(scene)
        yield crop(scene, CROPS[index % 3])


def hue_of(scene, thing):
    return hue_in(thing.colour, scene.medium)


def meant(scene, size, hue, word):
    """Return the named things that a phrase could mean."""
    return [
        k
        for k, (thing, sight) in enumerate(zip(scene.things, scene.sightings(), strict=True))
        if sight.is_named
        and (hue_of(scene, thing), thing.shape) == (hue, NOUNS[word])
        and size in (None, "", thing.size)
    ]


@pytest.fixture(scope="module")
def told():
    return [
        (scene, style, captions(scene, style, seed))
        for scene, style, seed in product(world(), Style, range(2))
    ]


def test_every_thing_that_is_mentioned_is_there(told):
    mentions = 0
    for scene, _, text in told:
        for size, hue, fill, word, marks, pointing in MENTION.findall(text):
            things = [scene.things[k] for k in meant(scene, size, hue, word)]
            kind = FILLS.get(fill or marks, Fill.DOTTED if marks else None)
            fits = [one for one in things if kind in (None, one.fill)]
            assert any(pointing in ("", one.pointing) for one in fits), (text, scene)
            mentions += 1
    assert mentions > 5000


def test_dense_captions_mention_every_thing_with_its_fill(told):
    for scene, style, text in told:
        if style is Style.DENSE:
            named = [
                thing
                for thing, sight in zip(scene.things, scene.sightings(), strict=True)
                if sight.is_named
            ]
            found = MENTION.findall(text)
            for thing in named:
                is_plain = thing.fill is Fill.PLAIN
                assert any(
                    NOUNS[word] is thing.shape
                    and hue == hue_of(scene, thing)
                    and (is_plain or fill or marks)
                    for _, hue, fill, word, marks, _ in found
                ), (text, thing)


def holds(scene, a, relation, b):
    width, height = frame_of(scene.aspect)
    p, q = scene.sightings()[a], scene.sightings()[b]
    dx, dy = (q.x - p.x) * width, (q.y - p.y) * height
    related = {(one.first, one.relation, one.second) for one in scene.relations()}
    return {
        "is to the left of": dx > 0.05,
        "is to the right of": dx < -0.05,
        "is above": dy > 0.05,
        "is below": dy < -0.05,
        "is inside": (a, "inside", b) in related,
        "has": (b, "inside", a) in related,
        "is behind": a < b and (a, "behind", b) in related,
        "is in front of": a > b and (b, "behind", a) in related,
    }[relation]


def test_every_relation_that_is_told_holds_and_says_which_things_it_means(told):
    seen = set()
    for scene, _, text in told:
        for size_a, hue_a, word_a, relation, size_b, hue_b, word_b, _ in RELATION.findall(text):
            firsts, seconds = (
                meant(scene, size_a, hue_a, word_a),
                meant(scene, size_b, hue_b, word_b),
            )
            assert len(firsts) == len(seconds) == 1, text
            assert holds(scene, firsts[0], relation, seconds[0]), text
            seen.add(relation)
    assert len(seen) == 8


def test_every_place_that_is_told_is_right(told):
    limits = {"left": (0, 0.36), "right": (0.64, 1), "top": (0, 0.36), "bottom": (0.64, 1)}
    places = 0
    for scene, _, text in told:
        for hue, word, place in PLACE.findall(text.replace("cut off at the", "cut off by")):
            ok = False
            for k in meant(scene, None, hue, word):
                sight = scene.sightings()[k]
                ok |= all(
                    limits[side][0] <= (sight.y if side in ("top", "bottom") else sight.x)
                    and (sight.y if side in ("top", "bottom") else sight.x) <= limits[side][1]
                    for side in place.split()
                    if side in limits
                )
            assert ok, (text, place)
            places += 1
    assert places > 2000


def test_a_grey_photo_is_told_without_colours(told):
    colours = re.compile(rf"\b({'|'.join(c for c in Colour if c != 'grey' and ' ' not in c)})\b")
    for scene, _, text in told:
        if scene.medium is Medium.GREY_PHOTO:
            assert not colours.search(text.replace("black-and-white", "").replace("no colour", ""))


def test_words_are_told_only_where_they_can_be_read(told):
    for scene, style, text in told:
        quoted = re.findall(r'"([A-Z]+)"', text)
        assert all(is_word_read(scene) and word == scene.word.text for word in quoted)
        assert not quoted or scene.word.mirrored == ("mirror writing" in text)
        if style is Style.DENSE and is_word_read(scene):
            assert quoted


def test_the_medium_is_told_in_dense_and_attributes(told):
    for scene, style, text in told:
        if style in (Style.DENSE, Style.ATTRIBUTES):
            assert any(words in text.lower() for words in MEDIUM_WORDS[scene.medium])


def test_traces_are_never_counted_out(told):
    for scene, _, text in told:
        if any(sight.presence is not Presence.WHOLE for sight in scene.sightings()):
            counted = re.search(r"shows (\w+) shapes", text)
            assert not counted or all(sight.is_named for sight in scene.sightings())
        if scene.things:
            assert "Nothing else" not in text
            assert "no object in it" not in text


def test_wordings_differ_by_seed_and_are_the_same_for_the_same_seed():
    scenes = [draw_scene(32, index) for index in range(40)]
    for style in Style:
        first = [captions(scene, style, 1) for scene in scenes]
        assert first == [captions(scene, style, 1) for scene in scenes]
        assert sum(a != captions(s, style, 2) for a, s in zip(first, scenes, strict=True)) > 20


def test_style_names_are_accepted_and_checked():
    assert captions(draw_scene(1, 1), "short", 0)
    with pytest.raises(ValueError, match="haiku"):
        captions(draw_scene(1, 1), "haiku", 0)
