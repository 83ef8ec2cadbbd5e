"""Comparisons: arms x seeds as runs of their own, finished ones skipped; a table and a plot."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from recaption.config import RecipeError
from tests.train.data import caption_shards
from train.compare import (
    is_finished,
    load_comparison,
    results,
    run_cells,
    write_results,
)
from train.compare_pictures import Result, draw_samples
from train.errors import TrainingError

TINY = {
    "images": 16,
    "data": {"image_size": 16, "batch_size": 8, "lanes": 1, "held_out": 0.1},
    "model": {"preset": "debug", "text": {"length": 8}, "steps": 2},
    "compute": {"threads": 1},
    "evaluate": {"metrics": ["validation"], "images": 4},
}


def write_comparison(tmp_path: Path, **changes: object) -> str:
    data = TINY["data"] | {"corpus": str(tmp_path / "corpus")}  # type: ignore[operator]
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(TINY | {"out": "x", "data": data}))
    comparison = {
        "base": str(tmp_path / "base.yaml"),
        "out": str(tmp_path / "out"),
        "seeds": [1, 2],
        "metric": "validation loss",
        "arms": {"fixed": ["rotation.policy=fixed"], "in turn": []},
    }
    path = tmp_path / "comparison.yaml"
    path.write_text(yaml.safe_dump(comparison | changes))
    return str(path)


def test_cells_run_once_and_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caption_shards(tmp_path)
    monkeypatch.setattr("train.compare._TELL_S", 0.05)
    comparison, cells = load_comparison(write_comparison(tmp_path, seeds=[1]))
    told: list[str] = []
    run_cells(comparison, cells, 1, told.append)
    assert any(line.startswith("images 16/32 50.0%") and " left 0:" in line for line in told), told
    told = [line for line in told if not line.startswith("images ")]
    assert all(is_finished(cell) for cell in cells) and len(told) == 3
    run_cells(comparison, cells, 2, told.append)
    assert told[-1] == "2 runs, 2 of them finished"
    lines = write_results(comparison, results(cells))
    assert len(lines) == 2 and lines[0].startswith("fixed ")
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(found["validation loss"]) == {"fixed", "in turn"}
    assert (tmp_path / "out" / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_cell_that_was_killed_before_its_last_evaluation_is_not_finished(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    _, (cell, _) = load_comparison(write_comparison(tmp_path, seeds=[1]))
    log = Path(cell.recipe.out) / "log.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"images": 16, "loss": 0.5}) + "\n")
    assert not is_finished(cell)
    with log.open("a") as file:
        file.write(json.dumps({"images": 16, "validation loss": 0.5}) + "\n")
    assert is_finished(cell)


def test_samples_of_arms_stand_side_by_side(tmp_path: Path) -> None:
    from PIL import Image

    assert draw_samples({"a": str(tmp_path / "a")}) == b""
    for arm, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / arm / "samples").mkdir(parents=True)
        for name, shade in (("000.png", "white"), ("001.png", colour)):
            Image.new("RGB", (40, 60), shade).save(tmp_path / arm / "samples" / name)
    picture = draw_samples({arm: str(tmp_path / arm) for arm in "ab"})
    drawn = Image.open(io.BytesIO(picture)).convert("RGB")
    left, right = (drawn.getpixel((drawn.width * k // 4, drawn.height // 2)) for k in (1, 3))
    assert (left, right) == ((255, 0, 0), (0, 0, 255))


def test_intervals_are_students(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    _, cells = load_comparison(write_comparison(tmp_path))
    for cell, value in zip(cells, (0.1, 0.2, 0.3, 0.4), strict=True):
        Path(cell.recipe.out).mkdir(parents=True)
        row = {"images": 16, "validation loss": value}
        (Path(cell.recipe.out) / "log.jsonl").write_text(json.dumps(row) + "\n")
    found = results(cells)["validation loss"]["fixed"]
    assert found == Result(0.2, pytest.approx(12.71 * 0.1), (0.1, 0.3))


WRONG = [
    ({"metric": [3]}, r"metric: expected text"),
    ({"arms": {"a": ["rotation.polcy=x"]}}, r"polcy"),
    ({"base": "nowhere.yaml"}, r"recipe .*nowhere.yaml: no such file"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_wrong_comparison_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_comparison(write_comparison(tmp_path, **changes))


def test_a_cell_that_fails_says_why(tmp_path: Path) -> None:
    comparison, cells = load_comparison(write_comparison(tmp_path, seeds=[1]))
    with pytest.raises(TrainingError, match=r"fixed, seed 1: error: .*not a corpus"):
        run_cells(comparison, cells[:1], 1, lambda _: None)
