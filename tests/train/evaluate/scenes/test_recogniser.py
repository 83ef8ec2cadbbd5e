"""The recogniser: what its cells are taught, that it learns, how often the shipped one is right."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recaption.shapeworld.content import Fill, Shape
from train.evaluate.scenes.lessons import Lessons, draw_lessons, squared, worsen
from train.evaluate.scenes.measure import measure
from train.evaluate.scenes.prompts import draw_prompts
from train.evaluate.scenes.recogniser.network import GRID, HUES, SHAPES, CellAnswers, make_net
from train.evaluate.scenes.recogniser.reading import (
    WEIGHTS,
    Found,
    Recogniser,
    as_input,
    load_recogniser,
)
from train.evaluate.scenes.recogniser.targets import (
    MOST_THINGS,
    as_labels,
    focal_loss,
    labels_of,
    loss_of,
    targets_of,
)
from train.evaluate.scenes.train import Plan, mirrored, train_net, write_weights

SCENES = [prompt.scene for prompt in draw_prompts(11, 12)]


def answers_for(rows: np.ndarray) -> CellAnswers:
    """Return what a net that is always right would say of labelled pictures."""
    labels = as_labels(rows)
    targets = targets_of(labels)
    count, at = len(rows), torch.nonzero(targets.near_BAGG >= 1)
    answers = CellAnswers(
        torch.full((count, 2, GRID, GRID), -8.0),
        torch.zeros(count, 2, GRID, GRID, len(SHAPES)),
        torch.zeros(count, 2, GRID, GRID, len(HUES)),
        torch.zeros(count, 2, GRID, GRID, 2),
        torch.zeros(count, 2, GRID, GRID),
    )
    for image, size, row, column in at.tolist():
        cell = (image, size, row, column)
        thing = targets.owner_BAGG[cell]
        answers.thing_BAGG[cell] = 8.0
        answers.shape_BAGGS[cell][labels.shape_BM[image, thing]] = 30.0
        answers.hue_BAGGH[cell][labels.hue_BM[image, thing]] = 30.0
        answers.offset_BAGG2[cell] = targets.offset_BGGM2[image, row, column, thing]
        answers.size_BAGG[cell] = labels.radius_BM[image, thing].log()
    return answers


class Right(torch.nn.Module):
    """Says what it is told to of pictures marked at the left, the mirror image of it of others."""

    def __init__(self, answers: CellAnswers) -> None:
        super().__init__()
        self.answers, self.anything = answers, torch.nn.Parameter(torch.zeros(1))

    def forward(self, image_BCHW: torch.Tensor) -> CellAnswers:
        if image_BCHW[0, 0, 0, 0] > 0:
            return self.answers
        flipped = {name: getattr(self.answers, name).flip(3) for name in CellAnswers.__slots__}
        flipped["offset_BAGG2"] = flipped["offset_BAGG2"] * torch.tensor([-1.0, 1.0])
        return CellAnswers(**flipped)


def test_right_answers_cost_nothing_and_are_read_as_the_scene() -> None:
    rows = np.stack([labels_of(scene) for scene in SCENES])
    answers = answers_for(rows)
    losses = loss_of(answers, as_labels(rows))
    assert losses["thing"] < 1e-2
    marked = torch.zeros(12, 3, 64, 64, dtype=torch.uint8)
    marked[..., 0] = 255
    found = Recogniser(Right(answers)).read(marked)  # type: ignore[arg-type]
    for scene, things in zip(SCENES, found, strict=True):
        assert {one.look for one in things} == {(t.colour.value, t.shape) for t in scene.things}
        for one in things:
            (thing,) = [t for t in scene.things if (t.colour.value, t.shape) == one.look]
            sight = scene.sightings()[scene.things.index(thing)]
            assert (one.x, one.y) == pytest.approx((sight.x, sight.y), abs=1e-5)
            assert one.radius == pytest.approx(thing.radius, abs=1e-5)


def test_labels_are_of_things_that_can_be_told() -> None:
    rows = labels_of(SCENES[0])
    assert rows.shape == (MOST_THINGS, 6)
    assert (rows[:, 0] > 0).sum() == len(SCENES[0].things)
    assert SHAPES[int(rows[0, 1])] is SCENES[0].things[0].shape


def test_a_small_thing_within_a_large_one_has_a_cell_of_its_own() -> None:
    scene = SCENES[0]
    large = replace(scene.things[0], shape=Shape.RING, x=0.47, y=0.53, radius=0.24, fill=Fill.PLAIN)
    small = replace(large, shape=Shape.STAR, radius=0.08)
    targets = targets_of(as_labels(labels_of(replace(scene, things=(large, small)))[None]))
    assert (targets.near_BAGG >= 1).sum() == 2
    assert targets.owner_BAGG[0, 0].unique().tolist() == [-1, 1]
    assert targets.owner_BAGG[0, 1].unique().tolist() == [-1, 0]


def test_one_thing_told_twice_is_one() -> None:
    from train.evaluate.scenes.recogniser.reading import _without_doubles

    sure = Found("red", Shape.STAR, 0.5, 0.5, 0.17, 0.9)
    again = replace(sure, x=0.52, radius=0.19, confidence=0.5)
    inside = Found("blue", Shape.STAR, 0.5, 0.5, 0.08, 0.8)
    aside = replace(sure, x=0.8)
    assert _without_doubles([sure, inside, again, aside]) == (sure, inside, aside)


def test_the_focal_loss_is_that_of_the_paper() -> None:
    logit, near = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([1.0, 0.5, 0.0])
    share = torch.sigmoid(logit)
    expected = -((1 - share[0]) ** 2) * share[0].log()
    expected -= 0.5**4 * share[1] ** 2 * (1 - share[1]).log() + share[2] ** 2 * (1 - share[2]).log()
    none = torch.zeros(3, dtype=torch.bool)
    assert float(focal_loss(logit, near, none)) == pytest.approx(float(expected), rel=1e-5)


def test_mirrored_pictures_have_mirrored_labels() -> None:
    scene = SCENES[1]
    image = as_input(torch.from_numpy(squared(scene)).permute(2, 0, 1)[None])
    labels = as_labels(labels_of(scene)[None])
    turned, moved = mirrored(image, labels, torch.tensor([True]))
    assert torch.equal(turned, image.flip(-1))
    assert torch.allclose(moved.place_BM2[..., 0], 1 - labels.place_BM2[..., 0])
    same, kept = mirrored(image, labels, torch.tensor([False]))
    assert torch.equal(same, image)
    assert torch.equal(kept.place_BM2, labels.place_BM2)


def test_worse_pictures_are_still_the_same_pictures() -> None:
    images = np.stack([squared(scene) for scene in SCENES])
    worse = worsen(images, np.random.default_rng(0))
    clean = as_input(torch.from_numpy(images).permute(0, 3, 1, 2))
    off = (worse - clean).abs().mean(dim=[1, 2, 3])
    assert worse.shape == clean.shape
    assert 0 < off.max() < 0.12
    assert torch.equal(worse, worsen(images, np.random.default_rng(0)))


def test_lessons_are_kept(tmp_path: Path) -> None:
    drawn = draw_lessons(3, 4, tmp_path)
    kept = draw_lessons(3, 4, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert np.array_equal(drawn.images, kept.images)
    assert np.array_equal(drawn.labels, kept.labels)


def test_training_lowers_the_loss_and_is_reproducible(tmp_path: Path) -> None:
    images = np.stack([squared(scene) for scene in SCENES])
    lessons = Lessons(images, np.stack([labels_of(scene) for scene in SCENES]))
    plan = Plan(steps=25, batch=8, warmup=5)
    threads = torch.get_num_threads()
    before = loss_of(
        make_net(plan.seed).eval()(as_input(_tensor(images))), as_labels(lessons.labels)
    )
    net, _ = train_net(plan, lessons)
    after = loss_of(net(as_input(_tensor(images))), as_labels(lessons.labels))
    again, _ = train_net(plan, lessons)
    torch.set_num_threads(threads)
    totals = [sum(loss.item() for loss in losses.values()) for losses in (before, after)]
    assert totals[1] < 0.7 * totals[0]
    for name, value in net.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    write_weights(net, tmp_path)
    read = load_recogniser(tmp_path / WEIGHTS.name).net.state_dict()
    assert all(
        torch.allclose(read[k], v, rtol=1e-2, atol=1e-3) for k, v in net.state_dict().items()
    )


def _tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def test_the_shipped_recogniser_is_as_right_as_it_says() -> None:
    told = json.loads(WEIGHTS.with_name("training.json").read_text())["measured"]
    assert WEIGHTS.stat().st_size < 1_500_000
    assert told["flat"]["shape+colour"]["n"] > 1000
    measured = measure(load_recogniser(), seed=4321, scenes=30)
    for exam in ("flat", "flat worsened"):
        for figure in ("found", "shape", "colour"):
            low, high = told[exam][figure]["interval"]
            seen = measured[exam][figure]
            assert seen["interval"][1] >= low - 0.02
            assert seen["interval"][0] <= high + 0.02


def test_pictures_of_another_size_are_read_alike() -> None:
    recogniser = load_recogniser()
    small = _tensor(np.stack([squared(scene) for scene in SCENES]))
    large = small.repeat_interleave(2, -1).repeat_interleave(2, -2)
    pairs = zip(recogniser.read(small), recogniser.read(large), strict=True)
    same = [{one.look for one in a} == {one.look for one in b} for a, b in pairs]
    assert sum(same) >= 11
