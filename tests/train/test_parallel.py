"""Two workers do what one does, whether they copy or share out the weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.train.fakes import equal
from tests.train.two_workers import CAPTIONS, HALF, IMAGES, run
from train.parallel import Workers

ROOT = Path(__file__).parents[2]


def start(count: int, folder: Path) -> list:
    """Run so many workers to their end; return what each of them saved."""
    commands = [
        [sys.executable, "-m", "tests.train.two_workers", str(rank), str(count), str(folder)]
        for rank in range(count)
    ]
    running = [subprocess.Popen(c, cwd=ROOT, stderr=subprocess.PIPE) for c in commands]
    errors = [process.communicate(timeout=120)[1].decode() for process in running]
    assert all(p.returncode == 0 for p in running), "\n".join(errors)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return start(2, tmp_path_factory.mktemp("two"))


def close(a, b):
    for name, weights in a["nets"].items():
        torch.testing.assert_close(weights, b["nets"][name], rtol=1e-3, atol=1e-4)
    for name, weights in a["ema"].items():
        torch.testing.assert_close(weights, b["ema"][name], rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def alone():
    return run("ddp", Workers())


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_workers_train_as_one_does(two, alone, kind):
    close(two[0][kind][0][IMAGES], alone[0][IMAGES])
    for one, other in zip(two[0][kind][1], alone[1], strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_pieces_of_a_batch_add_up(two, alone, kind):
    close(two[0][f"{kind} in pieces"][0][IMAGES], alone[0][IMAGES])


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_workers_resume_bit_for_bit(two, kind):
    assert equal(two[0][kind][0][IMAGES], two[0][f"{kind} resumed"][0][IMAGES])


def test_a_state_moves_between_ways_to_be_parallel(two, alone):
    close(two[0]["ddp, then fsdp"][0][IMAGES], alone[0][IMAGES])
    assert two[0]["ddp"][0][HALF].keys() == alone[0][HALF].keys()
    assert two[0]["fsdp"][0][HALF]["nets"].keys() == alone[0][HALF]["nets"].keys()


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_samples_are_shared_out_and_joined(two, alone, kind):
    for worker in two:
        samples = worker[kind][2]
        assert samples.shape == alone[2].shape == (len(CAPTIONS), 3, 8, 8)
        assert (samples.int() - alone[2].int()).abs().max() <= 1


def test_all_workers_stop_with_one_error(two):
    first, second = (worker["error"] for worker in two)
    assert first == second
    assert "step 2, 16 images seen before it" in first
    assert "worker 1's images: image-20, image-21" in first
    assert "image-19" not in first


@pytest.mark.slow
def test_four_workers_resume_bit_for_bit(tmp_path):
    results = start(4, tmp_path)[0]
    for kind in ("ddp", "fsdp"):
        assert equal(results[kind][0][IMAGES], results[f"{kind} resumed"][0][IMAGES])
