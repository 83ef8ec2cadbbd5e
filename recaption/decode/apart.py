"""Decoding in a process apart, which is stopped when it takes too long or too much.

The helper (`helper_process`) has a limit of CPU time and of memory from the system, and is the
first to go when memory runs out. Each process has one, so what it decodes apart it decodes one by
one; of the large ones a machine decodes one at a time.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil

from recaption.decode.cost import Cost
from recaption.decode.pixels import Picture
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.helper_process import Head, HelperError, KeptHelper
from recaption.sample import Reason
from recaption.text import printable

MEDIUM = 512 * 2**20
"""Bytes that a reader's helper may take beside those of other readers; above, one at a time."""
MOST = 4 * 2**30
"""Bytes above which nothing is decoded. The largest images of all formats stay below."""

_WALL = 4  # how much longer it may take by the clock, where the machine is busy


_lock = threading.Lock()
_helper = KeptHelper("from recaption.decode.helper import run; run({})")


def read(data: bytes, spec: ImageSpec, cost: Cost) -> Picture:
    """Read an image apart. Raises DecodeError; TIMEOUT where it took too long."""
    is_large = cost.memory > MEDIUM
    most = min(MOST, _machine_memory() // 2) if is_large else 2 * MEDIUM
    head = {"spec": asdict(spec), "memory": most, "seconds": cost.allowed}
    with _lock, _one_at_a_time() if is_large else contextlib.nullcontext():
        try:
            answer, pixels = _helper.get().ask(head, data, _WALL * cost.allowed)
        except (HelperError, TimeoutError, ValueError) as error:
            ended = _helper.drop()
            raise _stopped(error, ended, most, cost.allowed) from error
        if answer.get("stop"):
            _helper.drop()
    return _picture(answer, pixels)


def close() -> None:
    """Stop this process's helper."""
    with _lock:
        _helper.drop()


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


def _picture(answer: Head, pixels: bytearray) -> Picture:
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
