"""The evaluator of scenes on a family that paints the truth, another's truth, or nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.train.evaluate.fakes import Data, PaintingFamily, noise_images, recipe
from train.evaluate import open_evaluators
from train.evaluate.scenes.evaluator import Scenes
from train.evaluate.scenes.lessons import squared

NO_DATA = Data(noise_images(0), [])


@pytest.fixture(scope="module")
def evaluator() -> Scenes:
    family = PaintingFamily(lambda caption, seed: torch.zeros(3, 64, 64, dtype=torch.uint8))
    (opened,) = open_evaluators(recipe("scenes", images=80), family, NO_DATA)
    assert isinstance(opened, Scenes)
    return opened


def painted(evaluator: Scenes) -> dict[str, Tensor]:
    return {
        prompt.caption: torch.from_numpy(squared(prompt.scene)).permute(2, 0, 1)
        for prompt in (*evaluator.plain, *evaluator.related)
    }


def test_the_truth_scores_high_and_what_was_meant_for_others_low(evaluator: Scenes) -> None:
    assert len(evaluator.plain) == len(evaluator.related) == 40
    truth = painted(evaluator)
    values = dict(evaluator(PaintingFamily(lambda caption, seed: truth[caption])))
    for figure in ("shape", "colour", "shape+colour", "count", "relation"):
        assert values[f"scenes {figure}"] > 0.85
        assert values[f"scenes {figure} low"] <= values[f"scenes {figure}"]
        assert values[f"scenes {figure}"] <= values[f"scenes {figure} high"] <= 1
    swapped = dict(zip(truth, [*list(truth.values())[1:], next(iter(truth.values()))], strict=True))
    others = dict(evaluator(PaintingFamily(lambda caption, seed: swapped[caption])))
    for figure in ("shape+colour", "relation", "all"):
        assert others[f"scenes {figure}"] < 0.3
        assert others[f"scenes {figure} high"] < values[f"scenes {figure} low"]


def test_an_empty_picture_has_nothing_right_and_seeds_are_all_different(evaluator: Scenes) -> None:
    family = PaintingFamily(lambda caption, seed: torch.full((3, 64, 64), 250, dtype=torch.uint8))
    estimates = evaluator.estimate(family)
    assert estimates["shape"].value < 0.1
    assert estimates["count"].n == 40
    assert len(set(family.seeds)) == 80
    assert not any(family.was_training)
