"""A training killed at random, and the proof that it ends with the weights of an undisturbed one.

    python -m tests.crash.train configs/train/demo.yaml images=20000 --kills 10

Driver and workers are killed with SIGKILL at keyed random moments. A worker's death has to be
survived within the run; after the driver's the same command is given again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from recaption import keyed
from train.checkpoints import Checkpoints

TARGETS = ("driver", "worker")
_LONGEST_S = 3600.0


def main() -> None:
    """Train calmly, train under fire, compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", help="key=value")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, nargs=2, default=(0.5, 12.0), metavar="S")
    parser.add_argument("--folder", type=Path, default=None, help="kept; default: a temporary one")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="crash-train-"))
    folder.mkdir(parents=True, exist_ok=True)
    calm, stormy = folder / "calm", folder / "stormy"
    command = [sys.executable, "-m", "train", given.recipe, *given.overrides]
    command.append("compute.max_failures=-1")
    subprocess.run([*command, f"out={calm}"], check=True)
    kills, commands = run_under_fire(
        [*command, f"out={stormy}"], stormy, given.kills, given.seed, folder / "log", given.pause
    )
    different = differences(final_state(calm), final_state(stormy))
    print(f"kills        {kills.total()}: {dict(kills)}, {commands} commands")
    print(f"same bits    {not different} {different[:5]}")
    print(f"kept         {folder}")
    if different or kills.total() < given.kills:
        raise SystemExit(1)


def run_under_fire(
    command: list[str], out: Path, kills: int, seed: int, log: Path, pause: tuple[float, float]
) -> tuple[Counter[str], int]:
    """Give a command until it ends with 0; return what was killed, and how often it was given."""
    done: Counter[str] = Counter()
    for commands in range(1, kills + 10):
        with log.open("ab") as file:
            run = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        ours: set[psutil.Process] = set()
        try:
            _kill_parts_of(run, out, kills, seed, pause, done, ours)
            code = run.wait(timeout=_LONGEST_S)
        finally:
            _end(run, ours)
        if code == 0:
            return done, commands
    raise AssertionError(f"the command never comes through, see {log}")


def final_state(out: Path) -> dict[str, Any]:
    """Return the state a run ended with."""
    checkpoints = Checkpoints(str(out))
    record = checkpoints.latest()
    assert record is not None, f"no checkpoint in {out}"
    return checkpoints.load(record)


def differences(a: Any, b: Any, name: str = "") -> list[str]:
    """Return the names of what is not the same in two states, bit for bit."""
    if isinstance(a, Mapping) and isinstance(b, Mapping) and a.keys() == b.keys():
        return [one for key in a for one in differences(a[key], b[key], f"{name}.{key}")]
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return [] if a.dtype == b.dtype and torch.equal(a, b) else [name]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))  # betas are a tuple, but a list once loaded
        return [one for i, (x, y) in pairs for one in differences(x, y, f"{name}.{i}")]
    return [] if a == b else [name]


def _kill_parts_of(
    run: subprocess.Popen[bytes],
    out: Path,
    kills: int,
    seed: int,
    pause: tuple[float, float],
    done: Counter[str],
    ours: set[psutil.Process],
) -> None:
    while done.total() < kills and run.poll() is None:
        if not _wait_for_a_step(run, out):
            return
        number = done.total()
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(timeout=pause[0] + (pause[1] - pause[0]) * keyed.uniform("t", seed, number))
            return
        target = TARGETS[keyed.integer("target", seed, number) % len(TARGETS)]
        ours |= _children(run)
        workers = sorted((p for p in ours if _is_worker(p)), key=lambda p: p.pid)
        if target == "driver":
            run.kill()
        elif workers:
            workers[keyed.integer("which", seed, number) % len(workers)].kill()
        else:
            continue
        done[target] += 1
        if target == "driver":
            return


def _wait_for_a_step(run: subprocess.Popen[bytes], out: Path) -> bool:
    """Wait until the run logs something from now on; say whether it lives."""
    started, log = time.time(), out / "log.jsonl"
    while run.poll() is None:
        if log.exists() and log.stat().st_size and log.stat().st_mtime > started:
            return True
        time.sleep(0.1)
    return False


def _children(run: subprocess.Popen[bytes]) -> set[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return set(psutil.Process(run.pid).children(recursive=True))
    return set()


def _is_worker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and "RayTrainWorker" in " ".join(process.cmdline())
    return False


def _end(run: subprocess.Popen[bytes], ours: set[psutil.Process]) -> None:
    """Leave nothing of this run behind that could disturb the next one, and touch nothing else."""
    ours |= _children(run)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(ours, timeout=15)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    main()
