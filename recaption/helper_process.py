"""A process apart that answers questions, and is stopped when it takes too long.

C code, a long regular expression and a loop of Python that holds the interpreter are interrupted
by nothing within their own process. A helper is told what to do over a socket, knows no secret of
ours (its environment is all but empty), and is killed where it does not answer in time. It is
started at the first question, and kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

_START_SECONDS = 120.0
_CHUNK = 2**20
_FRAME = struct.Struct(">II")  # lengths of what follows: JSON, bytes
_KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "TMPDIR", "HOME")  # of the environment

Head = dict[str, Any]
"""The part of a question or an answer that is JSON; bytes go beside it."""


class HelperError(Exception):
    """The helper died, or its answer cannot be read."""


class Helper:
    """A process that answers one question after the other. Not for several threads at once.

    `command` is Python, with {} for the descriptor of the socket that it is to `serve`.
    """

    def __init__(self, command: str) -> None:
        self.owner = os.getpid()
        ours, theirs = socket.socketpair()
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", command.format(theirs.fileno())],
                env=kept | one_thread | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._socket = ours
        self._receive(time.monotonic() + _START_SECONDS)  # it says that it is ready

    def ask(self, head: Head, data: bytes, seconds: float) -> tuple[Head, bytearray]:
        """Send a question, return the answer. Raises HelperError, TimeoutError."""
        deadline = time.monotonic() + seconds
        text = json.dumps(head).encode()
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(_FRAME.pack(len(text), len(data)) + text)
            self._socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:  # it is gone
            raise HelperError(str(error)) from error
        return self._receive(deadline)

    def _receive(self, deadline: float) -> tuple[Head, bytearray]:
        texts, size = _FRAME.unpack(self._exactly(_FRAME.size, deadline))
        head = json.loads(self._exactly(texts, deadline))
        return head, self._exactly(size, deadline)

    def _exactly(self, size: int, deadline: float) -> bytearray:
        received = bytearray(size)
        view, done = memoryview(received), 0
        while done < size:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                count = self._socket.recv_into(view[done : done + _CHUNK])
            except TimeoutError:
                raise
            except OSError as error:
                raise HelperError(str(error)) from error
            if count == 0:
                raise HelperError("the connection ended")
            done += count
        return received

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def close(self) -> int:
        """Stop it; return how it ended."""
        self._socket.close()
        if self.owner != os.getpid():  # a fork's copy
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(0.2)
        self._process.kill()
        return self._process.wait()


class KeptHelper:
    """The helper of this process: started when it is first asked for, anew after it was dropped."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._helpers: list[Helper] = []

    def get(self) -> Helper:
        """Return it. Raises HelperError or TimeoutError where it does not start."""
        if self._helpers and self._helpers[0].owner != os.getpid():
            self._helpers.pop().close()
        if not self._helpers:
            self._helpers.append(Helper(self._command))
        return self._helpers[0]

    def drop(self) -> int:
        """Stop it, where there is one; return how it ended."""
        return self._helpers.pop().close() if self._helpers else 0


def serve(descriptor: int, answer: Callable[[Head, bytes], tuple[Head, bytes]]) -> None:
    """Answer questions, in the helper's process, until the other side is gone."""
    connection = socket.socket(fileno=descriptor)
    stream = connection.makefile("rb")
    _send(connection, {}, b"")
    while True:
        head = stream.read(_FRAME.size)
        if len(head) < _FRAME.size:
            return
        texts, size = _FRAME.unpack(head)
        question = json.loads(stream.read(texts))
        _send(connection, *answer(question, stream.read(size)))


def _send(connection: socket.socket, head: Head, data: bytes) -> None:
    text = json.dumps(head).encode()
    connection.sendall(_FRAME.pack(len(text), len(data)) + text)
    connection.sendall(data)


def limit_cpu(seconds: float) -> None:
    """Let this process be stopped after so much more processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + 1)


def limit(kind: int, value: int) -> None:
    """Set a soft limit; where a system has none of its kind the others remain."""
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(kind)[1]
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, hard))
