"""Recipes by name: a file of the user's goes first, then a checkout's, then what came with us."""

from __future__ import annotations

from pathlib import Path

import pytest

from recaption.recipe_file import load_recipe
from recaption.recipes import KINDS, describe_recipes, find_recipe
from tests.command_line import recaption
from train.compare import load_comparison
from train.config import load_train_recipe

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", ["photos", "photos.yaml", "configs/caption/photos.yaml"])
def test_a_recipe_is_found_outside_a_checkout(elsewhere: Path, given: str) -> None:
    recipe = load_recipe(given, ["source.path=images", "corpus.path=out"])
    assert recipe.engine.model == "Qwen/Qwen3-VL-2B-Instruct"
    assert recipe.corpus.path == str(elsewhere / "out")


def test_the_nearest_file_is_taken(elsewhere: Path) -> None:
    ours = find_recipe("photos", "caption")
    assert ours.samefile(CONFIGS / "caption" / "photos.yaml")
    for path in ("configs/caption/photos.yaml", "photos.yaml"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("")
        assert find_recipe("photos", "caption") == Path(path)
    Path("photos").mkdir()  # a folder of that name is no recipe
    assert find_recipe("photos", "caption") == Path("photos.yaml")


@pytest.mark.parametrize("given", ["sub/photos", "nothing", "../photos.yaml", "x" * 5000, "a\0b"])
def test_what_is_not_there_stays_as_it_was_given(elsewhere: Path, given: str) -> None:
    assert find_recipe(given, "caption") == Path(given)


def test_each_kind_has_names_of_its_own(elsewhere: Path) -> None:
    assert load_recipe("demo").corpus.path.endswith("out/demo/corpus")
    assert load_train_recipe("demo").out.endswith("out/demo/train")
    _, cells = load_comparison("captions")  # its base is configs/train/scenes.yaml, as here
    assert cells


@pytest.mark.parametrize("words", [[], ["phtos"], ["source.path=x"]])
def test_without_a_recipe_those_that_there_are_get_listed(
    elsewhere: Path, words: list[str]
) -> None:
    told = recaption("caption", *words)
    error, heading, *lines, last = told.err.splitlines()
    assert told.code == 2 and error.startswith("error: ") and "NAME" in heading
    assert ("did you mean photos?" in error) == (words == ["phtos"])
    assert [line.split()[0] for line in lines] == sorted(
        file.stem for file in (CONFIGS / "caption").glob("*.yaml")
    )
    assert "of your own" in last


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_for_each_recipe_says_what_it_is_for(kind: str) -> None:
    heading, *lines = describe_recipes(kind)
    assert len(lines) == len(list((CONFIGS / kind).glob("*.yaml")))
    assert all(len(line) < 80 and len(line.split()) > 4 for line in (heading, *lines))


def test_a_recipe_can_be_printed(elsewhere: Path) -> None:
    assert recaption("recipes", "photos").out == (CONFIGS / "caption/photos.yaml").read_text()
    assert recaption("recipes", "train/demo").out == (CONFIGS / "train/demo.yaml").read_text()
    assert "did you mean places365?" in recaption("recipes", "places356").complaint
    assert recaption("recipes", "../caption/photos").code == 2
