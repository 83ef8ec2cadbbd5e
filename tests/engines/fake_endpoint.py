"""A local HTTP server that speaks chat completions, and misbehaves when told to.

Its captions are a function of image, prompt and seed. `faults` are what happens to the next
requests, in order, `faults_of` what happens to those whose prompt holds a text. Checks of the
engine (its test image) meet no such fault, only `is_sick` and `is_hung`.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from recaption import keyed
from recaption.engines.trial import TEST_PROMPT

CONTEXT = 1000  # words
MODEL = "fake/captioner"


class Fault:
    """What can happen to a request."""

    HANG = "hang"
    DROP = "drop"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    NO_CHOICES = "no choices"


@dataclass
class Status:
    """A fault: an HTTP status, with the server's message."""

    code: int
    message: str = "told to fail"
    retry_after: str = ""
    param: str | None = None


@dataclass
class Raw:
    """A fault: a body as it is, `times` over (for ever: None), with headers of its own."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    times: int | None = 1


def completion(choice: dict[str, Any] | None = None, **fields: Any) -> Raw:
    """A chat completion with one choice, and what is given in the place of what is right."""
    good = {"index": 0, "message": {"content": "a red cat"}, "finish_reason": "stop"}
    return Raw(json.dumps({"choices": [good | (choice or {})], "usage": {}} | fields).encode())


Trick = str | Status | Raw


@dataclass
class FakeEndpoint:
    """The server's manners, and what it has seen."""

    rejects_logprobs: bool = False
    rejects_n: bool = False
    ignores_n: bool = False
    refuses_images: bool = False
    key: str = ""
    models_served: tuple[str, ...] = (MODEL,)
    vllm_version: str = ""
    delay_s: float = 0.0
    is_sick: bool = False  # 500 to all that is asked
    is_hung: bool = False  # no answer to anything
    killer: str = ""  # a prompt with this text takes the server down for a moment
    faults: deque[Trick] = field(default_factory=deque)
    faults_of: dict[str, Trick] = field(default_factory=dict)
    listing: Trick | None = None  # in the place of the list of models
    test_fault: Trick | None = None  # of the test image
    refuses: dict[str, str] = field(default_factory=dict)  # parameters, with its words
    refuses_seeds_from: int = 2**64
    ignores_seeds: bool = False

    port: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)  # of captions asked for
    refusals: int = 0
    checks: int = 0
    listings: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    connections: set[int] = field(default_factory=set)
    _runner: web.AppRunner | None = None
    _death: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def open(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/version", self._version)
        app.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def shut(self) -> None:
        """Drop all connections and listen no more."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def shut_for(self, seconds: float) -> None:
        """Be away for so long."""
        await self.shut()
        await asyncio.sleep(seconds)
        await self.open()

    async def _models(self, request: web.Request) -> web.StreamResponse:
        self.listings += 1
        if self.listing is not None:
            return await _misbehave(request, self.listing)
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(Status(401, "Unauthorized"))
        served = [{"id": name, "object": "model"} for name in self.models_served]
        return web.json_response({"object": "list", "data": served})

    async def _version(self, request: web.Request) -> web.Response:
        if not self.vllm_version:
            raise web.HTTPNotFound
        return web.json_response({"version": self.vllm_version})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        self.connections.add(peer[1] if peer else 0)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            body = await request.json()
            return await self._respond(request, body)
        finally:
            self.in_flight -= 1

    async def _respond(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        prompt = body["messages"][0]["content"][1]["text"]
        if prompt == TEST_PROMPT:
            self.checks += 1
            fault = self.test_fault
        else:
            self.bodies.append(body)
            fault = self._fault(prompt)
        if self.is_sick or self.is_hung:
            fault = Fault.HANG if self.is_hung else Status(500, "sick")
        if self.killer and self.killer in prompt:
            self._death = asyncio.create_task(self.shut_for(0.1))
            fault = Fault.HANG
        fault = fault or self._refusal(body, prompt)
        await asyncio.sleep(self.delay_s)
        if fault is not None:
            self.refusals += 1
            return await _misbehave(request, fault)
        return web.json_response(self._completion(body, prompt))

    def _fault(self, prompt: str) -> Trick | None:
        for text, fault in self.faults_of.items():
            if text in prompt:
                return fault
        return self.faults.popleft() if self.faults else None

    def _refusal(self, body: dict[str, Any], prompt: str) -> Status | None:
        for name, words in self.refuses.items():
            if name in body:
                return Status(400, words)
        if body.get("seed", 0) >= self.refuses_seeds_from:
            return Status(400, "Invalid value at 'generation_config.seed' (TYPE_INT32)")
        if self.refuses_images:
            return Status(400, "this model takes no images")
        if self.rejects_logprobs and "logprobs" in body:
            return Status(400, "logprobs is not supported by this model")
        if self.rejects_n and "n" in body:
            return Status(400, "only one completion is supported", param="n")
        if len(prompt.split()) > CONTEXT:
            return Status(400, f"This model's maximum context length is {CONTEXT} tokens.")
        return None

    def _completion(self, body: dict[str, Any], prompt: str) -> dict[str, Any]:
        n = 1 if self.ignores_n else body.get("n", 1)
        uri = body["messages"][0]["content"][0]["image_url"]["url"]
        image = base64.b64decode(uri.partition(",")[2])
        seeds = [0 if self.ignores_seeds else body.get("seed", 0) + i for i in range(n)]
        texts = [caption(image, prompt, seed) for seed in seeds]
        choices = [_choice(i, text, "logprobs" in body) for i, text in enumerate(texts)]
        tokens = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": tokens}
        return {"object": "chat.completion", "choices": choices[::-1], "usage": usage}


def caption(image: bytes, prompt: str, seed: int) -> str:
    """What the fake model sees in an image."""
    return f"a picture of {keyed.hexdigest('fake', image, prompt, seed)}"


def _choice(index: int, text: str, has_logprobs: bool) -> dict[str, Any]:
    content = [{"token": word, "logprob": -0.5} for word in text.split()]
    return {
        "index": index,
        "message": {"role": "assistant", "content": f" {text}\n"},
        "finish_reason": "stop",
        "logprobs": {"content": content} if has_logprobs else None,
    }


async def _send(request: web.Request, raw: Raw) -> web.StreamResponse:
    headers = {"Content-Type": "application/json"} | raw.headers
    response = web.StreamResponse(status=raw.status, headers=headers)
    await response.prepare(request)
    for _ in itertools.count() if raw.times is None else range(raw.times):
        await response.write(raw.body)
    return response


async def _misbehave(request: web.Request, fault: Trick) -> web.StreamResponse:
    if isinstance(fault, Raw):
        return await _send(request, fault)
    if isinstance(fault, Status):
        return _error(fault)
    if fault == Fault.HANG:
        await asyncio.sleep(3600)
    if fault == Fault.MALFORMED:
        return web.Response(text='{"choices": [', content_type="application/json")
    if fault == Fault.NO_CHOICES:
        return web.json_response({"error": {"message": "something went wrong"}})
    assert request.transport is not None
    if fault == Fault.TRUNCATED:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices"')
    request.transport.abort()
    return web.Response()


def _error(status: Status) -> web.Response:
    error = {"message": status.message, "param": status.param, "code": status.code}
    headers = {"Retry-After": status.retry_after} if status.retry_after else {}
    text = json.dumps({"error": error})
    return web.Response(
        text=text, status=status.code, headers=headers, content_type="application/json"
    )


@asynccontextmanager
async def serving(**manners: Any) -> AsyncIterator[FakeEndpoint]:
    """Run an endpoint."""
    endpoint = FakeEndpoint(**manners)
    await endpoint.open()
    try:
        yield endpoint
    finally:
        await endpoint.shut()
