"""The endpoint's engine against a server that misbehaves: what is sent, what is survived."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import deque
from typing import Any

import pytest

from recaption.config import RecipeError, SamplingConfig
from recaption.engines.base import EngineDied, Job, JobImage, RequestFailed
from recaption.engines.openai import OpenAIEngine
from recaption.sample import Reason
from tests.engines.conftest import LONG, all_texts, job, photo
from tests.engines.fake_endpoint import MODEL, FakeEndpoint, Fault, Status
from tests.engines.playing import one, play

pytestmark = pytest.mark.usefixtures("impatient")


def test_what_is_sent() -> None:
    endpoint = play(one)
    (body,) = endpoint.bodies
    image, text = body.pop("messages")[0]["content"]
    uri = image["image_url"]["url"]
    assert uri.startswith("data:image/jpeg;base64,")
    assert base64.b64decode(uri.partition(",")[2]) == photo(0)
    assert text == {"type": "text", "text": "describe the image"}
    sampling = {"temperature": 0.8, "top_p": 1.0, "max_tokens": 16}
    assert body == {"model": MODEL, "n": 2, "seed": 7, "logprobs": True} | sampling


def test_what_only_vllm_knows_is_sent_where_it_is_set() -> None:
    sampling = SamplingConfig(top_k=5, min_tokens=2)
    (body,) = play(one, sampling=sampling).bodies
    assert (body["top_k"], body["min_tokens"]) == (5, 2) and "repetition_penalty" not in body


def test_a_vllm_is_told_all_lest_it_takes_it_from_the_models_generation_config() -> None:
    (body,) = play(one, vllm_version="0.29.0").bodies
    assert (body["top_k"], body["min_tokens"], body["repetition_penalty"]) == (0, 0, 1.0)


def test_extra_arguments_are_merged_and_null_takes_out() -> None:
    args = {"max_tokens": None, "max_completion_tokens": 9, "chat_template_kwargs": {"a": 1}}
    (body,) = play(one, settings={"args": args}).bodies
    assert body["max_completion_tokens"] == 9 and body["chat_template_kwargs"] == {"a": 1}
    assert "max_tokens" not in body


@pytest.mark.parametrize("name", ["messages", "model", "n", "seed", "stream"])
def test_what_is_set_for_each_request_is_no_argument(name: str) -> None:
    with pytest.raises(RecipeError, match=f"engine.args.{name}: set by recaption"):
        play(one, settings={"args": {name: 1}})


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (photo(1, "PNG"), "image/png"),
        (photo(1, "WEBP"), "image/webp"),
        (photo(1, "GIF"), "image/gif"),
        (photo(1, "AVIF"), "image/avif"),
        (b"?", "application/octet-stream"),
    ],
)
def test_the_type_of_an_image_is_told_by_its_content(data: bytes, mime: str) -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        await engine.answer(Job("s", JobImage(data, "h"), job(0).request))

    (body,) = play(scenario).bodies
    assert body["messages"][0]["content"][0]["image_url"]["url"].startswith(f"data:{mime};base64,")


def test_what_comes_back() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        assert engine.info.version == "vllm 0.29.0" and engine.concurrency == 64
        for c in await engine.answer(job(0, n=2)):
            assert (c.finish_reason, c.prompt_tokens, c.caption_tokens) == ("stop", 3, 4)
            assert c.mean_logprob == -0.5

    play(scenario, vllm_version="0.29.0")


def test_a_server_without_logprobs_is_asked_without_from_then_on() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        await one(engine, endpoint)
        (alone,) = await engine.answer(job(0))
        assert alone.mean_logprob is None and alone.caption_tokens == 4
        assert endpoint.refusals == 1  # of the test image at boot

    play(scenario, rejects_logprobs=True)


@pytest.mark.parametrize("manner", ["rejects_n", "ignores_n"])
def test_a_server_without_n_is_asked_n_times_from_then_on(manner: str) -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        await one(engine, endpoint)
        await one(engine, endpoint)
        assert ["n" in body for body in endpoint.bodies] == [True] + 4 * [False]
        assert sorted(body["seed"] for body in endpoint.bodies) == [7, 7, 7, 8, 8]

    manners: dict[str, Any] = {manner: True}
    play(scenario, **manners)


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        (Status(400, "no such parameter"), Reason.REQUEST_FAILED, "HTTP 400: no such parameter"),
        (Status(422, "bad image"), Reason.REQUEST_FAILED, "HTTP 422: bad image"),
        (Status(413, "go away"), Reason.REQUEST_TOO_LONG, "HTTP 413: go away"),
        (Status(400, "exceeds the context window"), Reason.REQUEST_TOO_LONG, "context window"),
        (Status(400, "n is odd", param="n"), Reason.REQUEST_FAILED, "n is odd (param n)"),
    ],
)
def test_a_refused_request_fails_in_the_servers_words(
    fault: Status, reason: Reason, words: str
) -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        with pytest.raises(RequestFailed) as failure:
            await engine.answer(job(0))
        assert failure.value.reason == reason and words in failure.value.message
        assert len(endpoint.bodies) == 1

    play(scenario, faults=deque([fault]))


def test_a_request_that_is_too_long() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        with pytest.raises(RequestFailed, match="maximum context length") as failure:
            await engine.answer(job(0, prompt=LONG))
        assert failure.value.reason == Reason.REQUEST_TOO_LONG

    play(scenario)


@pytest.mark.parametrize(
    "fault",
    [
        *(Status(500), Status(502), Status(503), Status(504), Status(408), Status(429)),
        *(Fault.DROP, Fault.TRUNCATED, Fault.MALFORMED, Fault.NO_CHOICES),
    ],
)
def test_passing_trouble_passes(fault: str | Status) -> None:
    assert len(play(one, faults=deque([fault] * 3)).bodies) == 4


def test_retry_after_is_honoured_by_all() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        started = time.monotonic()
        await one(engine, endpoint)
        assert 0.4 <= time.monotonic() - started < 2

        endpoint.faults.append(Status(429, retry_after="0.4"))
        first = asyncio.ensure_future(engine.answer(job(1)))
        await asyncio.sleep(0.1)
        asked = len(endpoint.bodies)
        await asyncio.gather(*(engine.answer(job(i)) for i in range(20)), first)
        assert time.monotonic() - started > 0.8 and asked == 3

    play(scenario, faults=deque([Status(429, retry_after="0.4")]))


def test_a_request_that_the_server_always_fails_on_is_rejected_alone() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        jobs = [job(i, prompt="cursed" if i == 3 else "fine") for i in range(8)]
        outcomes = await asyncio.gather(*map(engine.answer, jobs), return_exceptions=True)
        (failure,) = [o for o in outcomes if isinstance(o, BaseException)]
        assert outcomes[3] is failure and isinstance(failure, RequestFailed)
        assert "HTTP 500: told to fail" in failure.message

    endpoint = play(scenario, faults_of={"cursed": Status(500)})
    assert len(endpoint.bodies) == 7 + 5


def test_a_request_that_was_lost_in_silence_is_sent_again() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        await asyncio.gather(one(engine, endpoint), engine.answer(job(1)))

    play(scenario, settings={"timeout_s": 3.0}, faults=deque([Fault.HANG]))


def test_connections_are_kept_and_no_more_than_wanted() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        await all_texts(engine, [job(i % 9) for i in range(200)])

    endpoint = play(scenario, settings={"concurrency": 8}, delay_s=0.005)
    assert endpoint.max_in_flight == 8 and len(endpoint.connections) <= 9


def test_a_cancelled_request_leaves_the_server() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        tasks = [asyncio.ensure_future(engine.answer(job(i))) for i in range(8)]
        while endpoint.in_flight < 8:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.sleep(0.1)
        assert endpoint.in_flight == 0
        endpoint.delay_s = 0
        await one(engine, endpoint)

    play(scenario, delay_s=2.0)


def test_those_who_wait_for_a_server_hear_of_the_end() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        await endpoint.shut()
        waiting = [asyncio.ensure_future(engine.answer(job(i))) for i in range(3)]
        await asyncio.sleep(0.1)
        await engine.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, EngineDied) for outcome in outcomes)

    play(scenario)
