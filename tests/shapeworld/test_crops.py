"""Crops and flips: what is cut, what is gone, how the rest lies, and that the pixels agree."""

import random
from dataclasses import replace

import numpy as np
import pytest

from recaption.shapeworld.content import (
    Background,
    Colour,
    Fill,
    Ground,
    Medium,
    Region,
    Shape,
    Thing,
    View,
    Word,
)
from recaption.shapeworld.crops import crop, draw_crop, draw_region, flip
from recaption.shapeworld.drawing.geometry import Presence, Relation, word_share
from recaption.shapeworld.render import render
from recaption.shapeworld.scenes import Scene, draw_scene
from recaption.shapeworld.unseen import Unseen

PLAIN = Background(Ground.PLAIN, Colour.WHITE, Colour.WHITE, 0.0, 1.0)


def square(x, y, colour=Colour.RED, radius=0.1):
    return Thing(Shape.SQUARE, colour, Fill.PLAIN, x, y, radius, 0.0, 1.0)


def scene_of(*things, ground=PLAIN, word=None, aspect=1.0):
    return Scene(0, 0, aspect, Medium.FLAT, ground, things, word, Unseen("c00"))


def test_a_crop_with_everything_in_it_keeps_everything():
    for index in range(300):
        scene = draw_scene(1, index)
        assert crop(scene, Region()) == scene


def test_flipping_twice_changes_nothing():
    for index in range(300):
        scene = draw_scene(2, index)
        assert flip(flip(scene)) == scene


def test_a_flip_mirrors_left_and_right_and_nothing_else():
    for index in range(300):
        scene = draw_scene(3, index)
        mirrored = flip(scene)
        before, after = set(scene.relations()), set(mirrored.relations())
        turned = {
            replace(one, first=one.second, second=one.first)
            if one.relation is Relation.LEFT_OF
            else one
            for one in before
        }
        assert after == turned
        for a, b in zip(scene.sightings(), mirrored.sightings(), strict=True):
            assert (a.framed, a.y) == pytest.approx((b.framed, b.y))
            assert a.visible == pytest.approx(b.visible, abs=1e-3)
            assert a.x == pytest.approx(1 - b.x, abs=1e-3)


def test_a_flip_turns_arrows_words_and_split_grounds():
    arrow = replace(square(0.3, 0.3), shape=Shape.ARROW, angle=90.0)
    ground = Background(Ground.SPLIT, Colour.WHITE, Colour.BLACK, 0.4, 1.0)
    mirrored = flip(scene_of(arrow, ground=ground, word=Word("OPEN", 0.25, 0.8, 0.1)))
    assert mirrored.things[0].pointing == "left"
    assert mirrored.word == Word("OPEN", 0.75, 0.8, 0.1, mirrored=True)
    assert mirrored.background == Background(Ground.SPLIT, Colour.BLACK, Colour.WHITE, 0.6, 1.0)
    assert mirrored.view == View(Region(), flipped=True)


def test_a_crop_moves_and_enlarges():
    scene = scene_of(square(0.25, 0.25), square(0.9, 0.9, Colour.BLUE))
    cut = crop(scene, Region(0, 0, 0.5, 0.5))
    assert cut.things == (square(0.5, 0.5, radius=0.2),)
    assert cut.zoom == 2.0
    assert cut.view.region == Region(0, 0, 0.5, 0.5)


def test_a_crop_of_another_format_counts_in_its_own_shorter_side():
    cut = crop(scene_of(square(0.5, 0.5), aspect=1.0), Region(0, 0.25, 1, 0.75))
    assert cut.aspect == 2.0
    assert cut.things[0].radius == 0.2
    assert cut.zoom == 2.0
    assert render(cut, 64).shape == (64, 128, 3)


@pytest.mark.parametrize(
    ("edge", "presence"),
    [(0.30, Presence.WHOLE), (0.47, Presence.CUT), (0.52, Presence.FRAGMENT), (0.57, "trace")],
)
def test_what_is_left_of_a_thing_follows_its_area(edge, presence):
    cut = crop(scene_of(square(0.5, 0.5)), Region(edge, 0, 1, 1))
    (sight,) = cut.sightings()
    half = 0.1 * 1.22 * 0.5**0.5
    assert sight.framed == pytest.approx(min(1, (0.5 + half - edge) / (2 * half)), abs=0.04)
    assert sight.presence == presence
    assert sight.edges == (() if presence is Presence.WHOLE else ("left",))


def test_what_has_nothing_in_the_frame_is_gone():
    assert crop(scene_of(square(0.2, 0.5)), Region(0.4, 0, 1, 1)).things == ()


def test_relations_are_of_what_is_left():
    scene = scene_of(square(0.2, 0.5), square(0.5, 0.5, Colour.BLUE), square(0.8, 0.5))
    assert len(scene.relations()) == 3
    cut = crop(scene, Region(0.35, 0, 1, 1))
    assert [(one.first, one.relation, one.second) for one in cut.relations()] == [(0, "left_of", 1)]


