"""Scenes: drawn by key, written as JSON, with relations that follow from their geometry."""

import json
from collections import Counter

import pytest

from recaption.shapeworld.content import (
    Background,
    Colour,
    Fill,
    Ground,
    Medium,
    Shape,
    Size,
    Thing,
    are_distinct,
)
from recaption.shapeworld.drawing.geometry import Presence, Related, Relation, relations, sightings
from recaption.shapeworld.scenes import Scene, draw_scene, draw_simple_scene, from_json, to_json
from recaption.shapeworld.unseen import CLASSES, Unseen


def thing(shape=Shape.CIRCLE, x=0.5, y=0.5, radius=0.1, angle=0.0, colour=Colour.RED):
    return Thing(shape, colour, Fill.PLAIN, x, y, radius, angle, tint=1.0)


def scene_of(*things, aspect=1.0):
    ground = Background(Ground.PLAIN, Colour.WHITE, Colour.WHITE, 0.0, 1.0)
    return Scene(0, 0, aspect, Medium.FLAT, ground, things, None, Unseen("c00"))


def test_a_scene_is_a_function_of_seed_and_index():
    assert draw_scene(3, 5) == draw_scene(3, 5)
    assert len({draw_scene(seed, index) for seed in range(3) for index in range(20)}) == 60


def test_simple_scenes_are_simple():
    scenes = [draw_simple_scene(7, index, 2) for index in range(30)]
    assert scenes == [draw_simple_scene(7, index, 2) for index in range(30)]
    assert len({(one.seed, one.index) for one in scenes}) == 30
    assert all(draw_scene(one.seed, one.index) == one for one in scenes)
    assert {len(one.things) for one in scenes} == {1, 2}
    assert {(one.medium, one.aspect, one.word) for one in scenes} == {(Medium.FLAT, 1.0, None)}
    assert len({thing.size for one in scenes for thing in one.things}) > 1


def test_simple_scenes_can_have_large_things_only():
    scenes = [draw_simple_scene(7, index, 1, only_large=True) for index in range(10)]
    assert {thing.size for one in scenes for thing in one.things} == {Size.LARGE}


def test_json_round_trip_is_exact():
    for index in range(1000):
        scene = draw_scene(1, index)
        assert from_json(json.loads(json.dumps(to_json(scene)))) == scene


def test_json_errors_name_what_was_got_and_the_choices():
    row = to_json(draw_scene(1, 0))
    with pytest.raises(ValueError, match=r"got Medium 'oil', expected one of flat, sketch"):
        from_json(row | {"medium": "oil"})
    with pytest.raises(ValueError, match=r"got class 'c99', expected one of c00"):
        from_json(row | {"unseen": {"class_id": "c99"}})


def test_drawn_scenes_cover_the_world():
    scenes = [draw_scene(2, index) for index in range(1200)]
    things = [one for scene in scenes for one in scene.things]
    assert {len(scene.things) for scene in scenes} == {0, 1, 2, 3, 4, 5}
    assert {one.shape for one in things} == set(Shape)
    assert len({one.colour for one in things}) == 12
    assert {one.size for one in things} == set(Size)
    assert {one.fill for one in things} == set(Fill)
    assert {scene.medium for scene in scenes} == set(Medium)
    assert {scene.background.kind for scene in scenes} == set(Ground)
    kinds = Counter(related.relation for scene in scenes for related in scene.relations())
    assert all(kinds[relation] > 50 for relation in Relation), kinds
    assert 0.1 < sum(scene.word is not None for scene in scenes) / 1200 < 0.3


def test_drawn_things_are_in_the_frame_clear_of_each_other_and_of_the_ground():
    for index in range(400):
        scene = draw_scene(4, index)
        for one, sight in zip(scene.things, scene.sightings(), strict=True):
            assert sight.framed == 1.0
            assert sight.visible >= 0.6
            assert one.is_size_clear
            assert all(
                are_distinct(one.colour, colour, scene.medium)
                for colour in scene.background.colours
            )


