"""The endpoint's engine at boot: what is waited for, and what is said of what is wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from recaption.config import RecipeError
from recaption.engines.base import EngineBootError
from recaption.engines.openai import OpenAIEngine
from recaption.notices import take_notices
from recaption.recipe_file import parse_recipe
from tests.engines.conftest import SAMPLING
from tests.engines.fake_endpoint import Raw, Status, completion, serving
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
    assert message.startswith("http://127.0.0.1:9/v1: no server for engine.boot_timeout_s=0.5 s")


def test_a_server_that_takes_no_images() -> None:
    message = boot_error({"refuses_images": True})
    assert message == (
        "URL: model 'fake/captioner': a test image is refused: HTTP 400: this model takes no images"
    )


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


PATIENT = {"boot_timeout_s": 60.0}
"""Time enough: what ends before was not waited for."""


@pytest.mark.parametrize(
    ("manners", "words"),
    [
        ({"listing": Raw(b"<html>Welcome to nginx!</html>")}, "it sends a web page"),
        ({"test_fault": Raw(b"<html>Welcome to nginx!</html>")}, "it sends a web page"),
        ({"test_fault": Raw(b'data: {"choices": []}\n\n')}, "it sends a stream of events"),
        ({"listing": Raw(b"", {"Location": "https://h/login"}, 301)}, "-> https://h/login"),
        ({"listing": Status(401, "bad key")}, "HTTP 401: bad key (model 'fake/captioner', no key"),
        ({"listing": Raw(b'{"error": "Unexpected endpoint or method"}')}, "Unexpected endpoint"),
        ({"test_fault": Status(403, "no such right")}, "HTTP 403: no such right"),
        ({"test_fault": Status(402, "no money")}, "HTTP 402: no money"),
        (
            {"test_fault": Raw(b'{"error": {"code": "insufficient_quota"}}', status=429)},
            "insufficient_quota",
        ),
        ({"test_fault": Status(500, "needs an mmproj")}, "HTTP 500: needs an mmproj"),
        ({"test_fault": Status(400, "no images")}, "a test image is refused: HTTP 400: no images"),
        ({"models_served": tuple("abcdefghijklm")}, "(served: a, b, c, d, e, f, g, h, i, j and 3"),
    ],
)
def test_what_can_never_pass_ends_the_boot_at_once(
    manners: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THE_KEY", raising=False)
    message = boot_error(manners, api_key_env="THE_KEY", **PATIENT)
    assert message.startswith("URL: ") and words in message and len(message) < 500


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no server of HTTP at this URL"),
        (b"-ERR unknown command\r\n", "no server of HTTP at this URL"),
        (b"", "is it an https:// server?"),
    ],
)
def test_a_port_of_another_kind(greeting: bytes, words: str) -> None:
    async def go() -> str:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            settings = (PATIENT if greeting else {}) | {"url": f"http://127.0.0.1:{port}/v1"}
            async with serving() as endpoint:
                with pytest.raises(EngineBootError) as failure:
                    await OpenAIEngine.boot(config(endpoint, **settings), SAMPLING)
        return str(failure.value)

    assert words in asyncio.run(go())


def test_a_host_that_is_no_name() -> None:
    assert "no server of HTTP at this URL" in boot_error({}, url="http://xn--/v1", **PATIENT)


def test_https_of_a_server_of_http() -> None:
    async def go() -> str:
        async with serving() as endpoint:
            url = endpoint.url.replace("http", "https")
            with pytest.raises(EngineBootError) as failure:
                await OpenAIEngine.boot(config(endpoint, url=url, **PATIENT), SAMPLING)
            return str(failure.value)

    assert "no secure connection" in asyncio.run(go())


@pytest.mark.parametrize(
    "listing",
    [
        Status(404),
        Status(501),
        Status(403, "this key may not list models"),
        Raw(b'[{"id": "fake/captioner"}]'),
        Raw(b'{"data": [{"id": "models/fake/captioner"}]}'),
        Raw(b'{"data": [null, {}, {"id": 7}, {"id": "fake/*", "owned_by": null}]}'),
        Raw(b'{"models": []}'),
    ],
)
def test_models_are_listed_in_many_ways_or_in_none(listing: Raw | Status) -> None:
    play(one, listing=listing)


def test_what_is_waited_for_is_told() -> None:
    told: list[str] = []

    async def go() -> None:
        async with serving(test_fault=Status(503, "Loading model")) as endpoint:
            booting = asyncio.ensure_future(
                OpenAIEngine.boot(config(endpoint, **PATIENT), SAMPLING, told.append)
            )
            while not told:
                await asyncio.sleep(0.01)
            endpoint.test_fault = None
            await (await booting).close()
            assert told[0] == f"{endpoint.url} (waiting up to 60 s): HTTP 503: Loading model"

    asyncio.run(go())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            completion({"message": {"reasoning_content": "Hm"}, "finish_reason": "length"}),
            "all its tokens went into reasoning",
        ),
        (completion({"message": {"refusal": "I must not."}}), "the model refused: I must not."),
        (completion({"message": {"content": ""}}), "no text (finish_reason stop)"),
    ],
)
def test_a_test_image_without_a_caption_is_told_and_ends_nothing(answer: Raw, words: str) -> None:
    take_notices()
    play(one, test_fault=answer)
    (notice,) = take_notices()
    assert notice.kind == "test images that got no caption" and words in notice.example


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8000/v1", "did you mean http://127.0.0.1:8000/v1?"),
        ("localhost:8000", "did you mean http://localhost:8000?"),
        ("ftp://host/v1", "expected a base URL"),
        ("http://host:99999/v1", "Port out of range"),
        ("http:///v1", "expected a base URL"),
        ("http://a..b/v1", "label empty"),
        ("http://[::1/v1", "expected a base URL"),
        ("http://h/v1 ", "white space"),
        ("http://user:secret@h/v1", "a password in it"),
        ("http://h/v1?api-version=1", "no ? and #"),
        ("http://h/v1/chat/completions", "without its end, http://h/v1"),
    ],
)
def test_a_url_that_cannot_be_one_is_the_recipes_mistake(url: str, words: str) -> None:
    engine = {"kind": "openai", "model": "m", "url": url}
    recipe = {"source": {"path": "s"}, "corpus": {"path": "c"}, "engine": engine}
    with pytest.raises(RecipeError, match=r"engine\.url.*base URL") as failure:
        parse_recipe(recipe, "recipe")
    assert words in str(failure.value) and "secret" not in str(failure.value)
