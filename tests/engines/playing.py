"""Scenarios between the endpoint's engine and a fake endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from recaption.config import EngineConfig, SamplingConfig
from recaption.engines.openai import OpenAIEngine
from tests.engines.conftest import SAMPLING, job, photo, texts
from tests.engines.fake_endpoint import MODEL, FakeEndpoint, caption, serving

Scenario = Callable[[OpenAIEngine, FakeEndpoint], Awaitable[None]]


def config(endpoint: FakeEndpoint, **settings: Any) -> EngineConfig:
    defaults: dict[str, Any] = {"url": endpoint.url, "model": MODEL, "timeout_s": 10.0} | {
        "boot_timeout_s": 0.5
    }
    return EngineConfig(kind="openai", **(defaults | settings))


def play(
    scenario: Scenario,
    *,
    sampling: SamplingConfig = SAMPLING,
    settings: dict[str, Any] | None = None,
    **manners: Any,
) -> FakeEndpoint:
    """Run a scenario with a booted engine and its endpoint; return the endpoint."""

    async def go() -> FakeEndpoint:
        async with serving(**manners) as endpoint:
            engine = await OpenAIEngine.boot(config(endpoint, **(settings or {})), sampling)
            try:
                await scenario(engine, endpoint)
            finally:
                await engine.close()
            return endpoint

    return asyncio.run(go())


async def one(engine: OpenAIEngine, endpoint: FakeEndpoint) -> None:
    """Ask for two captions and check that they are the right ones."""
    captions = await engine.answer(job(0, n=2))
    prompt = job(0).request.prompt
    assert texts(captions) == [caption(photo(0), prompt, seed) for seed in (7, 8)]
    assert [c.seed for c in captions] == [7, 8]
