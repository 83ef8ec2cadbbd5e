"""The training: the same sums as transformers, losses that fall, runs that go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, AutoTokenizer

from recaption.shapeworld.captioner import BUILT_IN, architecture, train
from recaption.shapeworld.captioner.batches import START, draw_batches
from recaption.shapeworld.captioner.forward import patches_of, read, see
from recaption.shapeworld.captioner.measure import auc, calibration_error
from recaption.shapeworld.captioner.train import Plan

TINY = Plan(
    copy=3, vision=4, simple=3, joint=12, images=4, answers=2, save_every=5, measure_every=50
)


@pytest.fixture(autouse=True)
def shipped_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a tokenizer takes half a minute, reading the shipped one a moment."""
    shipped = AutoTokenizer.from_pretrained(BUILT_IN["builtin:shapeworld"])
    monkeypatch.setattr(train, "make_tokenizer", lambda seed: shipped)


def test_the_fast_forward_gives_what_transformers_gives() -> None:
    processor = AutoProcessor.from_pretrained(BUILT_IN["builtin:shapeworld"])
    tokenizer = processor.tokenizer
    model = architecture.build(tokenizer, 1).eval()
    # Of a size that the processor leaves as it is: sized twice, 144 x 96 would become 168 x 120.
    least = architecture.SIZE.min_pixels // architecture.PATCH**2
    drawn = draw_batches(tokenizer, 1, 0, 4, 1)
    batch = next(one for one in drawn if one.grid[0] * one.grid[1] > least)
    images = [Image.fromarray(image) for image in batch.images]
    inputs = processor.image_processor(images=images, return_tensors="pt")
    rows, columns = batch.grid
    assert inputs["image_grid_thw"].tolist() == [[1, rows, columns]] * 4
    start = torch.tensor(tokenizer(START).input_ids)
    ids = torch.from_numpy(batch.ids)
    pad = torch.full((4, rows * columns // 4), tokenizer.convert_tokens_to_ids("<|image_pad|>"))
    whole = torch.cat([start.expand(4, -1), pad, ids], dim=1)
    with torch.no_grad():
        _, tokens = see(model.model.visual, patches_of(batch.images), batch.grid)
        ours = read(model, start, tokens, batch.grid, ids)
        theirs = model.model(
            input_ids=whole,
            attention_mask=torch.ones_like(whole),
            mm_token_type_ids=(whole == pad[0, 0]).int(),
            use_cache=False,
            **inputs,
        ).last_hidden_state[:, -ids.shape[1] :]
    assert (ours - theirs).abs().max() < 1e-4


def test_stages_and_rates_follow_the_plan() -> None:
    plan = Plan(copy=10, vision=10, simple=10, joint=100, decay=0.5)
    assert [plan.stage_of(step)[0] for step in (0, 10, 20, 30)] == [
        "copy", "vision", "simple", "joint",
    ]  # fmt: skip
    rates = [plan.rate_at(step) for step in range(130)]
    assert max(rates) <= plan.rate and rates[-1] == pytest.approx(0.02 * plan.rate)
    assert rates[70] > rates[100] > rates[125]
    with pytest.raises(ValueError, match="got step 130, expected one below 130"):
        plan.stage_of(130)


def test_the_losses_fall_and_every_parameter_learns(tmp_path: Path) -> None:
    course = train.Course(replace(TINY, joint=60), tmp_path)
    course.step = 10
    batch = next(draw_batches(course.tokenizer, 2, 0, 4, 2))
    before = {k: v.clone() for k, v in course.model.named_parameters()}
    losses = [course.advance("joint", batch) for _ in range(30)]
    assert losses[-1][0] < 0.6 * losses[0][0] and losses[-1][1] < losses[0][1]
    unchanged = [k for k, v in course.model.named_parameters() if torch.equal(v, before[k])]
    assert not unchanged


def test_a_stopped_training_goes_on_and_ends_in_a_checkpoint(tmp_path: Path) -> None:
    train.train(replace(TINY, joint=2), tmp_path)
    first = json.loads((tmp_path / "curve.jsonl").read_text().splitlines()[-1])
    train.train(TINY, tmp_path)
    last = json.loads((tmp_path / "curve.jsonl").read_text().splitlines()[-1])
    assert (first["step"], last["step"]) == (12, 22)
    assert last["seconds"] >= first["seconds"]
    files = {file.name for file in (tmp_path / "checkpoint").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files


def test_the_shipped_checkpoint_is_small() -> None:
    folder = BUILT_IN["builtin:shapeworld"]
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10 * 2**20


def test_auc_and_calibration_error_of_known_cases() -> None:
    truth = np.array([True, True, False, False])
    assert auc(np.array([0.9, 0.8, 0.2, 0.1]), truth) == 1.0
    assert auc(np.array([0.5, 0.5, 0.5, 0.5]), truth) == 0.5
    assert calibration_error(np.array([0.5, 0.5, 0.5, 0.5]), truth) == 0.0
    assert calibration_error(np.array([1.0, 1.0, 1.0, 1.0]), truth) == 0.5
