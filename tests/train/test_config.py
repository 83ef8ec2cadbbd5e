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
    data = load_train_recipe(path).data
    assert data.corpus or data.export
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any("python -m train" in line or "recaption train" in line for line in header)


@pytest.mark.parametrize("path", sorted((CONFIGS / "study").glob("*.yaml")), ids=lambda p: p.stem)
def test_comparisons_load(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    comparison, cells = load_comparison(str(path))
    assert len(cells) == len(comparison.arms) * len(comparison.seeds)
    assert len({cell.recipe.out for cell in cells}) == len(cells)


WRONG = [
    ("data.lanes=3", r"data.batch_size=16 cannot be divided among data.lanes=3"),
    ("compute.workers=3", r"data.lanes=2 cannot be divided among compute.workers=3"),
    ("optimizer.accumulate=3", r"a worker's 8 images .* optimizer.accumulate=3 equal pieces"),
    ("data.export=x", r"expected either data.corpus or data.export"),
    ("recaption.enabled=false", r"recaption.enabled=false asks for no captions"),
    ("model.preset=huge", r"model.preset: expected .*debug.*, got 'huge'"),
    ("crops.least_area=2", r"crops.least_area"),
    ("rotation.policy=robin", r"rotation.policy: expected fixed, round_robin"),
    ("data.styels=[a]", r"data.styels: no such key, did you mean styles"),
    ("images=-5", r"images: expected .*greater than or equal to 1"),
    ("images=1000000000000", r"images: expected .*less than or equal to"),
    ("data.batch_size=0", r"data.batch_size: expected .*greater than or equal to 1"),
    ("data.window=-1", r"data.window"),
    ("data.readers=0", r"data.readers"),
    ("data.read_cpus=0", r"data.read_cpus"),
    (
        "data={corpus: x, image_size: 4096, batch_size: 8}",
        r"window=1024 images .* GiB .* to \d+ or",
    ),
    ("data.held_out=1", r"data.held_out"),
    ("data={export: x, version: a, batch_size: 8}", r"data.version belongs to data.corpus"),
    ("optimizer.rate=0", r"optimizer.rate"),
    ("optimizer.rate=.nan", r"optimizer.rate"),
    ("optimizer.betas=[0.9, 1.0]", r"optimizer.betas.1: expected .*less than 1"),
    ("optimizer.warmup=-1", r"optimizer.warmup"),
    ("optimizer.ema=2", r"optimizer.ema"),
    ("rotation.alt_text=-1", r"rotation.alt_text: expected a share from 0 to 1, got -1"),
    ("rotation.dropout={points: [[0, 0.1], [1, 1.5]]}", r"dropout: expected a share .* got 1.5"),
    ("rotation={alt_text: 0.8, class_name: 0.8}", r"are 1.6 together at progress 0"),
    ("rotation.policy=weighted", r"rotation.policy=weighted needs rotation.style_weights"),
    ("rotation={policy: weighted, style_weights: {a: 0}}", r"all of them are 0 at progress 0"),
    (
        "rotation={policy: weighted, style_weights: {a: {points: [[0, 1], [0.5, 0]]}}}",
        r"all of them are 0 at progress 0.5",
    ),
    ("rotation.style_weights={a: -1}", r"style_weights.a: expected 0 or more, got -1"),
    ("rotation.score_temperature=-1", r"score_temperature: expected 0 or more"),
    ("rotation.class_template='a {x} {}'", r"expected one \{\} for the class name"),
    ("crops={least_area: 0.8, most_area: 0.2}", r"least_area=0.8 is above crops.most_area=0.2"),
    ("crops.per_image=0", r"crops.per_image"),
    ("recaption.wait_s=0", r"recaption.wait_s"),
    ("model.steps=0", r"model.steps"),
    ("model.width=-8", r"model.width"),
    ("model={width: 48, heads: 12, depth: 1, text: {width: 40}}", r"text.width=40"),
    ("model={width: 16, heads: 2, depth: 1}", r"width=16: the text encoder .* multiple of 32"),
    ("compute.workers=0", r"compute.workers"),
    ("compute.num_gpus=-1", r"compute.num_gpus: expected .*got -1"),
    ("compute.num_gpus=1.5", r"compute.num_gpus: expected a share of one GPU, a whole number"),
    ("compute.precision=fp16", r"compute.precision: expected fp32 or bf16"),
    ("checkpoints.every=0", r"checkpoints.every"),
    ("checkpoints.keep=0", r"checkpoints.keep"),
    ("samples.per_prompt=0", r"samples.per_prompt"),
    ("evaluate.every=-1", r"evaluate.every"),
    ("evaluate.images=0", r"evaluate.images"),
    ("log_every=0", r"log_every"),
    ("images=0", r"images: expected .*greater than or equal to 1"),
]


@pytest.mark.parametrize(("override", "message"), WRONG)
def test_a_wrong_key_or_value_is_explained(override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_train_recipe(DEMO, [override])
