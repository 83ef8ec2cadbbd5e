"""A cluster whose nodes do not share the corpus's folder is told so before anything runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from recaption.corpus.reader import CorpusReader
from tests.corpus.build import write_photos

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)}
RAY = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=2"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running(*command: str, cwd: Path) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=cwd, start_new_session=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_relative_path_on_a_cluster_of_two_nodes(tmp_path: Path) -> None:
    """Ray was started in another folder; its second node has a disk of its own in one place."""
    may = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if os.geteuid() or not shutil.which("unshare") or subprocess.run(may).returncode:
        pytest.skip("may not give a process its own mounts here")
    for folder in ("elsewhere", "own", "home"):
        (tmp_path / folder).mkdir()
    write_photos(tmp_path / "home" / "photos")
    recipe = {"source": {"path": "photos", "part_samples": 4}, "engine": {"kind": "echo"}}
    recipe |= {"corpus": {"path": "corpus"}}
    (tmp_path / "home" / "r.yaml").write_text(yaml.safe_dump(recipe))
    port, scratch = free_port(), tempfile.mkdtemp(dir="/tmp")
    head = [*RAY, "--head", f"--port={port}", f"--temp-dir={scratch}", "--include-dashboard=false"]
    joins = [*RAY, f"--address=127.0.0.1:{port}"]
    blind = f"mount -t tmpfs tmpfs {tmp_path}/own && exec {' '.join(joins)}"
    elsewhere = tmp_path / "elsewhere"
    with running(*head, cwd=elsewhere):
        wait_for_nodes(port, 1)
        with running("unshare", "--mount", "bash", "-c", blind, cwd=elsewhere):
            wait_for_nodes(port, 2)
            refused = caption(tmp_path, port, f"corpus.path={tmp_path}/own/corpus")
            assert refused.returncode == 2, refused.stdout + refused.stderr
            assert "own/corpus is not seen by 1 of 2 nodes" in refused.stderr.splitlines()[-1]
            assert "Traceback" not in refused.stderr
            done = caption(tmp_path, port)
            assert done.returncode == 0, done.stdout + done.stderr
            assert CorpusReader(str(tmp_path / "home" / "corpus")).captions().num_rows == 20
            assert list(elsewhere.rglob("*.parquet")) == []
    shutil.rmtree(scratch, ignore_errors=True)


def caption(tmp_path: Path, port: int, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "recaption", "caption", "r.yaml", *overrides]
    environment = ENVIRONMENT | {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    return subprocess.run(
        command, cwd=tmp_path / "home", env=environment, capture_output=True, text=True, timeout=240
    )


def wait_for_nodes(port: int, count: int) -> None:
    code = (
        "import ray, time; ray.init(logging_level='ERROR', log_to_driver=False)\n"
        f"while sum(n['Alive'] for n in ray.nodes()) < {count}: time.sleep(0.5)"
    )
    environment = ENVIRONMENT | {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    for _ in range(10):
        done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=120)
        if done.returncode == 0:
            return
    raise AssertionError("the cluster did not come up")
