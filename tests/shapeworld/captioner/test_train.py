"""The training: the same sums as transformers, losses that fall, runs that go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor, AutoTokenizer

from recaption.shapeworld.captioner import BUILT_IN, architecture, course, train
from recaption.shapeworld.captioner.batches import START, draw_batches
from recaption.shapeworld.captioner.course import Course
from recaption.shapeworld.captioner.forward import patches_of, read, read_before, see
from recaption.shapeworld.captioner.measure import auc, calibration_error
from recaption.shapeworld.captioner.plan import STAGES, Plan

TINY = Plan(
    copy=3,
    vision=4,
    simple=3,
    joint=12,
    reward=0,
    images=4,
    more=4,
    answers=2,
    drawn=3,
    save_every=5,
    measure_every=50,
)


@pytest.fixture(autouse=True)
def shipped_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a tokenizer takes half a minute, reading the shipped one a moment."""
    shipped = AutoTokenizer.from_pretrained(BUILT_IN["builtin:shapeworld"])
    monkeypatch.setattr(course, "make_tokenizer", lambda seed: shipped)


def test_the_fast_forward_gives_what_transformers_gives() -> None:
    processor = AutoProcessor.from_pretrained(BUILT_IN["builtin:shapeworld"])
    tokenizer = processor.tokenizer
    model = architecture.build(tokenizer, 1).eval()
    # Of a size that the processor leaves as it is: sized twice, 144 x 96 would become 168 x 120.
    least = architecture.SIZE.min_pixels // architecture.PATCH**2
    drawn = draw_batches(tokenizer, 1, 0, 4, 1)
    batch = next(b for b in drawn if b.pictures.grid[0] * b.pictures.grid[1] > least)
    pictures = batch.pictures
    images = [Image.fromarray(image) for image in pictures.images]
    inputs = processor.image_processor(images=images, return_tensors="pt")
    rows, columns = pictures.grid
    assert inputs["image_grid_thw"].tolist() == [[1, rows, columns]] * 4
    start = torch.tensor(tokenizer(START).input_ids)
    ids = torch.from_numpy(batch.texts.ids)
    pad = torch.full((4, rows * columns // 4), tokenizer.convert_tokens_to_ids("<|image_pad|>"))
    whole = torch.cat([start.expand(4, -1), pad, ids], dim=1)
    with torch.no_grad():
        _, tokens = see(model.model.visual, patches_of(pictures.images), pictures.grid)
        before = read_before(model, start, tokens, pictures.grid)
        ours = read(model, before, ids)
        theirs = model.model(
            input_ids=whole,
            attention_mask=torch.ones_like(whole),
            mm_token_type_ids=(whole == pad[0, 0]).int(),
            use_cache=False,
            **inputs,
        ).last_hidden_state[:, -ids.shape[1] :]
    assert (ours - theirs).abs().max() < 1e-4


def test_stages_and_rates_follow_the_plan() -> None:
    plan = Plan(copy=10, vision=10, simple=10, joint=100, reward=80, decay=0.5)
    assert [plan.stage_of(step)[0] for step in (0, 10, 20, 30, 130)] == [*STAGES]
    rates = [plan.rate_at(step) for step in range(210)]
    assert max(rates) <= plan.rate and rates[129] == pytest.approx(0.02 * plan.rate)
    assert rates[70] > rates[100] > rates[125]
    assert rates[130] < rates[150] < plan.reward_rate and rates[160] > rates[209]
    with pytest.raises(ValueError, match="got step 210, expected one below 210"):
        plan.stage_of(210)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_losses_fall_and_every_parameter_learns(tmp_path: Path, dtype: torch.dtype) -> None:
    state = Course(replace(TINY, joint=60), tmp_path, dtype)
    state.step = 10
    batch = next(draw_batches(state.tokenizer, 2, 0, 4, 2))
    before = {k: v.clone() for k, v in state.model.named_parameters()}
    losses = [state.advance("joint", (batch, batch.pictures)) for _ in range(30)]
    assert losses[-1][0] < 0.6 * losses[0][0] and losses[-1][1] < losses[0][1]
    unchanged = [k for k, v in state.model.named_parameters() if torch.equal(v, before[k])]
    assert not unchanged


def test_a_stopped_training_goes_on_and_ends_in_a_checkpoint(tmp_path: Path) -> None:
    train.train(replace(TINY, joint=2), tmp_path)
    first = json.loads((tmp_path / "curve.jsonl").read_text().splitlines()[-1])
    train.train(replace(TINY, reward=2), tmp_path)
    last = json.loads((tmp_path / "curve.jsonl").read_text().splitlines()[-1])
    assert (first["step"], last["step"]) == (12, 24)
    assert last["seconds"] >= first["seconds"]
    files = {file.name for file in (tmp_path / "checkpoint").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files


def test_a_checkpoint_is_trained_further(tmp_path: Path) -> None:
    shipped = BUILT_IN["builtin:shapeworld"]
    few = replace(TINY, copy=0, vision=0, simple=0, joint=1, images=2, more=2, answers=1)
    train.train(replace(few, rate=0.0), tmp_path, shipped)
    ours, theirs = (load_file(f / "model.safetensors") for f in (tmp_path / "checkpoint", shipped))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_shipped_checkpoint_is_small() -> None:
    folder = BUILT_IN["builtin:shapeworld"]
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10 * 2**20


def test_auc_and_calibration_error_of_known_cases() -> None:
    truth = np.array([True, True, False, False])
    assert auc(np.array([0.9, 0.8, 0.2, 0.1]), truth) == 1.0
    assert auc(np.array([0.5, 0.5, 0.5, 0.5]), truth) == 0.5
    assert calibration_error(np.array([0.5, 0.5, 0.5, 0.5]), truth) == 0.0
    assert calibration_error(np.array([1.0, 1.0, 1.0, 1.0]), truth) == 0.5
