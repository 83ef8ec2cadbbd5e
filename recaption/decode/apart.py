"""Decoding in a process apart, which is stopped when it takes too long or too much.

Decoders are C code that nothing interrupts, and some of their loops are Python that holds the
interpreter. A process of its own has a limit of CPU time and of memory from the system, knows no
secret of ours (its environment is all but empty), and is the first to go when memory runs out. It
is started at the first image that needs it, and kept. Each process has one such helper, so what
it decodes apart it decodes one by one; of the large ones a machine decodes one at a time.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from recaption.decode.cost import Cost
from recaption.decode.pixels import Picture
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason
from recaption.text import printable

MEDIUM = 512 * 2**20
"""Bytes that a reader's helper may take beside those of other readers; above, one at a time."""
MOST = 4 * 2**30
"""Bytes above which nothing is decoded. The largest images of all formats stay below."""

_WALL = 4  # how much longer it may take by the clock, where the machine is busy
_START_SECONDS = 120.0
_CHUNK = 2**20
FRAME = struct.Struct(">II")  # lengths of what follows: JSON, bytes
_KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "TMPDIR", "HOME")  # of the environment
Answer = dict[str, Any]
_COMMAND = "from recaption.decode.helper import serve; serve({})"


class HelperError(Exception):
    """The helper died, or did not answer in time."""


class Helper:
    """A process that decodes one image after the other. Not for several threads at once."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        ours, theirs = socket.socketpair()
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _COMMAND.format(theirs.fileno())],
                env=kept | one_thread | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._socket = ours
        self._receive(time.monotonic() + _START_SECONDS)  # it says that it is ready

    def ask(self, head: dict[str, object], data: bytes, seconds: float) -> tuple[Answer, bytearray]:
        """Send a question, return the answer. Raises HelperError, TimeoutError."""
        deadline = time.monotonic() + seconds
        text = json.dumps(head).encode()
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(FRAME.pack(len(text), len(data)) + text)
            self._socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:  # it is gone
            raise HelperError(str(error)) from error
        return self._receive(deadline)

    def _receive(self, deadline: float) -> tuple[Answer, bytearray]:
        texts, size = FRAME.unpack(self._exactly(FRAME.size, deadline))
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

    def close(self) -> int:
        """Stop it; return how it ended."""
        self._socket.close()
        if self.owner != os.getpid():  # a fork's copy
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(0.2)
        self._process.kill()
        return self._process.wait()


_lock = threading.Lock()
_helpers: list[Helper] = []


def read(data: bytes, spec: ImageSpec, cost: Cost) -> Picture:
    """Read an image apart. Raises DecodeError; TIMEOUT where it took too long."""
    is_large = cost.memory > MEDIUM
    most = min(MOST, _machine_memory() // 2) if is_large else 2 * MEDIUM
    head = {"spec": asdict(spec), "memory": most, "seconds": cost.allowed}
    with _lock, _one_at_a_time() if is_large else contextlib.nullcontext():
        try:
            answer, pixels = _helper().ask(head, data, _WALL * cost.allowed)
        except (HelperError, TimeoutError, ValueError) as error:
            ended = _drop()
            raise _stopped(error, ended, most, cost.allowed) from error
        if answer.get("stop"):
            _drop()
    return _picture(answer, pixels)


def close() -> None:
    """Stop this process's helper."""
    with _lock:
        _drop()


def _helper() -> Helper:
    if _helpers and _helpers[0].owner != os.getpid():
        _helpers.pop()._socket.close()
    if not _helpers:
        _helpers.append(Helper())
    return _helpers[0]


def _drop() -> int:
    return _helpers.pop().close() if _helpers else 0


def _stopped(error: Exception, ended: int, most: int, seconds: float) -> DecodeError:
    """Say why there is no answer; `ended` is the helper's exit status."""
    if isinstance(error, TimeoutError) or ended == -24:  # SIGXCPU
        return DecodeError(
            Reason.TIMEOUT, f"decoding was stopped after {seconds:.0f} s, the most for one image"
        )
    if ended == -9:
        message = f"decoding was killed, for want of memory perhaps (limit {most / 1e9:.1f} GB)"
        return DecodeError(Reason.TOO_MANY_PIXELS, message)
    why = f"signal {-ended}" if ended < 0 else f"{type(error).__name__}: {error}"
    return DecodeError(Reason.CORRUPT, printable(f"its decoder crashed ({why})"))


def _picture(answer: Answer, pixels: bytearray) -> Picture:
    """Make a picture of an answer, of which nothing is believed without a look."""
    if "reason" in answer:
        raise DecodeError(Reason(answer["reason"]), printable(str(answer["message"])))
    height, width = int(answer["height"]), int(answer["width"])
    if width < 1 or height < 1 or len(pixels) != 3 * width * height:
        raise DecodeError(Reason.FAILED, "the process that decodes gave no picture")
    return Picture(
        pixels=np.frombuffer(pixels, np.uint8).reshape(height, width, 3),
        original_width=int(answer["original_width"]),
        original_height=int(answer["original_height"]),
        format=printable(str(answer["format"])),
        is_plain=bool(answer["is_plain"]),
    )


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait until no other process of this user and machine decodes a large image."""
    path = Path(tempfile.gettempdir()) / f"recaption-decode-{os.getuid()}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # the system frees it where the process dies
        yield
    finally:
        os.close(handle)


def _machine_memory() -> int:
    """Return the bytes of memory of this machine, or of the container it is."""
    total = int(psutil.virtual_memory().total)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int((Path("/sys/fs/cgroup") / name).read_text()))
    return total


atexit.register(close)
