"""Kills processes of a run at keyed random moments and runs the same command again.

A target is a kind of process of the run: its driver, a Ray worker, the engine's process, the
raylet. After driver and raylet the run is over, and the command is given again; the others must
be survived within the run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from recaption import keyed
from recaption.corpus.reader import CorpusReader

TARGETS = ("driver", "worker", "engine", "raylet")
ENDS_THE_RUN = {"driver", "raylet"}
_ALONE_S = 60.0


@dataclass(slots=True)
class Outcome:
    """What happened until the command came through."""

    kills: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    misses: int = 0
    seconds: float = 0.0
    summaries: int = 0


def run_under_fire(
    command: list[str], kills: int, seed: int, log: Path, pause: tuple[float, float] = (1.0, 8.0)
) -> Outcome:
    """Give a command until it ends with 0, with `kills` processes killed on the way.

    The pause before a kill is drawn between the two bounds in seconds, counted from the start of
    the run's first worker or from the kill before.
    """
    outcome, started = Outcome(), time.monotonic()
    while True:
        outcome.commands += 1
        assert outcome.commands <= kills + 10, f"the command never comes through, see {log}"
        with log.open("ab") as out:
            run = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        try:
            _kill_parts_of(run, kills, seed, pause, outcome)
            code = run.wait(timeout=900)
        finally:
            _end_all_of(run)
        if code == 0:
            outcome.seconds = time.monotonic() - started
            return outcome


def _kill_parts_of(
    run: subprocess.Popen[bytes], kills: int, seed: int, pause: tuple[float, float], out: Outcome
) -> None:
    _wait_for_work(run)
    while out.kills.total() < kills and run.poll() is None:
        number = out.kills.total() + out.misses
        low, high = pause
        wait = low + (high - low) * keyed.uniform("pause", seed, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(timeout=wait)
            return
        target = TARGETS[keyed.integer("target", seed, number) % len(TARGETS)]
        if _kill(run.pid, target, keyed.integer("which", seed, number)):
            out.kills[target] += 1
        else:
            out.misses += 1
        if target in ENDS_THE_RUN:
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(timeout=_ALONE_S)
            return


def _wait_for_work(run: subprocess.Popen[bytes]) -> None:
    while run.poll() is None and not _find(run.pid, "engine"):
        time.sleep(0.2)


def _kill(driver: int, target: str, choice: int) -> bool:
    found = _find(driver, target)
    if not found:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(found[choice % len(found)], signal.SIGKILL)
    return True


def _find(driver: int, target: str) -> list[int]:
    """Return the processes of a run that a target stands for, in order."""
    if target == "driver":
        return [driver]
    pids = [pid for pid, name in _family(driver) if _is(target, name)]
    if target == "engine":
        cores = [pid for pid, name in _family(driver) if "EngineCore" in name]
        return cores or pids
    return pids


def _is(target: str, name: str) -> bool:
    if target == "raylet":
        return "/raylet" in name.split(" ")[0]
    if target == "engine":
        return name.startswith("ray::") and "Captioner" in name
    return name.startswith("ray::") and ("MapBatches" in name or "IDLE" in name)


def _family(driver: int) -> Iterator[tuple[int, str]]:
    try:
        children = psutil.Process(driver).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in sorted(children, key=lambda c: c.pid):
        with contextlib.suppress(psutil.Error):
            yield child.pid, " ".join(child.cmdline()) or child.name()


def _end_all_of(run: subprocess.Popen[bytes]) -> None:
    """Leave nothing of a run behind that could disturb the next one."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    deadline = time.monotonic() + 15
    while _leftovers() and time.monotonic() < deadline:
        time.sleep(0.3)
    for pid in _leftovers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _leftovers() -> list[int]:
    """Return orphans of runs: Ray's and vLLM's processes that belong to nobody any more."""
    found = []
    for process in psutil.process_iter(["ppid", "cmdline", "name"]):
        name = " ".join(process.info["cmdline"] or []) or process.info["name"] or ""
        is_ours = name.startswith("ray::") or "/raylet" in name or "EngineCore" in name
        if is_ours and process.info["ppid"] in {0, 1}:
            found.append(process.pid)
    return found


Key = tuple[str, str, str, int]


def read_captions(corpus: str) -> dict[Key, str]:
    """Return a corpus's captions by (sample, region, style, slot). Fails on a doubled one."""
    table = (
        CorpusReader(corpus).captions().select(["sample_id", "region", "style", "slot", "caption"])
    )
    rows = table.to_pylist()
    captions = {(r["sample_id"], r["region"], r["style"], r["slot"]): r["caption"] for r in rows}
    assert len(captions) == len(rows), f"{len(rows) - len(captions)} captions are doubled"
    return captions


def caption_command(recipe: Path, corpus: Path, *overrides: str) -> list[str]:
    """The command line of a run."""
    command = [sys.executable, "-m", "recaption", "caption", str(recipe), f"corpus.path={corpus}"]
    return [*command, "run.progress_s=5", *overrides]
