"""Halves of two images in one picture: their shape, who stands beside whom, and under what text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpora import jpeg
from tests.train.data import Letters, caption_crops, caption_shards, make_recipe, read_batches, seen
from train.crops import FULL, Crop, CropConfig, crop_of, is_stacked
from train.data import open_data
from train.layouts import lay_out
from train.pairs import Entry, Outcome, Pair, unit_of
from train.pixels import halves
from train.rotation import Choice, Texts, TextSource
from train.windows import Loader

HALF = Crop(0.0, 0.0, 0.5, 1.0, is_half=True)
WHOLE = Pair(FULL, Choice("all of it", TextSource.CAPTION), Outcome.WHOLE)
STEPS = 21


@pytest.mark.parametrize("aspect", [0.4, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("index", range(6))
def test_a_half_has_the_shape_of_half_a_picture(aspect: float, index: int) -> None:
    config = CropConfig(halves=1.0, least_area=0.5)
    wanted = 2.0 if is_stacked(1, index) else 0.5
    largest = min(1.0, wanted / aspect) * min(1.0, aspect / wanted)
    for k in range(50):
        crop = crop_of(config, 1, f"s/{k}", index, aspect)
        width, height = crop.x1 - crop.x0, crop.y1 - crop.y0
        assert crop.is_half and aspect * width / height == pytest.approx(wanted, rel=0.02)
        assert 0.48 * largest < crop.area <= 1.01 * largest


def test_both_ways_of_standing_occur_and_a_share_are_halves() -> None:
    assert {is_stacked(1, index) for index in range(8)} == {False, True}
    config = CropConfig(halves=0.4)
    crops = [crop_of(config, 1, f"s/{k}", 0, 1.0) for k in range(500)]
    assert 0.33 < sum(crop.is_half for crop in crops) / 500 < 0.47


def test_crops_and_units_of_recipes_without_halves_stay_what_they_were(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path)
    assert unit_of(recipe, 0) == "crops-92d756ca03c1-000"
    assert unit_of(make_recipe(tmp_path, "crops.halves=0.5"), 0) != unit_of(recipe, 0)


def row(
    name: str, text: str, crop: Crop = HALF, outcome: Outcome = Outcome.OWN
) -> tuple[Entry, Pair]:
    source = TextSource.CAPTION if text else TextSource.NOTHING
    return Entry(name, b"", 8, 8, Texts(())), Pair(crop, Choice(text, source), outcome)


def test_each_half_stands_beside_the_next_one() -> None:
    rows = [row("a", "One."), row("b", "Alone.", FULL), row("c", "Two"), row("d", "Three!")]
    done = lay_out(rows, False, lambda place: WHOLE)
    assert done[1] == rows[1]
    assert [pair.choice.text for _, pair in done if pair.second] == [
        "On the left: One. On the right: Two.",
        "On the left: Two. On the right: Three!",
        "On the left: Three! On the right: One.",
    ]
    assert [pair.second.entry.sample_id for _, pair in done if pair.second] == ["c", "d", "a"]
    assert [entry.sample_id for entry, _ in done] == list("abcd")
    stacked = lay_out(rows, True, lambda place: WHOLE)[0][1]
    assert stacked.choice.text == "At the top: One. At the bottom: Two."
    assert stacked.second is not None and stacked.second.is_below


def test_one_that_goes_without_text_is_nobodys_partner() -> None:
    done = lay_out([row("a", "One."), row("b", ""), row("c", "Two.")], False, lambda place: WHOLE)
    assert done[0][1].choice.text == "On the left: One. On the right: Two."
    assert done[1][1].choice == Choice("", TextSource.NOTHING) and done[1][1].second is not None


def test_a_half_alone_shows_its_image_whole() -> None:
    rows = [row("a", "One."), row("b", "Two.", FULL)]
    asked: list[int] = []

    def show_whole(place: int) -> Pair:
        asked.append(place)
        return WHOLE

    assert lay_out(rows, False, show_whole) == [(rows[0][0], WHOLE), rows[1]] and asked == [0]


def test_a_text_that_may_lie_is_counted_as_one() -> None:
    rows = [row("a", "One."), row("b", "Two.", outcome=Outcome.FULL), row("c", "Three.")]
    outcomes = [pair.outcome for _, pair in lay_out(rows, False, lambda place: WHOLE)]
    assert outcomes == [Outcome.FULL, Outcome.FULL, Outcome.HALVES]


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("is_stacked", [False, True])
def test_each_half_of_the_picture_shows_its_image(size: int, is_stacked: bool) -> None:
    first, second = jpeg("red", "red", (64, 48)), jpeg("blue", "blue", (48, 64))
    pixels = halves((first, HALF), (second, HALF), is_stacked, size)
    assert pixels.shape == (3, size, size)
    if not is_stacked:
        pixels = pixels.transpose(0, 2, 1)
    near = size // 2
    assert (np.abs(pixels[:, :near].astype(int) - [[[254]], [[0]], [[0]]]) < 12).all()
    assert (np.abs(pixels[:, near:].astype(int) - [[[0]], [[0]], [[254]]]) < 12).all()


def test_any_number_of_workers_and_any_first_step_give_the_same(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    told = ("crops.halves=0.5", "recaption.when_missing=full", "rotation.dropout=0.2")
    data = open_data(make_recipe(tmp_path, *told))
    alone = seen(read_batches(data, 1, 0, STEPS))
    for workers in (2, 4):
        assert seen(read_batches(data, workers, 0, STEPS)) == alone
    for first in (1, 9):
        assert seen(read_batches(data, 2, first, STEPS)) == alone[first:]


def test_both_captions_are_of_the_halves_that_are_shown(tmp_path: Path) -> None:
    job = caption_shards(tmp_path)
    recipe = make_recipe(tmp_path, "crops.halves=0.6")
    caption_crops(job, recipe, STEPS)
    data = open_data(recipe)
    loader = Loader(recipe, data.entries, data.order, Letters())
    together = 0
    for window in data.order.interleaved(range(data.order.lanes), 0, STEPS):
        for entry, pair in loader.pairs(window):
            if pair.second is None:
                assert not pair.crop.is_half
                continue
            together += 1
            assert pair.outcome is Outcome.HALVES and pair.crop.is_half
            other = pair.second
            texts = [
                {o.text for o in e.regions[c.region]}
                for e, c in ((entry, pair.crop), (other.entry, other.crop))
            ]
            assert any(text in pair.choice.text for text in texts[0])
            assert any(text in pair.choice.text for text in texts[1])
            assert entry.sample_id != other.entry.sample_id
    assert together > 40
    read_batches(data, 1, 0, STEPS)
    assert data.counts()["crops halves"] > 40
