"""The contract of base.py, for every engine: what the driver may rely on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest

from recaption.config import EngineConfig
from recaption.engines.base import CaptionEngine, EngineDied, Job, RequestFailed, boot_engine
from recaption.engines.driver import EngineDriver
from recaption.engines.vllm import VllmEngine
from recaption.sample import Caption, Reason
from tests.engines.conftest import (
    LONG,
    SAMPLING,
    SHORT,
    InProcess,
    Loop,
    all_texts,
    job,
    scene,
    texts,
)
from tests.engines.fake_endpoint import MODEL, serving

T = TypeVar("T")


@dataclass
class Subject:
    """An engine under test."""

    kind: str
    engine: CaptionEngine
    loop: Loop

    def run(self, scenario: Callable[[CaptionEngine], Awaitable[T]]) -> T:
        async def go() -> T:
            return await scenario(self.engine)

        return self.loop.run(go())


@pytest.fixture(params=["echo", "openai", pytest.param("vllm", marks=pytest.mark.vllm)])
def subject(request: pytest.FixtureRequest, loop: Loop) -> Iterator[Subject]:
    kind = request.param
    if kind == "vllm":
        shared: InProcess = request.getfixturevalue("in_process")
        yield Subject(kind, shared.engine, loop)
        return
    stack = AsyncExitStack()
    try:
        yield Subject(kind, loop.run(boot(kind, stack)), loop)
    finally:
        loop.run(stack.aclose())


async def boot(kind: str, stack: AsyncExitStack) -> CaptionEngine:
    if kind == "openai":
        endpoint = await stack.enter_async_context(serving(delay_s=0.01))
        config = EngineConfig(kind="openai", url=endpoint.url, model=MODEL, timeout_s=20)
    else:
        config = EngineConfig(kind="echo", args={"fail_on": ["bad"], "delay_s": 0.01})
    engine = await boot_engine(config, SAMPLING)
    stack.push_async_callback(engine.close)
    return engine


def test_it_says_who_it_is(subject: Subject) -> None:
    info = subject.engine.info
    assert info.kind == subject.kind and info.version and info.model
    assert subject.engine.concurrency >= 1


def test_n_captions_in_the_order_of_their_seeds(subject: Subject) -> None:
    captions = subject.run(lambda engine: engine.answer(job(0, n=4, seed=7)))
    assert [c.seed for c in captions] == [7, 8, 9, 10]
    alone = subject.run(lambda engine: all_texts(engine, [job(0, seed=s) for s in range(7, 11)]))
    assert [[text] for text in texts(captions)] == alone


def test_a_question_weighs_its_choices(subject: Subject) -> None:
    """Their shares of the chance add up to one, or nothing is known of any of them."""
    asked = job(0, prompt="Is there a dog? Answer yes or no.")
    request = replace(asked.request, n=2, choices=("Yes", "No"), is_extra=True)
    question = replace(asked, request=request)
    captions = subject.run(lambda engine: engine.answer(question))
    assert [caption.text for caption in captions] == ["Yes", "No"]
    logs = [caption.mean_logprob for caption in captions]
    known = [log for log in logs if log is not None]
    assert not known or sum(map(math.exp, known)) == pytest.approx(1.0, abs=1e-6)
    assert known or subject.kind == "openai", "the test's endpoint knows no such words"


def test_a_caption_says_what_the_engine_knows_of_it(subject: Subject) -> None:
    for caption in subject.run(lambda engine: engine.answer(job(0, n=2))):
        assert caption.finish_reason in {"stop", "length"}
        assert caption.prompt_tokens > 0 and caption.caption_tokens > 0
        assert caption.mean_logprob is not None and caption.mean_logprob <= 0
        assert caption.text == caption.text.strip()


def test_the_same_job_has_the_same_captions(subject: Subject) -> None:
    first = subject.run(lambda engine: engine.answer(job(0, n=2)))
    assert texts(first) == texts(subject.run(lambda engine: engine.answer(job(0, n=2))))


def test_seeds_matter(subject: Subject) -> None:
    jobs = [job(0, seed=s) for s in range(16)]
    answers = subject.run(lambda engine: all_texts(engine, jobs))
    assert len({text for (text,) in answers}) >= 14


def test_each_job_gets_its_own_answer(subject: Subject) -> None:
    jobs = [job(i, seed=i, prompt=SHORT, show=scene) for i in range(24)]

    async def one_by_one(engine: CaptionEngine) -> list[list[str]]:
        return [texts(await engine.answer(job)) for job in jobs]

    together = subject.run(lambda engine: all_texts(engine, jobs))
    assert together == subject.run(one_by_one)
    assert len({text for (text,) in together}) >= 22


def test_a_failing_request_does_not_sink_the_others(subject: Subject) -> None:
    jobs = [job(i, prompt=LONG if i % 4 == 1 else "describe the image") for i in range(16)]

    async def scenario(engine: CaptionEngine) -> list[list[Caption] | BaseException]:
        return await asyncio.gather(*map(engine.answer, jobs), return_exceptions=True)

    for one, outcome in zip(jobs, subject.run(scenario), strict=True):
        if one.sample_id != "bad":
            assert isinstance(outcome, list) and len(outcome) == 1
            continue
        assert isinstance(outcome, RequestFailed) and outcome.message
        too_long = Reason.REQUEST_TOO_LONG
        assert outcome.reason == (Reason.REQUEST_FAILED if subject.kind == "echo" else too_long)


@pytest.mark.vllm
def test_vllm_says_of_every_kind_of_length_that_it_is_too_long(
    in_process: InProcess, loop: Loop
) -> None:
    """Too long in characters, in tokens, and only with the image's tokens (16)."""
    jobs = [job(0, prompt="x" * length) for length in (900_000, 2_000, *range(960, 1060, 4))]

    async def scenario() -> list[list[Caption] | BaseException]:
        answers = map(in_process.engine.answer, jobs)
        return await asyncio.gather(*answers, return_exceptions=True)

    outcomes = loop.run(scenario())
    failures = [o for o in outcomes if isinstance(o, RequestFailed)]
    for words in ("characters", "input tokens", "longer than the maximum model length"):
        assert any(words in failure.message for failure in failures), words
    assert {failure.reason for failure in failures} == {Reason.REQUEST_TOO_LONG}
    assert len(failures) + sum(isinstance(o, list) for o in outcomes) == len(jobs)


