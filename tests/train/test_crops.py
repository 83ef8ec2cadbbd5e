"""Crops: keyed, few, named by their region; captions of mirrored images."""

from __future__ import annotations

import pytest

from recaption.shapeworld.crops import flip
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.reading.claims import Verdict
from recaption.shapeworld.reading.judge import judge
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.scenes import draw_scene
from recaption.shapeworld.score import region_of
from train.crops import FULL, Crop, CropConfig, crop_of, draw_crop, flip_caption, parse_region

CONFIG = CropConfig(flip=0.5, per_image=3)
IDS = [f"s/{k}" for k in range(300)]


def drawn(epoch: int, sample_id: str, aspect: float = 1.5, seed: int = 3) -> Crop:
    return draw_crop(CONFIG, seed=seed, epoch=epoch, sample_id=sample_id, aspect=aspect)


def test_an_image_has_few_crops_in_all_epochs() -> None:
    for sample_id in IDS[:40]:
        assert len({drawn(epoch, sample_id) for epoch in range(60)}) == 3


def test_crops_depend_on_their_key_alone() -> None:
    asked = [(epoch, sample_id) for epoch in range(3) for sample_id in IDS[:50]]
    forward = [drawn(*key) for key in asked]
    assert [drawn(*key) for key in reversed(asked)] == forward[::-1]
    assert [drawn(*key, seed=4) for key in asked] != forward
    assert drawn(0, "s/0") == FROZEN


FROZEN = Crop(0.206, 0.113, 0.78, 0.968)


@pytest.mark.parametrize("aspect", [0.3, 1.0, 1.5, 4.0])
def test_area_and_shape_are_the_recipes(aspect: float) -> None:
    crops = [crop_of(CONFIG, 1, sample_id, 0, aspect) for sample_id in IDS]
    ratios = [aspect * (c.x1 - c.x0) / (c.y1 - c.y0) for c in crops]
    assert all(0.74 < ratio < 1.35 for ratio in ratios)
    least = 0.34 if 0.5 < aspect < 2 else 0.2  # a long image has no large crop that is not long
    assert all(least < crop.area <= 1 for crop in crops)
    assert 0.4 < sum(crop.is_flipped for crop in crops) / len(crops) < 0.6


def test_a_share_is_shown_whole() -> None:
    config = CropConfig(whole=0.25)
    crops = [draw_crop(config, seed=1, epoch=0, sample_id=i, aspect=1.0) for i in IDS]
    assert 0.18 < sum(crop == FULL for crop in crops) / len(crops) < 0.32


def test_a_region_names_its_crop() -> None:
    for sample_id in IDS[:100]:
        crop = drawn(0, sample_id)
        assert parse_region(crop.region) == crop
    assert FULL.region == "full" and parse_region("full") == FULL
    assert parse_region("0.1,0.2,0.5,0.9,flip") == Crop(0.1, 0.2, 0.5, 0.9, is_flipped=True)


@pytest.mark.parametrize("region", ["", "0,0,1", "0,0,1,1,turn", "0.5,0,0.5,1", "a,b,c,d"])
def test_an_odd_region_is_refused(region: str) -> None:
    with pytest.raises(ValueError, match=r"expected|could not convert"):
        parse_region(region)


def test_the_scorer_reads_the_same_regions() -> None:
    scene = draw_scene(1, 3)
    shown = region_of(scene, Crop(0.1, 0.2, 0.6, 0.9, is_flipped=True).region)
    assert shown.view.flipped and shown.view.region.x0 == pytest.approx(0.1)


def test_overlap_is_intersection_over_union() -> None:
    left, right = Crop(0, 0, 0.5, 1), Crop(0.25, 0, 0.75, 1)
    assert left.overlap(right) == pytest.approx(1 / 3) and left.overlap(left) == 1.0
    assert left.overlap(Crop(0.5, 0, 1, 1)) == 0.0
    assert left.overlap(Crop(0, 0, 0.5, 1, is_flipped=True)) == 0.0


def test_what_is_nearly_all_keeps_its_caption() -> None:
    assert not CONFIG.is_new(FULL) and not CONFIG.is_new(Crop(0, 0, 1, 0.95))
    assert CONFIG.is_new(Crop(0, 0, 1, 0.8))


def test_a_box_is_never_empty() -> None:
    assert Crop(0.25, 0.5, 0.75, 1).box(100, 40) == (25, 20, 75, 40)
    assert Crop(0.999, 0.999, 1, 1).box(4, 4) == (3, 3, 4, 4)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A cat to the left of a dog.", "A cat to the right of a dog."),
        ("Left: a cat. RIGHT: a dog.", "Right: a cat. LEFT: a dog."),
        ("The leftmost of three.", "The rightmost of three."),
        ("A bright bird and a theft.", "A bright bird and a theft."),
        ("A cat above a dog.", "A cat above a dog."),
        ('A sign reading "STOP" on the left.', None),
        ("All right, a cat.", None),
    ],
)
def test_the_caption_of_a_mirrored_image(caption: str, expected: str | None) -> None:
    assert flip_caption(caption) == expected


def test_flipped_captions_are_true_of_flipped_scenes() -> None:
    """Held against scenes: what is said of the mirrored picture by changing words is all true."""
    told = 0
    for index in range(200):
        scene = draw_scene(21, index)
        flipped = flip_caption(captions(scene, Style.SPATIAL, index))
        if flipped is None:
            continue
        claims = judge(flip(scene), parse(flipped))
        false = [one for one in claims if one.verdict is Verdict.FALSE]
        assert not false, (flipped, false)
        told += len(claims)
    assert told > 1000


@pytest.mark.parametrize("caption", ["A cat on the rıght.", "THE RİGHT SIDE", "To the \u017fide."])
def test_letters_that_only_look_like_a_side_break_nothing(caption: str) -> None:
    assert flip_caption(caption) == caption
