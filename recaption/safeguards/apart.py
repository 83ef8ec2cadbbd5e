"""Checks of a long caption run in a process apart, which is stopped when they take too long.

The checks take time in proportion to a caption's length, as the tests hold them to, so that those
of an ordinary caption end within a fraction of a second: they run where the caption is. What a
captioner that went wrong, or a stranger's server, makes as long as it may be would hold the event
loop that feeds the engine: its checks go to a helper, and are given up where one of them hangs.
"""

from __future__ import annotations

import asyncio
import atexit
import pickle
import threading
from typing import cast

from recaption import safeguards
from recaption.helper_process import Head, HelperError, KeptHelper, limit_cpu, serve
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption
from recaption.text import describe_error

ORDINARY = 4_000
"""Characters of a caption up to which its checks run in the engine's own process."""
SECONDS = 20
"""Of processor time that the checks of one caption may take apart."""

_WALL = 4  # how much longer it may take by the clock, where the machine is busy

_lock = threading.Lock()
_helper = KeptHelper("from recaption.safeguards.apart import run; run({})")


async def examine(caption: Caption, asked: Asked) -> tuple[Verdict, ...]:
    """Return the verdict of each check. Raises TimeoutError, and whatever a check raises."""
    if len(caption.text) <= ORDINARY:
        return safeguards.examine(caption, asked)
    return await asyncio.to_thread(_ask, caption, asked)


def _ask(caption: Caption, asked: Asked) -> tuple[Verdict, ...]:
    question = pickle.dumps((caption, asked), protocol=5)
    with _lock:
        try:
            head, data = _helper.get().ask({}, question, _WALL * SECONDS)
        except (HelperError, TimeoutError, ValueError) as error:
            _helper.drop()
            message = f"the checks were stopped after {SECONDS} s, the most for one caption"
            raise TimeoutError(message) from error
    if "error" in head:
        raise RuntimeError(head["error"])
    verdicts = pickle.loads(data)  # noqa: S301 - our own process, which read no stranger's bytes
    return cast(tuple[Verdict, ...], verdicts)


def run(descriptor: int) -> None:
    """Answer, in the process apart, until the other side is gone."""
    serve(descriptor, _answer)


def _answer(_: Head, question: bytes) -> tuple[Head, bytes]:
    limit_cpu(SECONDS)
    caption, asked = pickle.loads(question)  # noqa: S301 - our own process asked
    try:
        return {}, pickle.dumps(safeguards.examine(caption, asked), protocol=5)
    except Exception as error:  # told to who asked
        return {"error": describe_error(error)}, b""


def close() -> None:
    """Stop this process's helper."""
    with _lock:
        _helper.drop()


atexit.register(close)
