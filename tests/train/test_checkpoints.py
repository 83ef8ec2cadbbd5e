"""Checkpoints: whole or not at all, the right ones stay, others are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from recaption import storage
from recaption.config import RecipeError
from recaption.notices import take_notices
from train.checkpoints import DAMAGED, Checkpoints, Record, find_checkpoint, stay
from train.config import CheckpointConfig


def state(images, value=0.0):
    return {"images": images, "nets": {"w": torch.full((3,), value)}}


def names(out: Path) -> list[str]:
    return sorted(p.name for p in (out / "checkpoints").iterdir())


def test_what_is_saved_can_be_loaded(tmp_path):
    checkpoints = Checkpoints(str(tmp_path))
    assert checkpoints.latest() is None
    checkpoints.save(state(100, 1.5), {"loss": 0.5}, {"model": {"preset": "debug"}})
    record = checkpoints.latest()
    assert record is not None
    assert (record.images, record.metrics["loss"]) == (100, 0.5)
    assert checkpoints.load(record)["nets"]["w"].tolist() == [1.5] * 3


def test_the_last_ones_stay_and_nothing_is_left_over(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), CheckpointConfig(keep=2))
    for images in (10, 20, 30):
        checkpoints.save(state(images))
    assert [r.images for r in checkpoints.records()] == [20, 30]
    assert len(names(tmp_path)) == 4


def test_the_best_one_and_one_in_so_many_stay():
    records = [
        Record(images, f"{images}.pt", 0, "", {"fid": fid} if fid else {})
        for images, fid in ((10, 9.0), (20, 3.0), (30, 5.0), (40, float("nan")), (50, None))
    ]
    kept = stay(records, CheckpointConfig(keep=1, best="fid"))
    assert [r.images for r in kept] == [20, 50]
    kept = stay(records, CheckpointConfig(keep=1, keep_every=25))
    assert [r.images for r in kept] == [30, 50]


def test_data_without_a_record_is_no_checkpoint_and_is_removed(tmp_path):
    checkpoints = Checkpoints(str(tmp_path))
    checkpoints.save(state(10))
    left = tmp_path / "checkpoints" / "000000000020-0123abcd.pt"
    left.write_bytes(b"half")
    mine = tmp_path / "checkpoints" / "notes.txt"
    mine.write_text("not ours to remove")
    latest = checkpoints.latest()
    assert latest is not None
    assert latest.images == 10
    checkpoints.save(state(30))
    assert not left.exists()
    assert mine.exists()


def test_a_record_without_data_is_passed_over(tmp_path):
    checkpoints = Checkpoints(str(tmp_path))
    checkpoints.save(state(10))
    lost = checkpoints.save(state(20))
    (tmp_path / "checkpoints" / lost.data).unlink()
    assert [r.images for r in checkpoints.records()] == [10]


def test_written_again_the_later_attempt_counts(tmp_path):
    checkpoints = Checkpoints(str(tmp_path))
    checkpoints.save(state(10, 1.0))
    checkpoints.save(state(10, 2.0))
    (record,) = checkpoints.records()
    assert checkpoints.load(record)["nets"]["w"][0] == 2
    assert len(names(tmp_path)) == 2


def test_damage_is_told(tmp_path):
    checkpoints = Checkpoints(str(tmp_path))
    record = checkpoints.save(state(10))
    data = tmp_path / "checkpoints" / record.data
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    with pytest.raises(RecipeError, match="is damaged"):
        checkpoints.load(record)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    checkpoints = Checkpoints(str(tmp_path))
    record = checkpoints.save({"images": 10, "nets": Path("x")})
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        checkpoints.load(record)


@pytest.mark.parametrize("kind", ["run", "record", "data"])
def test_a_checkpoint_is_found_by_what_a_user_names(tmp_path, kind):
    record = Checkpoints(str(tmp_path)).save(state(10))
    folder = tmp_path / "checkpoints"
    place = {"run": tmp_path, "record": folder / record.name, "data": folder / record.data}[kind]
    assert find_checkpoint(str(place))[1].images == 10


def test_no_checkpoint_is_told(tmp_path):
    with pytest.raises(RecipeError, match="no checkpoint there"):
        find_checkpoint(str(tmp_path))
    record = Checkpoints(str(tmp_path)).save(state(10))
    with pytest.raises(RecipeError, match=re.escape(record.name)):
        find_checkpoint(str(tmp_path / "checkpoints" / "000000000099.json"))


def test_a_record_that_is_none_is_told(tmp_path):
    record = Checkpoints(str(tmp_path)).save(state(10))
    path = str(tmp_path / "checkpoints" / record.name)
    storage.write_bytes(path, json.dumps({"images": 1}).encode())
    with pytest.raises(RecipeError, match="not the record of a checkpoint"):
        Checkpoints(str(tmp_path)).latest()


DAMAGES = {
    "data cut short": lambda data, record: data.write_bytes(data.read_bytes()[:-9]),
    "data emptied": lambda data, record: data.write_bytes(b""),
    "data changed": lambda data, record: data.write_bytes(data.read_bytes()[:-1] + b"x"),
    "record cut short": lambda data, record: record.write_bytes(record.read_bytes()[:-9]),
    "record emptied": lambda data, record: record.write_bytes(b""),
    "record a list": lambda data, record: record.write_bytes(b"[]"),
    "record deep": lambda data, record: record.write_bytes(b"[" * 100_000),
    "record of text": lambda data, record: record.write_bytes(b'{"images": "x", "data": 1}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, damage):
    checkpoints = Checkpoints(str(tmp_path))
    checkpoints.save(state(10))
    last = checkpoints.save(state(20))
    folder = tmp_path / "checkpoints"
    DAMAGES[damage](folder / last.data, folder / last.name)
    take_notices()
    found = checkpoints.load_latest()
    assert found is not None and found[0].images == 10 and found[1]["images"] == 10
    (notice,) = take_notices()
    assert notice.kind == DAMAGED and last.name[:12] in notice.example


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_none_can_be_read_it_is_an_error_not_a_new_beginning(tmp_path, damage):
    checkpoints = Checkpoints(str(tmp_path))
    last = checkpoints.save(state(20))
    folder = tmp_path / "checkpoints"
    DAMAGES[damage](folder / last.data, folder / last.name)
    with pytest.raises(RecipeError, match=r"is damaged|not the record of a checkpoint"):
        checkpoints.load_latest()
