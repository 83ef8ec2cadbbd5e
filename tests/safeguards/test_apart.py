"""Long captions are checked in a process apart, which a check that hangs does not outlive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import psutil
import pytest

from recaption import safeguards
from recaption.helper_process import KeptHelper
from recaption.safeguards import apart
from recaption.safeguards.verdict import Asked
from recaption.sample import Caption, Hints

WORDS = "A brown dog lies on a red sofa beside a window, and a cat sits on the floor. "
LONG = Caption(WORDS * 100, 1, "stop", 5, 2000, -0.5)
ASKED = Asked("dense", "English", "Describe the picture.", Hints("a dog", ("dog",)))

# a helper like ours, but for one more check, whose expression takes 2^30 steps on what it is given
HANGING = """
import re
from recaption import safeguards
from recaption.safeguards.verdict import Verdict
def hangs(caption, asked):
    return Verdict(str(re.match("(a|aa)+$", "a" * 60 + "b")))
def raises(caption, asked):
    raise KeyError("no such key")
safeguards.CHECKS = (safeguards.CHECKS[0], NAME)
from recaption.safeguards.apart import run
run({})
"""


@pytest.fixture(autouse=True)
def _no_helper_is_left() -> Iterator[None]:
    yield
    apart.close()


def examine(caption: Caption) -> tuple[safeguards.Verdict, ...]:
    return asyncio.run(apart.examine(caption, ASKED))


def test_the_verdicts_are_those_of_the_checks() -> None:
    assert len(LONG.text) > apart.ORDINARY
    assert examine(LONG) == safeguards.examine(LONG, ASKED)
    helper = apart._helper.get()
    assert helper.pid != psutil.Process().pid
    assert examine(LONG) == safeguards.examine(LONG, ASKED)
    assert apart._helper.get() is helper, "it is kept"


def test_an_ordinary_caption_needs_no_other_process() -> None:
    short = Caption(WORDS, 1, "stop", 5, 20, -0.5)
    assert examine(short) == safeguards.examine(short, ASKED)
    assert apart._helper.drop() == 0


def test_a_check_that_hangs_is_stopped_while_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apart, "_helper", KeptHelper(HANGING.replace("NAME", "hangs")))
    monkeypatch.setattr(apart, "SECONDS", 1)
    apart._helper.get()  # started before time counts
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.05)
            ticks += 1

    async def both() -> None:
        beside = asyncio.create_task(tick())
        try:
            await apart.examine(LONG, ASKED)
        finally:
            beside.cancel()

    pid, started = apart._helper.get().pid, time.monotonic()
    with pytest.raises(TimeoutError, match="stopped after 1 s"):
        asyncio.run(both())
    assert time.monotonic() - started < 60 and ticks > 10
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_what_a_check_raises_comes_back_as_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_helper", KeptHelper(HANGING.replace("NAME", "raises")))
    with pytest.raises(RuntimeError, match=r"^KeyError: .no such key.$"):
        examine(LONG)