def test_cancelling_is_safe(subject: Subject) -> None:
    async def scenario(engine: CaptionEngine) -> list[list[Caption] | BaseException]:
        tasks = [asyncio.ensure_future(engine.answer(job(i, n=2))) for i in range(32)]
        await asyncio.sleep(0.005)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks[::2])
        rest = await asyncio.gather(*tasks[1::2], return_exceptions=True)
        return [*rest, await engine.answer(job(99, n=2))]

    outcomes = subject.run(scenario)
    assert [len(o) for o in outcomes if isinstance(o, list)] == [2] * 17


def test_200_at_once(subject: Subject) -> None:
    answers = subject.run(lambda engine: all_texts(engine, [job(i % 50) for i in range(200)]))
    assert len(answers) == 200 and all(len(answer) == 1 for answer in answers)
    same = sum(one == other for one, other in zip(answers[:50], answers[150:], strict=True))
    # What vLLM adds up together changes with the load: a token in thousands falls otherwise.
    assert same >= (45 if isinstance(subject.engine, VllmEngine) else 50)


def test_no_more_in_flight_than_asked_for(subject: Subject) -> None:
    counting = Counting(subject.engine, concurrency=8)

    async def scenario(engine: CaptionEngine) -> None:
        async def boot() -> CaptionEngine:
            return counting

        driver = EngineDriver(EngineConfig(kind="echo"), boot)
        await driver.answer_all([job(i) for i in range(40)])

    subject.run(scenario)
    assert counting.most == 8


class Counting:
    """An engine that counts what it has in flight."""

    def __init__(self, engine: CaptionEngine, concurrency: int) -> None:
        self._engine, self.info, self.concurrency = engine, engine.info, concurrency
        self.now = self.most = 0

    async def answer(self, job: Job) -> list[Caption]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await self._engine.answer(job)
        finally:
            self.now -= 1

    async def close(self) -> None: ...


def test_no_answer_after_the_end(subject: Subject) -> None:
    """The last test of this file: it closes the session's vLLM."""

    async def scenario(engine: CaptionEngine) -> None:
        await engine.close()
        await engine.close()
        with pytest.raises(EngineDied):
            await engine.answer(job(0))

    subject.run(scenario)
