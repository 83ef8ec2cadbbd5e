"""Files with bytes changed: each is read, or one line of its shard; see `fuzz` for longer runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_some_seconds_of_changed_bytes() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.parquet.fuzz", "4"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "'broken'" in run.stdout and "'read'" in run.stdout
