"""A session of Ray, with Ray itself left out: what it does to the process, and undoes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from recaption import runtime
from recaption.config import EngineConfig, RecipeError

JOIN_OR_START = runtime._join_or_start


def handle(*_: object) -> None:
    """The handler that the program had before."""


def handle_as_ray_does(*_: object) -> None:
    """The handler that `ray.init` sets."""


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray that starts nothing, but sets its handler as the real one does."""

    def start(_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handle_as_ray_does)

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(runtime, "_join_or_start", start)
    for name in ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "RAY_BACKEND_LOG_LEVEL"):
        monkeypatch.setenv(name, "0")
    before = signal.signal(signal.SIGTERM, handle)
    yield
    signal.signal(signal.SIGTERM, before)


def test_sigterm_ends_a_session_as_ctrl_c_does_and_is_the_programs_own_after_it() -> None:
    with pytest.raises(KeyboardInterrupt), runtime.session():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) is handle


def test_a_session_that_does_not_start_leaves_sigterm_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> None:
        signal.signal(signal.SIGTERM, handle_as_ray_does)
        raise ConnectionError("no cluster")

    monkeypatch.setattr(runtime, "_join_or_start", fail)
    with pytest.raises(ConnectionError), runtime.session():
        pass
    assert signal.getsignal(signal.SIGTERM) is handle


def test_a_session_in_a_thread_leaves_signals_alone() -> None:
    seen = []

    def work() -> None:
        with runtime.session():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [handle] and signal.getsignal(signal.SIGTERM) is handle


PLANS = [
    # engines, GPUs of one, cluster's GPUs, training's GPUs -> engines
    ("auto", "auto", 8, 0, 8),
    ("auto", "auto", 8, 2, 6),
    ("auto", 0.5, 2, 1, 2),
    (3, 1, 4, 1, 3),
    ("auto", "auto", 0, 0, 1),
]


@pytest.mark.parametrize(("replicas", "each", "has", "training", "engines"), PLANS)
def test_engines_take_the_gpus_that_training_leaves(
    monkeypatch: pytest.MonkeyPatch,
    replicas: object,
    each: object,
    has: float,
    training: float,
    engines: int,
) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"GPU": has, "CPU": 64})
    config = EngineConfig.model_validate({"model": "m", "replicas": replicas, "num_gpus": each})
    plan = runtime.plan_engines(config, runtime.Share(8, training, "compute.workers"))
    assert plan.replicas == engines and plan.num_gpus * engines + training <= has


FULL = [
    ({"num_gpus": 1}, 4, "an engine needs 1 GPUs, the cluster has 4, of which 4 are not for engin"),
    ({}, 4, r"an engine needs 1 GPUs, the cluster has 4, of which 4 .*\(compute.workers\)"),
    ({"replicas": 3}, 2, "3 engines of 1 GPUs need 3, the cluster has 4, of which 2 are not"),
    ({"num_cpus": 60}, 2, "has 64 CPUs, the engines need 120 and what runs beside them 8; set"),
]


@pytest.mark.parametrize(("changed", "training", "message"), FULL)
def test_engines_that_would_wait_for_ever_are_refused(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, object], training: float, message: str
) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"GPU": 4, "CPU": 64})
    config = EngineConfig.model_validate({"model": "m", **changed})
    with pytest.raises(RecipeError, match=message):
        runtime.plan_engines(config, runtime.Share(8, training, "compute.workers"))


def test_a_ray_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise Exception("The current node timed out during startup.\nThe raylet failed.")

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(RecipeError, match="Ray on this machine could not be reached") as caught:
        JOIN_OR_START({})
    assert "\n" not in str(caught.value) and "ray stop" in str(caught.value)
    monkeypatch.setenv("RAY_ADDRESS", "node7:6379")
    with pytest.raises(RecipeError, match="RAY_ADDRESS=node7:6379 could not be reached"):
        JOIN_OR_START({})


def test_nobody_else_reads_rays_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    modes = []

    def init(**_: object) -> None:
        token = tmp_path / ".ray" / "auth_token"
        token.parent.mkdir(parents=True, exist_ok=True)
        token.write_text("token")
        modes.append(token.parent.stat().st_mode & 0o777)

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = os.umask(0o022)
    JOIN_OR_START({})
    assert os.umask(before) == 0o022, "workers write the corpus as the user's umask says"
    assert modes == [0o700] and (tmp_path / ".ray/auth_token").stat().st_mode & 0o777 == 0o600
