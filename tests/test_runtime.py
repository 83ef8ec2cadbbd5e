"""A session of Ray, with Ray itself left out: what it does to the process, and undoes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import ray

from recaption import runtime


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
