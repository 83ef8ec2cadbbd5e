"""What a recipe asks for is opened; what it asks for wrongly is told, with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recaption.config import RecipeError
from tests.train.evaluate.fakes import Data, PaintingFamily, noise_images, recipe
from train.evaluate import describe, open_evaluators

CAPTIONS = [f"caption {k}" for k in range(25)]
DATA = Data(noise_images(25), CAPTIONS)
FAMILY = PaintingFamily(lambda caption, seed: torch.zeros(3, 16, 16, dtype=torch.uint8))


def test_validation_is_the_mean_over_images_by_name() -> None:
    low, high = torch.arange(25.0), torch.full((25,), 7.0)
    family = PaintingFamily(FAMILY.painter, {"early": low, "late": high})
    (evaluator,) = open_evaluators(recipe("validation"), family, DATA)
    values = dict(evaluator(family))
    assert values == {
        "validation early": pytest.approx(12.0),
        "validation late": pytest.approx(7.0),
        "validation loss": pytest.approx(9.5),
    }
    assert family.was_training == [False] * 3
    assert family.nets.training


def test_validation_looks_at_as_many_images_as_asked() -> None:
    family = PaintingFamily(FAMILY.painter, {"a": torch.arange(25.0)})
    (evaluator,) = open_evaluators(recipe("validation", images=3), family, DATA)
    assert dict(evaluator(family))["validation loss"] == pytest.approx(1.0)


def test_nothing_is_opened_where_nothing_is_asked_for() -> None:
    assert open_evaluators(recipe(), FAMILY, Data(noise_images(0), [])) == []


@pytest.mark.parametrize(
    ("metrics", "args", "told"),
    [
        (["fidd"], {}, "no such metric as 'fidd', did you mean fid?"),
        (["x"], {}, "metrics: validation, fid, kid, clip_score, r_precision, scenes"),
        (["validation"], {"sceens": {}}, "evaluate.args: no such metric as 'sceens', did you mean"),
        (["fid"], {}, "evaluate.args: {fid: {weights: PATH}}"),
        (["kid"], {}, "evaluate.args: {kid: {weights: PATH}}"),
        (["clip_score"], {}, "evaluate.args: {clip_score: {weights: PATH}}"),
        (["r_precision"], {}, "evaluate.args: {r_precision: {weights: PATH}}"),
        (["fid"], {"fid": {"weights": "no/where.pt"}}, "evaluate.args.fid.weights: no such file"),
        (["clip_score"], {"clip_score": {"weights": "/no/clip"}}, "clip_score.weights: no such"),
        (["fid"], {"fid": {"weight": "a"}}, "evaluate.args.fid.weight: no such key, did you mean"),
        (["r_precision"], {"r_precision": {"candidates": 1}}, "greater than or equal to 2"),
        (["scenes"], {"scenes": {"media": ["flatt"]}}, "evaluate.args.scenes.media"),
        (["scenes"], {"scenes": {"recogniser": "no.safetensors"}}, "scenes.recogniser: no such"),
    ],
)
def test_what_is_wrong_is_told(metrics: list[str], args: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        open_evaluators(recipe(*metrics, **args), FAMILY, DATA)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_network_is_told(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"no network")
    with pytest.raises(RecipeError, match="expected a TorchScript file"):
        open_evaluators(recipe("fid", fid={"weights": str(file)}), FAMILY, DATA)


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    for metric in ("fid", "clip_score"):
        with pytest.raises(RecipeError, match=rf"evaluate.args.{metric}.weights: "):
            asked = recipe(metric, **{metric: {"weights": str(tmp_path)}})
            open_evaluators(asked, FAMILY, DATA)


def test_without_held_out_images_it_says_what_to_give() -> None:
    with pytest.raises(RecipeError, match=r"validation need held-out images: got 0.*data.held_out"):
        open_evaluators(recipe("validation"), FAMILY, Data(noise_images(0), []))


def test_every_metric_is_described_in_a_line() -> None:
    lines = describe()
    assert list(lines) == [
        *("validation", "fid", "kid", "clip_score", "r_precision", "scenes", "choice"),
    ]
    assert all(0 < len(line) < 100 and line.endswith(".") for line in lines.values())
