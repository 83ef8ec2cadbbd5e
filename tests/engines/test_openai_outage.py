"""The endpoint's engine under the driver while its server goes away: nothing is lost by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from recaption.config import EngineConfig
from recaption.engines.base import EngineBootError, boot_engine
from recaption.engines.driver import EngineDriver
from recaption.parts import Answer
from recaption.sample import Reason
from tests.engines.conftest import SAMPLING, job
from tests.engines.fake_endpoint import MODEL, FakeEndpoint, Fault, Status, caption, serving

JOBS = 120

pytestmark = pytest.mark.usefixtures("impatient")


async def answer_jobs(driver: EngineDriver, prompts: dict[int, str] | None = None) -> list[Answer]:
    jobs = [job(i, prompt=(prompts or {}).get(i, "describe")) for i in range(JOBS)]
    return await driver.answer_all(jobs)


@asynccontextmanager
async def driving(
    endpoint: FakeEndpoint, *, timeout_s: float, concurrency: int = 16, boot_attempts: int = 3
) -> AsyncIterator[EngineDriver]:
    config = EngineConfig(
        kind="openai",
        url=endpoint.url,
        model=MODEL,
        timeout_s=timeout_s,
        concurrency=concurrency,
        boot_attempts=boot_attempts,
        boot_timeout_s=3.0,
    )
    driver = EngineDriver(config, lambda: boot_engine(config, SAMPLING))
    try:
        await driver.start()
        yield driver
    finally:
        await driver.close()


def check(answers: list[Answer], rejected: dict[int, Reason] | None = None) -> None:
    """All answers are there, the right ones, but for those that are to be rejected."""
    reasons = {i: a.rejection.reason for i, a in enumerate(answers) if a.rejection}
    assert reasons == (rejected or {})
    for i, answer in enumerate(answers):
        if i not in reasons:
            of = job(i)
            assert [c.text for c in answer.captions] == [caption(of.image.data, "describe", 7)]


Disturb = Callable[[FakeEndpoint], Awaitable[Any]]


def run(
    disturb: Disturb,
    *,
    timeout_s: float,
    boot_attempts: int = 3,
    prompts: dict[int, str] | None = None,
    **manners: Any,
) -> tuple[list[Answer], EngineDriver, FakeEndpoint]:
    """Disturb the endpoint while jobs are answered."""

    async def go() -> tuple[list[Answer], EngineDriver, FakeEndpoint]:
        async with (
            serving(**({"delay_s": 0.02} | manners)) as endpoint,
            driving(endpoint, timeout_s=timeout_s, boot_attempts=boot_attempts) as driver,
        ):
            work = asyncio.ensure_future(answer_jobs(driver, prompts))
            while len(endpoint.bodies) < 20:
                await asyncio.sleep(0.01)
            await disturb(endpoint)
            return await work, driver, endpoint

    return asyncio.run(go())


def test_a_restart_passes_unnoticed() -> None:
    """0.8 s of a timeout of 4 are as 2 minutes of the 10 by default."""
    answers, driver, endpoint = run(lambda e: e.shut_for(0.8), timeout_s=4.0)
    check(answers)
    assert driver.counters.deaths == 0 and driver.counters.boots == 1
    assert all(answer.attempts == 1 for answer in answers)
    assert len(endpoint.bodies) <= JOBS + 16  # what was in flight was sent twice, no more


def test_many_restarts_pass() -> None:
    async def disturb(endpoint: FakeEndpoint) -> None:
        for _ in range(6):
            await endpoint.shut_for(0.05)
            await asyncio.sleep(0.15)

    check(run(disturb, timeout_s=6.0)[0])


def test_a_server_that_is_away_is_not_hammered() -> None:
    knocks = 0

    async def knocked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal knocks
        knocks += 1
        writer.close()

    async def disturb(endpoint: FakeEndpoint) -> None:
        await endpoint.shut()
        ghost = await asyncio.start_server(knocked, "127.0.0.1", endpoint.port)
        await asyncio.sleep(1.0)
        ghost.close()
        await ghost.wait_closed()
        await endpoint.open()

    check(run(disturb, timeout_s=6.0)[0])
    # Each request in flight once or twice, then one at a time, less and less; without the gate
    # the 16 in flight would each knock so often: well over 100.
    assert knocks <= 2 * 16 + 10


def test_an_outage_beyond_patience_costs_a_death_and_no_request() -> None:
    answers, driver, _ = run(lambda e: e.shut_for(1.5), timeout_s=1.2)
    check(answers)
    assert 1 <= driver.counters.deaths <= 2 and driver.counters.boots == driver.counters.deaths + 1


def test_a_server_that_hangs_as_a_whole_is_found_out_before_the_timeout() -> None:
    async def disturb(endpoint: FakeEndpoint) -> None:
        endpoint.is_hung = True
        await asyncio.sleep(1.5)
        await endpoint.shut_for(0.1)
        endpoint.is_hung = False

    answers, driver, _ = run(disturb, timeout_s=2.0)
    check(answers)
    assert driver.counters.deaths >= 1


def test_a_sick_server_is_waited_for() -> None:
    async def disturb(endpoint: FakeEndpoint) -> None:
        endpoint.is_sick = True
        await asyncio.sleep(0.8)
        endpoint.is_sick = False

    answers, driver, _ = run(disturb, timeout_s=6.0)
    check(answers)
    assert driver.counters.deaths == 0


def test_a_full_server_is_waited_for() -> None:
    async def disturb(endpoint: FakeEndpoint) -> None:
        endpoint.faults.extend([Status(429, retry_after="0.1")] * 20)

    answers, driver, _ = run(disturb, timeout_s=6.0)
    check(answers)
    assert driver.counters.deaths == 0


def test_a_hanging_request_times_out_alone() -> None:
    answers, _, endpoint = run(
        lambda e: asyncio.sleep(0),
        timeout_s=1.5,
        prompts={50: "hang"},
        faults_of={"hang": Fault.HANG},
    )
    # Nothing else was in the server at last: as of any engine then, the request may be its end.
    assert {i for i, a in enumerate(answers) if a.rejection} == {50}
    assert len(endpoint.bodies) >= JOBS + 1


def test_a_request_that_kills_the_server_is_found() -> None:
    prompts = {30: "kill"}
    answers, driver, endpoint = run(
        lambda e: asyncio.sleep(0), timeout_s=10.0, prompts=prompts, killer="kill"
    )
    check(answers, {30: Reason.KILLED_ENGINE})
    asked = sum("kill" in body["messages"][0]["content"][1]["text"] for body in endpoint.bodies)
    assert driver.counters.deaths == 4 and asked == 8


def test_a_server_that_never_comes_back_ends_in_its_name() -> None:
    words = r"http://127.0.0.1:\d+/v1: no server for engine.boot_timeout_s=3 s"
    with pytest.raises(EngineBootError, match=words):
        run(lambda e: e.shut(), timeout_s=1.0, boot_attempts=1)


def test_a_server_that_comes_back_with_another_model_ends_in_its_name() -> None:
    async def disturb(endpoint: FakeEndpoint) -> None:
        endpoint.models_served = ("another",)
        await endpoint.shut_for(0.1)

    with pytest.raises(EngineBootError, match=r"is not served.*served: another"):
        run(disturb, timeout_s=1.0)