def test_a_word_is_read_only_whole():
    scene = scene_of(word=Word("STOP", 0.5, 0.5, 0.1))
    assert word_share(crop(scene, Region(0.2, 0.2, 0.9, 0.9)).word, 1.0) == 1.0
    cut = crop(scene, Region(0.5, 0.25, 1, 0.75))
    assert word_share(cut.word, cut.aspect) == pytest.approx(0.5)
    assert crop(scene, Region(0, 0, 1, 0.4)).word is None


@pytest.mark.parametrize(
    ("kind", "region", "left"),
    [
        (Ground.HORIZON, Region(0, 0, 1, 0.5), (Ground.PLAIN, Colour.WHITE, 0.0, 1.0)),
        (Ground.HORIZON, Region(0, 0.6, 1, 1), (Ground.PLAIN, Colour.BLACK, 0.0, 1.0)),
        (Ground.HORIZON, Region(0, 0.1, 1, 0.9), (Ground.HORIZON, Colour.WHITE, 0.5, 1.125)),
        (Ground.SPLIT, Region(0.6, 0, 1, 1), (Ground.PLAIN, Colour.BLACK, 0.0, 1.0)),
        (Ground.GRADIENT, Region(0, 0, 1, 0.5), (Ground.GRADIENT, Colour.WHITE, 1.0, 2.0)),
    ],
)
def test_grounds_are_cut(kind, region, left):
    ground = Background(kind, Colour.WHITE, Colour.BLACK, 0.5, 1.0)
    cut = crop(scene_of(ground=ground), region).background
    assert (cut.kind, cut.first, cut.start) == left[:3]


def test_bands_become_plain_within_one_band():
    ground = Background(Ground.BANDS, Colour.WHITE, Colour.BLACK, 0.0, 0.25)
    second = crop(scene_of(ground=ground), Region(0, 0.3, 1, 0.45)).background
    assert (second.kind, second.first) == (Ground.PLAIN, Colour.BLACK)
    third = crop(scene_of(ground=ground), Region(0, 0.5, 1, 0.75)).background
    assert (third.kind, third.first) == (Ground.PLAIN, Colour.WHITE)
    assert crop(scene_of(ground=ground), Region(0, 0, 1, 0.5)).background.kind is Ground.BANDS


def test_crops_of_crops_and_flips_record_the_region_of_the_original():
    scene = scene_of(square(0.5, 0.5))
    twice = crop(crop(scene, Region(0.5, 0, 1, 1)), Region(0, 0, 0.5, 1))
    assert twice.view.region == Region(0.5, 0, 0.75, 1)
    assert twice.things == crop(scene, Region(0.5, 0, 0.75, 1)).things
    of_mirror = crop(flip(scene), Region(0, 0, 0.25, 1))
    assert of_mirror.view == View(Region(0.75, 0, 1, 1), flipped=True)


@pytest.mark.parametrize("aspect", [1.0, 1.3333, 0.75])
def test_drawn_regions_are_of_all_sizes_and_places(aspect):
    rng = random.Random(1)
    regions = [draw_region(rng, aspect) for _ in range(500)]
    areas = [region.width * region.height for region in regions]
    assert 0.19 < min(areas) < 0.25 and 0.8 < max(areas) < 0.91
    ratios = [aspect * region.width / region.height for region in regions]
    assert 0.55 < min(ratios) < 0.7 and 1.4 < max(ratios) < 1.9
    assert len({region.x0 for region in regions}) > 300


def test_a_drawn_crop_is_a_function_of_its_scene():
    scenes = [draw_scene(8, index) for index in range(40)]
    crops = [draw_crop(scene) for scene in scenes]
    assert crops == [draw_crop(scene) for scene in scenes]
    assert len({shown.view for shown in crops}) == 40
    for scene, shown in zip(scenes, crops, strict=True):
        assert shown == crop(scene, shown.view.region)


@pytest.mark.parametrize("bad", [(0.5, 0, 0.5, 1), (0, -0.1, 1, 1), (0, 0, 1, 1.1)])
def test_a_region_outside_the_frame_is_refused(bad):
    with pytest.raises(ValueError, match="expected 0 <= x0 < x1 <= 1"):
        Region(*bad)


def test_the_picture_of_a_crop_is_the_crop_of_the_picture():
    region = Region(0.25, 0.25, 0.75, 0.75)
    checked = 0
    for index in range(120):
        scene = draw_scene(6, index)
        if scene.medium is not Medium.FLAT or not scene.things or scene.aspect != 1.0:
            continue
        large = render(scene, 256)[64:192, 64:192].astype(int)
        alone = render(crop(scene, region), 128).astype(int)
        assert np.abs(large - alone).mean() < 4
        checked += 1
    assert checked > 15


def test_the_picture_of_a_flip_is_the_flip_of_the_picture():
    scenes = [draw_scene(7, index) for index in range(60)]
    for scene in [one for one in scenes if one.medium is Medium.FLAT]:
        mirrored = render(flip(scene), 96)[:, ::-1].astype(int)
        assert np.abs(render(scene, 96).astype(int) - mirrored).mean() < 4
