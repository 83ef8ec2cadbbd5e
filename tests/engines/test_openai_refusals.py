"""An endpoint's every way to say no: told in its words, and it costs only that request."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from recaption.config import SamplingConfig
from recaption.engines import openai_server
from recaption.engines.base import RequestFailed
from recaption.engines.openai import OpenAIEngine
from recaption.engines.openai_dialect import Dialect
from recaption.notices import take_notices
from recaption.sample import Caption, Reason
from tests.engines.conftest import job, texts
from tests.engines.fake_endpoint import FakeEndpoint, Fault, Raw, Status, Trick, completion
from tests.engines.playing import one, play

pytestmark = pytest.mark.usefixtures("impatient")

Outcome = list[Caption] | BaseException


def outcomes_of(fault: Trick, **manners: Any) -> tuple[list[Outcome], FakeEndpoint]:
    """Let 8 images be captioned, of which the third and the sixth meet the fault."""
    outcomes: list[Outcome] = []

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        jobs = [job(i, prompt="cursed" if i in (2, 5) else "fine") for i in range(8)]
        outcomes.extend(
            await asyncio.gather(*(engine.answer(j) for j in jobs), return_exceptions=True)
        )

    return outcomes, play(scenario, faults_of={"cursed": fault}, **manners)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Status(403, "flagged by moderation"), "HTTP 403: flagged by moderation"),
        (Status(404, "no endpoint for this"), "HTTP 404: no endpoint for this"),
        (Status(401, "not yours"), "HTTP 401: not yours"),
        (Status(402, "this one costs more"), "HTTP 402: this one costs more"),
        (Status(405, "no"), "HTTP 405: no"),
        (Status(451, "for legal reasons"), "HTTP 451: for legal reasons"),
        (Status(500, "boom"), "HTTP 500: boom (5 times, while the server is well)"),
        (Status(502, "upstream"), "HTTP 502: upstream (5 times, while the server is well)"),
        (Status(504, "upstream"), "HTTP 504: upstream"),
        (Raw(b"", status=302, headers={"Location": "/login"}), "HTTP 302: no message -> /login"),
        (Raw(b"<html>blocked</html>"), "it sends a web page"),
        (Raw(b"[" * 100_000), "not JSON (RecursionError)"),
        (Fault.DROP, "connection lost"),
        (Fault.TRUNCATED, "connection lost"),
        (completion({"finish_reason": "content_filter", "message": {"content": None}}), "filter"),
        (completion({"index": float("inf"), "message": None, "finish_reason": None}), "not a chat"),
        (completion({"message": {"content": "x" * 1_000_000}}), "1,000,000 characters"),
    ],
)
def test_a_refusal_of_single_images_touches_no_other(fault: Trick, words: str) -> None:
    outcomes, endpoint = outcomes_of(fault)
    for i, outcome in enumerate(outcomes):
        if i in (2, 5):
            assert isinstance(outcome, RequestFailed) and words in outcome.message
        else:
            assert isinstance(outcome, list) and outcome[0].text
    assert sum("fine" in b["messages"][0]["content"][1]["text"] for b in endpoint.bodies) == 6


def test_refusals_that_come_together_share_the_check_of_the_server() -> None:
    checks = 0

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        nonlocal checks
        before = endpoint.checks
        await asyncio.gather(
            *(engine.answer(job(i, prompt="cursed")) for i in range(60)), return_exceptions=True
        )
        checks = endpoint.checks - before

    play(scenario, faults_of={"cursed": Status(403)}, delay_s=0.05)
    assert 1 <= checks <= 12


def test_a_server_that_refuses_all_is_no_request_s_fault() -> None:
    """Its key was changed, and changed back: all are captioned in the end."""
    results: list[str] = []

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        refused = Status(401, "wrong key")
        endpoint.listing = endpoint.test_fault = refused
        endpoint.faults_of = {"describe": refused}
        asked = [asyncio.ensure_future(engine.answer(job(i))) for i in range(8)]
        await asyncio.sleep(0.3)
        endpoint.listing = endpoint.test_fault = None
        endpoint.faults_of = {}
        results.extend(texts([c for answer in await asyncio.gather(*asked) for c in answer]))

    play(scenario)
    assert len(results) == 8


async def _seconds(work: Awaitable[Any]) -> float:
    started = time.monotonic()
    with pytest.raises(RequestFailed, match="more than"):
        await work
    return time.monotonic() - started


@pytest.mark.parametrize(
    "endless",
    [
        Raw(b"x" * 2**16, times=None),
        Raw(b'{"choices": [' + b" " * 2**20, times=None),
        Raw(gzip.compress(b"\0" * 2**28), headers={"Content-Encoding": "gzip"}),
        Raw(b"x" * 2**20, status=500, times=None),
        Raw(b"x" * 2**20, status=403, times=None),
    ],
)
def test_a_body_without_end_is_cut(endless: Raw) -> None:
    seconds = 0.0

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        nonlocal seconds
        seconds = await _seconds(engine.answer(job(0, prompt="cursed")))

    play(scenario, faults_of={"cursed": endless})
    assert seconds < 9, "an attempt alone would last 5 s"


def test_packed_answers_are_read_and_broken_ones_are_not() -> None:
    packed = gzip.compress(completion().body)
    gzipped = {"Content-Encoding": "gzip"}
    results: list[Outcome] = []

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        for body, headers in [
            (packed, gzipped),
            (b"junk", gzipped),
            (packed, {"Content-Encoding": "br"}),
        ]:
            endpoint.faults_of["cursed"] = Raw(body, headers)
            asked = engine.answer(job(0, prompt="cursed"))
            results.extend(await asyncio.gather(asked, return_exceptions=True))

    play(scenario)
    good, junk, strange = results
    assert isinstance(good, list) and good[0].text == "a red cat"
    assert "a packed answer that is broken" in str(junk) and "packed by br" in str(strange)


UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("seed", UNSUPPORTED.format("seed")),
        ("seed", "body.seed: Extra inputs are not permitted"),
        ("seed", '{"msg": "Unrecognized request argument supplied: seed"}'),
        ("logprobs", "logprobs is not supported by this model"),
        ("logprobs", "Your plan does not include log probabilities"),
        ("logprobs", "Logprobs is not enabled for models/gemini"),
        ("top_p", "litellm.UnsupportedParamsError: does not support parameters: ['top_p']"),
        ("temperature", "'temperature' does not support 0.8 with this model. Only the default (1)"),
        ("top_k", 'json: unknown field "top_k"'),
        ("n", "Only one completion choice is allowed"),
        ("n", "Multiple candidates is not enabled for this model"),
        ("n", "'n' must be at most 1"),
        ("n", "bad things happened"),
        ("seed", "bad request"),
        ("logprobs", "invalid"),
    ],
)
def test_a_parameter_that_is_refused_is_left_out_after_one_try(name: str, words: str) -> None:
    take_notices()

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        for _ in range(3):
            assert len(await engine.answer(job(0, n=2))) == 2

    endpoint = play(
        scenario,
        refuses={name: words},
        sampling=SamplingConfig(temperature=0.8, top_k=5, max_tokens=16),
    )
    assert name not in endpoint.bodies[-1]
    (notice,) = [n for n in take_notices() if n.kind == "parameters that a server refused"]
    assert words.partition("'")[0][:20] in notice.example and f"without {name}" in notice.example
    kept = {"seed", "logprobs", "top_p", "temperature", "top_k", "max_tokens"} - {name}
    assert kept <= endpoint.bodies[-1].keys()


def test_max_tokens_is_max_completion_tokens_where_a_server_wants_it() -> None:
    words = UNSUPPORTED.format("max_tokens") + " Use 'max_completion_tokens' instead."
    endpoint = play(one, refuses={"max_tokens": words})
    assert {b["max_completion_tokens"] for b in endpoint.bodies} == {16}


def test_a_server_of_short_seeds_gets_short_seeds() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        await engine.answer(job(0, seed=2**48 + 5))

    endpoint = play(scenario, refuses_seeds_from=2**31)
    assert [b["seed"] for b in endpoint.bodies] == [5]


@pytest.mark.parametrize("name", ["seed", "n", "logprobs", "temperature"])
def test_a_recipe_can_leave_a_parameter_out(name: str) -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        assert len(await engine.answer(job(0, n=2))) == 2

    endpoint = play(scenario, settings={"args": {name: None}})
    assert endpoint.bodies and all(name not in body for body in endpoint.bodies)


@pytest.mark.parametrize(
    "refusal",
    [
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3",
        "max_tokens is too large: 5000. This model supports at most 4096 completion tokens",
        "This model's maximum context length is 1024 tokens; lower max_tokens",
        "the picture shows what we do not seed",
    ],
)
def test_a_value_that_is_refused_is_the_recipes_mistake(refusal: str) -> None:
    sent = {"temperature", "max_tokens", "top_p"}
    assert Dialect().without(refusal, sent) is None


def test_captions_that_are_all_the_same_are_noticed() -> None:
    take_notices()

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        await engine.answer(job(3, n=3))

    play(scenario, ignores_seeds=True)
    (notice,) = take_notices()
    assert "may not heed seed or n" in notice.kind and notice.example.startswith("s3: 3 times:")
    play(scenario)
    assert not take_notices()


def test_a_busy_server_that_answers_others_ends_one_request_in_its_words() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        async def others() -> None:
            for i in range(100):
                await engine.answer(job(i % 9, prompt="fine"))
                await asyncio.sleep(0.02)

        busy = asyncio.ensure_future(others())
        with pytest.raises(RequestFailed, match=r"HTTP 429: slow.*lower engine.concurrency") as e:
            await engine.answer(job(0, prompt="cursed"))
        assert e.value.reason is Reason.TIMEOUT
        busy.cancel()

    play(scenario, settings={"timeout_s": 1.0}, faults_of={"cursed": Status(429, "slow")})


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_for_one_request_alone_ends_that(status: int) -> None:
    """Nothing else is asked: that the server is well, its checks say."""

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        with pytest.raises(RequestFailed, match=f"HTTP {status}: no seed, never"):
            await engine.answer(job(0, prompt="cursed"))

    faults_of: dict[str, Trick] = {"cursed": Status(status, "no seed, never")}
    endpoint = play(scenario, settings={"timeout_s": 1.0}, faults_of=faults_of)
    assert all("seed" in body for body in endpoint.bodies), "it names one, but has no time"


def test_an_outage_is_told_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        monkeypatch.setattr(engine._server, "_tell", told.append)
        shut = asyncio.ensure_future(endpoint.shut_for(0.3))
        await asyncio.sleep(0.05)
        await engine.answer(job(0))
        await shut

    play(scenario)
    assert "is away, its requests wait: no connection" in told[0] and told[-1] == ""
    assert openai_server._MOST_BYTES < 2**23


def test_a_refusal_where_n_is_known_to_work_costs_one_request() -> None:
    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        await engine.answer(job(0, n=3))
        with pytest.raises(RequestFailed, match="HTTP 400: content management policy"):
            await engine.answer(job(1, n=3, prompt="cursed"))

    endpoint = play(scenario, faults_of={"cursed": Status(400, "content management policy")})
    assert len(endpoint.bodies) == 2


def test_a_key_that_a_server_repeats_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "sk-very-secret")
    fault = Status(400, "no right for Bearer sk-very-secret")

    async def scenario(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
        with pytest.raises(RequestFailed, match=r"no right for Bearer \[key\]"):
            await engine.answer(job(1, prompt="cursed"))

    play(scenario, faults_of={"cursed": fault}, settings={"api_key_env": "THE_KEY"})
