"""The built-in captioner is let loose on rendered scenes only, unless the recipe confirms it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from recaption.config import EngineConfig, Recipe, RecipeError
from recaption.engines.scope import check_scope, is_rendered
from recaption.job import resolve_job
from recaption.notices import take_notices
from recaption.recipe_file import parse_recipe
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.writing import write_set

BUILT_IN = EngineConfig(kind="vllm", model="builtin:shapeworld")


def recipe(source: Path | str, corpus: Path, **engine: object) -> Recipe:
    return parse_recipe(
        {
            "source": {"path": str(source)},
            "engine": {"model": "builtin:shapeworld", **engine},
            "corpus": {"path": str(corpus)},
        }
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.effect_noise((64, 48), 60).convert("RGB").save(folder / "family.jpg")
    return folder


def test_photographs_are_refused_with_a_way_on(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"rendered scenes only.*Qwen.*confirm_builtin=true"):
        resolve_job(recipe(photos, tmp_path / "corpus"))
    assert not (tmp_path / "corpus").exists()


def test_who_confirms_it_is_told_of_it_by_the_run(photos: Path, tmp_path: Path) -> None:
    take_notices()
    resolve_job(recipe(photos, tmp_path / "corpus", confirm_builtin=True))
    (notice,) = take_notices()
    assert "made up" in notice.kind and notice.example == str(photos)


@pytest.mark.parametrize("layout", ["webdataset", "imagenet", "openimages"])
def test_rendered_sets_are_known_in_every_layout(layout: str, tmp_path: Path) -> None:
    write_set(RenderedSet(1, 1, 3), layout, str(tmp_path / "set"), 1)
    for source in (tmp_path / "set", *(f for f in (tmp_path / "set").iterdir() if f.is_dir())):
        assert is_rendered(str(source))
    resolve_job(recipe(tmp_path / "set", tmp_path / "corpus"))


def test_scenes_that_are_drawn_on_demand_need_no_label() -> None:
    check_scope(BUILT_IN, "shapeworld://seed=1,images=3")


@pytest.mark.parametrize("root", ["/", "/nowhere", "s3://bucket", "https://host/a", "relative"])
def test_where_no_label_is_nothing_is_rendered(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("recaption.storage.exists", lambda url: bool(asked.append(url)))
    assert not is_rendered(root)
    assert all("rendered.json" in url and "//rendered" not in url for url in asked)


def test_random_weights_are_told_to_mean_nothing(tmp_path: Path) -> None:
    take_notices()
    check_scope(EngineConfig(kind="vllm", model="random:tiny"), str(tmp_path))
    (notice,) = take_notices()
    assert "mean nothing" in notice.kind
