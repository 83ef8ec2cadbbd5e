"""Killed at random and given again, a run ends with what an undisturbed one has.

A few kills here; `python -m tests.crash --kills 30` for many, `--engine vllm` for the real engine.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.crash.harness import caption_command, read_captions, run_under_fire
from tests.crash.recipe import write_recipe


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, images=2000)
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    subprocess.run(caption_command(recipe, calm), check=True, capture_output=True, timeout=300)
    expected = read_captions(str(calm))
    assert len(expected) == 2000 * 4
    command = caption_command(recipe, stormy)
    outcome = run_under_fire(command, kills=4, seed=3, log=tmp_path / "log", pause=(4.0, 9.0))
    assert outcome.kills.total() >= 3, "too few kills: the test tests nothing"
    assert read_captions(str(stormy)) == expected
