"""A training with everything on a real S3 server: images, captions, captions of crops, the run."""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path

import pytest
import torch
from rich.console import Console

from recaption import storage
from tests.corpora import make_corpus
from tests.corpus.build import BUCKET, needs_s3
from tests.train.data import caption_crops, make_recipe, write_shards
from tests.train.fakes import equal
from train.alone import run_alone
from train.checkpoints import Checkpoints
from train.config import TrainRecipe
from train.data import open_data
from train.logs import read_lines
from train.screen import Screen

SMALL = (
    *("model.preset=debug", "log_every=8", "checkpoints.every=24", "samples.every=24"),
    *("samples.prompts=[a red field]", "model.steps=2", "recaption.when_missing=whole"),
)


@pytest.fixture(autouse=True)
def settings_restored():
    yield
    torch.use_deterministic_algorithms(False)


def train(root: str, tmp_path: Path, images: int) -> TrainRecipe:
    """Train on the corpus below `root`, into a run below it."""
    placed = (f"data.corpus={root}/corpus", f"out={root}/run", f"images={images}")
    recipe = make_recipe(tmp_path, *SMALL, *placed)
    with Screen(Console(file=io.StringIO())) as screen:
        run_alone(recipe, open_data(recipe), screen)
    return recipe


def prepare(root: str, shards: str, tmp_path: Path) -> None:
    job = make_corpus(f"{root}/corpus", shards, "source.part_samples=8", "caption.styles=[short]")
    recipe = make_recipe(tmp_path, *SMALL, "images=48", f"data.corpus={root}/corpus")
    assert caption_crops(job, recipe, 6) > 0


@needs_s3
def test_a_run_on_s3_is_the_run_on_disk(tmp_path: Path) -> None:
    local = write_shards(tmp_path / "shards", shards=2, images=16)
    prepare(str(tmp_path / "disk"), local, tmp_path)
    train(str(tmp_path / "disk"), tmp_path, 48)

    root = f"s3://{BUCKET}/training-{uuid.uuid4().hex[:8]}"
    for file in sorted((tmp_path / "shards").iterdir()):
        storage.write_bytes(f"{root}/shards/{file.name}", file.read_bytes())
    prepare(root, f"{root}/shards/*.tar", tmp_path)
    train(root, tmp_path, 24)
    train(root, tmp_path, 48)  # goes on from the checkpoint in the bucket

    states = []
    for out in (f"{tmp_path}/disk/run", f"{root}/run"):
        checkpoints = Checkpoints(out)
        record = checkpoints.latest()
        assert record is not None and record.images == 48
        states.append(checkpoints.load(record))
    assert equal(*states), "the same bits"
    rows = [json.loads(line) for line in read_lines(f"{root}/run")]
    assert [row["images"] for row in rows] == [8, 16, 24, 32, 40, 48]
    names = set(storage.list_names(f"{root}/run"))
    assert {"samples/000000000024.png", "samples/000000000048.png"} <= names
    assert any(name.startswith("events/") for name in names)
