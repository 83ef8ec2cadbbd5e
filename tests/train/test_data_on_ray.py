"""Training data on a real Ray: the same pairs as without, and crops captioned while it reads."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from recaption.config import RecipeError
from recaption.corpus.regions import RegionLedger
from recaption.runtime import Share
from tests.train.data import Letters, caption_crops, caption_shards, make_recipe, read_batches, seen
from train.data import TrainData, open_data
from train.screen import Screen
from train.warm import caption_all_crops

ECHO = "recaption.engine={kind: echo}"
LIVE = ("recaption.is_live=true", "recaption.when_missing=wait", "recaption.wait_s=120", ECHO)


TRAINING = Share(cpus=2, keys="here")


def stream(data: TrainData, workers: int, first: int, steps: int) -> list[list[object]]:
    """Read some steps of all workers through Ray Data."""
    readers = [data.batches(rank, workers, first, Letters()) for rank in range(workers)]
    return seen([[next(reader) for _ in range(steps)] for reader in readers])  # type: ignore


def test_ray_reads_what_the_loader_reads(tmp_path: Path, ray_session: None) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, "recaption.when_missing=full"))
    expected = seen(read_batches(data, 1, 0, 14))
    assert stream(data, 1, 0, 14) == expected
    assert stream(data, 2, 9, 5) == expected[9:14]


def test_crops_are_captioned_beside_the_reading(tmp_path: Path, ray_session: None) -> None:
    job = caption_shards(tmp_path)
    recipe = make_recipe(tmp_path, *LIVE, "images=112")
    data = open_data(recipe)
    with data.serving(TRAINING) as tell:
        assert tell().startswith("crop")
        live = stream(data, 2, 0, data.steps)
        counts = data.counts()
        assert data.board is not None
        captions = data.board.counts()["captions of crops"]
    assert counts["crops own"] > 60 and "crops whole" not in counts
    assert captions >= counts["crops own"]
    # What was written is found again, and is what another way of captioning would have written.
    ledger = RegionLedger(str(tmp_path / "corpus"), job.made_by.fingerprint)
    assert len(ledger.committed()) == 9
    assert caption_crops(job, recipe, data.steps) == 0
    warm = open_data(make_recipe(tmp_path, "images=112", "recaption.when_missing=full"))
    assert seen(read_batches(warm, 1, 0, data.steps)) == live


def test_crops_can_be_captioned_before(tmp_path: Path, ray_session: None) -> None:
    job = caption_shards(tmp_path)
    recipe = make_recipe(tmp_path, "images=112", ECHO)
    console = Console(file=io.StringIO(), width=200)
    with Screen(console, every_s=0.5) as screen:
        assert caption_all_crops(recipe, screen).startswith("crops of 18 parts captioned ->")
        assert caption_crops(job, recipe, 14) == 0
        assert caption_all_crops(recipe, screen) == "all crops have their captions"
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "captioning crops 0/18, " in told


def test_captioners_that_stop_end_the_waiting(tmp_path: Path, ray_session: None) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, *LIVE))
    for shard in (tmp_path / "shards").iterdir():
        shard.unlink()
    with pytest.raises(Exception, match=r"the captioners of crops stopped"), data.serving(TRAINING):
        stream(data, 1, 0, 3)


def test_what_a_reading_task_meets_is_told_by_its_cause(tmp_path: Path, ray_session: None) -> None:
    caption_shards(tmp_path)
    shards = tmp_path / "shards"
    shutil.copy(shards / "00000.tar", shards / "00001.tar")
    data = open_data(make_recipe(tmp_path, "recaption.when_missing=full"))
    with pytest.raises(RecipeError, match=r"^00001.tar: \d captioned samples .*was it replaced"):
        stream(data, 1, 0, 14)


WRONG = [
    ("num_cpus=4", r"has 4 CPUs, the engines need 4 and what .* 2; set .*here"),
    ("model=other", r"its crops would be by [0-9a-f]{16}: the model"),
    ("num_cpus=100", r"the cluster has 4 CPUs"),
    ("modl=other", r"recaption.engine: .*modl"),
]


@pytest.mark.parametrize(("override", "message"), WRONG)
def test_a_wrong_captioner_is_refused(
    tmp_path: Path, ray_session: None, override: str, message: str
) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, *LIVE, f"recaption.engine.{override}"))
    with pytest.raises(RecipeError, match=message), data.serving(TRAINING):
        pass
