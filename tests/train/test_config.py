"""Training recipes: those that come with the package load; a wrong one is told what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from recaption.config import RecipeError
from train.compare import load_comparison
from train.config import load_train_recipe

CONFIGS = Path(__file__).parents[2] / "configs"
DEMO = str(CONFIGS / "train" / "demo.yaml")


@pytest.mark.parametrize("path", sorted((CONFIGS / "train").glob("*.yaml")), ids=lambda p: p.stem)
def test_recipes_load_and_tell_what_to_run(path: Path) -> None:
    assert load_train_recipe(path).data.corpus
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any("python -m train" in line for line in header)


@pytest.mark.parametrize("path", sorted((CONFIGS / "study").glob("*.yaml")), ids=lambda p: p.stem)
def test_comparisons_load(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    comparison, cells = load_comparison(str(path))
    assert len(cells) == len(comparison.arms) * len(comparison.seeds)
    assert len({cell.recipe.out for cell in cells}) == len(cells)


WRONG = [
    ("data.lanes=3", r"data.batch_size=8 cannot be divided among data.lanes=3"),
    ("compute.workers=3", r"data.lanes=2 cannot be divided among compute.workers=3"),
    ("optimizer.accumulate=3", r"a worker's 4 images .* optimizer.accumulate=3 equal pieces"),
    ("data.export=x", r"expected either data.corpus or data.export"),
    ("recaption.enabled=false", r"recaption.enabled=false asks for no captions"),
    ("model.preset=huge", r"model.preset: expected .*debug.*, got 'huge'"),
    ("crops.least_area=2", r"crops.least_area"),
    ("rotation.policy=robin", r"rotation.policy: expected fixed, round_robin"),
    ("data.styels=[a]", r"data.styels: no such key, did you mean styles"),
    ("images=0", r"images: expected .*greater than or equal to 1"),
]


@pytest.mark.parametrize(("override", "message"), WRONG)
def test_a_wrong_key_or_value_is_explained(override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_train_recipe(DEMO, [override])
