"""The endpoint's engine at boot: what is waited for, and what is said of what is wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from recaption.engines.base import EngineBootError
from recaption.engines.openai import OpenAIEngine
from tests.engines.conftest import SAMPLING
from tests.engines.fake_endpoint import serving
from tests.engines.playing import config, one, play

pytestmark = pytest.mark.usefixtures("impatient")


def boot_error(endpoint_manners: dict[str, Any], **settings: Any) -> str:
    async def go() -> str:
        async with serving(**endpoint_manners) as endpoint:
            settings.setdefault("url", endpoint.url)
            with pytest.raises(EngineBootError) as failure:
                await OpenAIEngine.boot(config(endpoint, **settings), SAMPLING)
            return str(failure.value).replace(endpoint.url, "URL")

    return asyncio.run(go())


def test_a_model_that_is_not_served() -> None:
    message = boot_error({"models_served": ("a/x", "fake/captionr")})
    assert message.startswith(
        "URL: model 'fake/captioner' is not served, did you mean fake/captionr?"
        " (served: a/x, fake/captionr)"
    )


def test_a_key_that_is_wrong_or_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THE_KEY", raising=False)
    message = boot_error({"key": "secret"}, api_key_env="THE_KEY")
    assert "HTTP 401: Unauthorized" in message and "no key: $THE_KEY is not set" in message
    monkeypatch.setenv("THE_KEY", "secret")
    play(one, key="secret", settings={"api_key_env": "THE_KEY"})


def test_a_url_without_the_v1() -> None:
    async def go() -> None:
        async with serving() as endpoint:
            url = endpoint.url.removesuffix("/v1")
            with pytest.raises(EngineBootError, match="HTTP 404"):
                await OpenAIEngine.boot(config(endpoint, url=url), SAMPLING)

    asyncio.run(go())


def test_a_server_that_is_not_there() -> None:
    message = boot_error({}, url="http://127.0.0.1:9/v1")
    assert message.startswith("http://127.0.0.1:9/v1: no server for 0.5 s: no connection:")


def test_a_server_that_takes_no_images() -> None:
    message = boot_error({"refuses_images": True})
    assert message == "URL: a test image is refused: HTTP 400: this model takes no images"


def test_boot_waits_for_a_server_that_is_starting() -> None:
    async def go() -> None:
        async with serving() as endpoint:
            await endpoint.shut()
            booting = asyncio.ensure_future(OpenAIEngine.boot(config(endpoint), SAMPLING))
            await asyncio.sleep(0.2)
            await endpoint.open()
            engine = await booting
            await one(engine, endpoint)
            await engine.close()

    asyncio.run(go())