def test_the_class_is_about_the_main_thing_and_some_words_mean_two_classes():
    for index in range(200):
        scene = draw_scene(5, index)
        main = scene.main_thing()
        assert scene.unseen.class_name.shape == (scene.things[main].shape if scene.things else None)
    words = Counter(one.word for one in CLASSES.values())
    assert sorted(word for word, count in words.items() if count > 1) == [
        "badge", "cell", "charm", "kite", "pointer", "tile",
    ]  # fmt: skip
    assert len({(one.word, one.gloss) for one in CLASSES.values()}) == len(CLASSES)


def test_left_and_above_hold_from_the_margin_on():
    a, b = thing(x=0.2, y=0.5), thing(x=0.8, y=0.55)
    assert relations((a, b), 1.0) == (Related(0, Relation.LEFT_OF, 1),)
    near = thing(x=0.27, y=0.9)
    assert relations((a, near), 1.0) == (Related(0, Relation.ABOVE, 1),)


def test_left_counts_in_shorter_sides_of_the_frame():
    a, b = thing(x=0.50, y=0.3, radius=0.02), thing(x=0.55, y=0.3, radius=0.02)
    assert relations((a, b), 1.0) == ()
    assert relations((a, b), 2.0) == (Related(0, Relation.LEFT_OF, 1),)


def test_the_nearer_of_two_that_overlap_hides_the_other():
    far, near = thing(Shape.SQUARE, x=0.4, radius=0.2), thing(Shape.SQUARE, x=0.6, radius=0.2)
    found = relations((far, near), 1.0)
    assert Related(0, Relation.BEHIND, 1) in found
    assert Related(1, Relation.BEHIND, 0) not in found
    half_width = 0.2 * 1.22 * 0.5**0.5
    hidden = (2 * half_width - 0.2) / (2 * half_width)
    assert sightings((far, near), 1.0)[0].visible == pytest.approx(1 - hidden, abs=0.04)
    assert sightings((far, near), 1.0)[1].visible == 1.0


def test_inside_needs_room_and_excludes_every_other_relation():
    disc, small = thing(radius=0.3), thing(Shape.STAR, x=0.6, radius=0.08)
    assert relations((disc, small), 1.0) == (Related(1, Relation.INSIDE, 0),)
    assert Related(1, Relation.INSIDE, 0) not in relations((disc, thing(x=0.8, radius=0.08)), 1.0)


def test_inside_a_ring_is_in_its_hole_whichever_is_nearer():
    ring, small = thing(Shape.RING, radius=0.25), thing(Shape.HEART, radius=0.08)
    assert relations((ring, small), 1.0) == (Related(1, Relation.INSIDE, 0),)
    assert relations((small, ring), 1.0) == (Related(0, Relation.INSIDE, 1),)
    on_the_band = thing(Shape.HEART, x=0.7, radius=0.08)
    assert Related(0, Relation.BEHIND, 1) in relations((ring, on_the_band), 1.0)


def test_sizes_near_a_limit_are_not_claimed():
    assert not thing(radius=0.11).is_size_clear
    assert [thing(radius=r).size for r in (0.09, 0.14, 0.24)] == list(Size)


@pytest.mark.parametrize(
    ("angle", "pointing"), [(0, "up"), (85, "right"), (180, "down"), (-95, "left"), (-180, "down")]
)
def test_arrows_point(angle, pointing):
    assert thing(Shape.ARROW, angle=angle).pointing == pointing
    assert thing(Shape.STAR, angle=angle).pointing is None


@pytest.mark.parametrize(
    ("x", "presence"),
    [
        (0.5, Presence.WHOLE),
        (0.05, Presence.CUT),
        (-0.02, Presence.FRAGMENT),
        (-0.09, Presence.TRACE),
    ],
)
def test_presence_follows_the_share_in_the_frame(x, presence):
    scene = scene_of(thing(Shape.CIRCLE, x=x))
    (sight,) = scene.sightings()
    assert sight.presence is presence
    assert sight.edges == (() if presence is Presence.WHOLE else ("left",))
