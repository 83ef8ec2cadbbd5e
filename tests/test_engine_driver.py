"""The driver against the echo engine: every request ends in an answer, whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from recaption.config import EngineConfig, RecipeError, SamplingConfig
from recaption.engines.base import (
    CaptionEngine,
    EngineBootError,
    EngineInfo,
    Job,
    JobImage,
    boot_engine,
)
from recaption.engines.driver import EngineDriver
from recaption.engines.echo import EchoEngine
from recaption.parts import Answer
from recaption.sample import Caption, Reason, Request


def jobs(count: int) -> list[Job]:
    image = JobImage(b"image", "hash")
    request = Request("short", "describe", "short@v1", "h", n=2, seed=7)
    return [Job(f"s{i}", image, request) for i in range(count)]


def run(config: EngineConfig, count: int) -> tuple[list[Answer], EngineDriver]:
    async def go() -> tuple[list[Answer], EngineDriver]:
        driver = EngineDriver(config, lambda: boot_engine(config, SamplingConfig()))
        answers = await driver.answer_all(jobs(count))
        await driver.close()
        return answers, driver

    return asyncio.run(go())


def echo(**args: Any) -> EngineConfig:
    timeout = args.pop("timeout_s", 5.0)
    concurrency = args.pop("concurrency", 64)
    return EngineConfig(kind="echo", args=args, timeout_s=timeout, concurrency=concurrency)


def reasons(answers: list[Answer]) -> dict[int, Reason]:
    return {i: a.rejection.reason for i, a in enumerate(answers) if a.rejection}


def test_answers_come_in_order_and_number() -> None:
    answers, driver = run(echo(), 100)
    assert all(len(a.captions) == 2 and a.rejection is None for a in answers)
    assert [c.seed for c in answers[0].captions] == [7, 8]
    assert driver.counters.captions == 200 and driver.counters.boots == 1


def test_one_failure_does_not_sink_the_others() -> None:
    answers, _ = run(echo(fail_on=["s3", "s7"]), 20)
    assert reasons(answers) == {3: Reason.REQUEST_FAILED, 7: Reason.REQUEST_FAILED}


def test_a_hanging_request_times_out_alone() -> None:
    answers, driver = run(echo(hang_on=["s3"], delay_s=0.05, timeout_s=0.3, concurrency=4), 60)
    assert reasons(answers) == {3: Reason.TIMEOUT}
    assert driver.counters.deaths == 0


@pytest.mark.parametrize("killers", [["s5"], ["s0", "s31", "s32", "s99"]])
def test_a_killer_is_found_and_no_innocent_is_rejected(killers: list[str]) -> None:
    answers, driver = run(echo(die_on=killers, delay_s=0.002), 100)
    assert reasons(answers) == {int(k[1:]): Reason.KILLED_ENGINE for k in killers}
    assert driver.counters.boots == driver.counters.deaths + 1


def test_engines_that_are_killed_from_outside_cost_no_request() -> None:
    config = echo(delay_s=0.01, concurrency=16)

    async def go() -> list[Answer]:
        engines: list[EchoEngine] = []

        async def boot() -> EchoEngine:
            engines.append(await EchoEngine.boot(config, SamplingConfig()))
            return engines[-1]

        driver = EngineDriver(config, boot)
        work = asyncio.create_task(driver.answer_all(jobs(400)))
        for _ in range(6):
            await asyncio.sleep(0.03)
            if engines:  # on a busy machine the first may not be there yet
                await engines[-1].close()
        return await work

    assert reasons(asyncio.run(go())) == {}


def test_a_hung_engine_is_replaced() -> None:
    config = echo(timeout_s=0.2)

    class Hung(EchoEngine):
        async def answer(self, job: Job) -> Any:
            await asyncio.sleep(3600)

    async def go() -> tuple[list[Answer], int]:
        boots = 0

        async def boot() -> EchoEngine:
            nonlocal boots
            boots += 1
            return Hung(config) if boots == 1 else EchoEngine(config)

        driver = EngineDriver(config, boot)
        return await driver.answer_all(jobs(10)), boots

    answers, boots = asyncio.run(go())
    assert reasons(answers) == {} and boots == 2


def boot_that_fails(times: int) -> tuple[Callable[[], Awaitable[EchoEngine]], list[int]]:
    tried: list[int] = []

    async def boot() -> EchoEngine:
        tried.append(1)
        if len(tried) <= times:
            raise EngineBootError("no such model")
        return EchoEngine(echo())

    return boot, tried


def test_a_boot_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recaption.engines.driver._BACKOFF_S", 0.01)
    boot, tried = boot_that_fails(2)
    answers = asyncio.run(EngineDriver(echo(), boot).answer_all(jobs(3)))
    assert len(tried) == 3 and reasons(answers) == {}


def test_an_engine_that_never_boots_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recaption.engines.driver._BACKOFF_S", 0.01)
    boot, _ = boot_that_fails(99)
    with pytest.raises(EngineBootError, match="no such model"):
        asyncio.run(EngineDriver(echo(), boot).answer_all(jobs(3)))


class Broken:
    """An engine whose answer raises what nobody foresaw."""

    info = EngineInfo("broken", "", "", "")
    concurrency = 4

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def answer(self, job: Job) -> list[Caption]:
        if job.sample_id == "s1":
            raise self._error
        return [Caption("a cat", 0, "stop", 1, 1, None)]

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "error",
    [RecursionError("too deep"), OverflowError("2**99"), MemoryError(), KeyError("\x1b[2J")],
)
def test_whatever_an_answer_raises_is_that_requests_reject(error: Exception) -> None:
    async def boot() -> CaptionEngine:
        return Broken(error)

    answers = asyncio.run(EngineDriver(echo(), boot).answer_all(jobs(3)))
    assert reasons(answers) == {1: Reason.FAILED}
    assert answers[1].rejection and type(error).__name__ in answers[1].rejection.message
    assert "\x1b" not in answers[1].rejection.message


@pytest.mark.parametrize(
    "error", [EngineBootError("wrong key", is_final=True), RecipeError("engine.args.x: none such")]
)
def test_what_no_boot_can_mend_is_told_at_the_first(error: Exception) -> None:
    boots = 0

    async def boot() -> CaptionEngine:
        nonlocal boots
        boots += 1
        raise error

    with pytest.raises(EngineBootError, match=str(error)) as failure:
        asyncio.run(EngineDriver(echo(), boot).answer_all(jobs(3)))
    assert boots == 1 and failure.value.is_final


def test_a_killer_is_rejected_with_what_its_engines_died_of() -> None:
    answers, _ = run(echo(die_on=["s2"]), 4)
    assert answers[2].rejection
    assert answers[2].rejection.message.endswith("with it alone: the echo engine was told to die")
