"""Programs that this one starts end with it, whatever ends it, and in order where there is time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

_PARENT = "RECAPTION_PARENT"
_GRACE_S = 30.0  # to write what is under way and to leave a cluster
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Children:
    """The programs that were started. Each has a process group of its own.

    So a signal from the terminal reaches this process alone, which ends them once; where this
    process is killed, the system ends them: see `end_with_parent`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._is_over = False

    def run(
        self, command: Sequence[str], captures: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; `captures`: return its output instead of showing it."""
        pipe = subprocess.PIPE if captures else None
        with self._lock:
            if self._is_over:
                raise KeyboardInterrupt
            child = subprocess.Popen(
                command,
                env=os.environ | {_PARENT: str(os.getpid())},
                stdout=pipe,
                stderr=pipe,
                text=True,
                errors="replace",
                process_group=0,
            )
            self._running.add(child)
        try:
            out, err = child.communicate()
        except BaseException:
            self.end()
            raise
        finally:
            with self._lock:
                self._running.discard(child)
        return subprocess.CompletedProcess(command, child.returncode, out, err)

    def end(self) -> None:
        """End all that run, by force where they take too long, and start no more."""
        with self._lock:
            self._is_over = True
            running = list(self._running)
        for child in running:
            child.terminate()
        deadline = time.monotonic() + _GRACE_S
        for child in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))
            if child.poll() is None:
                child.kill()


def end_with_parent() -> None:
    """In a program that `Children` started: get SIGTERM when the parent ends, however it ends."""
    parent = os.environ.pop(_PARENT, "")
    if not parent or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it ended before it could be watched
        sys.exit(1)


def end_in_order() -> None:
    """Let what ends a job or closes a terminal end a program as Ctrl-C does, but for `nohup`."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(name) is not signal.SIG_IGN:
            signal.signal(name, signal.default_int_handler)
