"""A captioner behind an OpenAI-compatible server: vLLM's, or any other that takes images.

`engine.url` is its base URL with /v1, the key is in the environment variable `engine.api_key_env`,
`engine.args` are further keys of the request's body (`chat_template_kwargs`, ...); one that is
null takes its key out: {max_tokens: null, max_completion_tokens: 256}.

Who waits how long, with T = `engine.timeout_s`, which the driver gives a request in all:
- An attempt gets T/2, so that one that was lost in silence has a second.
- While the server is away (it does not connect, answers 429 or 503, or fails a check) requests
  wait at one gate. They do so up to T/2 of age; then the engine is dead (EngineDied), and they
  are run again on the next one with a whole T. So an outage makes no TIMEOUT: up to T/2 (5
  minutes by default) less the age of the requests it passes unnoticed, longer ones cost those in
  flight a strike each. The check of a doubt is waited for at any age, up to T/10.
- Boot waits 10 minutes for the server, each time; the driver boots `engine.boot_attempts` times.
- A request whose server goes away under it a second time, or that loses its connection again and
  again, is an EngineDied, too: the driver then finds out which of them kills it.
- 5xx of a server that is well is the request's own fault, after some attempts.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from recaption.config import EngineConfig, SamplingConfig
from recaption.engines.base import (
    EngineBootError,
    EngineDied,
    EngineInfo,
    Job,
    JobImage,
    RequestFailed,
)
from recaption.engines.openai_server import Server, waits
from recaption.engines.openai_wire import (
    Denied,
    Dialect,
    Trouble,
    chat_body,
    check_arguments,
    question_body,
    read_captions,
    read_choices,
    shortest,
)
from recaption.sample import Caption, Reason, Request

_Read = Callable[[Any], list[Caption]]
_Ask = Callable[[bytes, _Read], Awaitable[list[Caption]]]

TEST_PROMPT = "Describe the image."
"""What is asked at boot, and of a server in doubt."""

log = logging.getLogger(__name__)

_CONCURRENCY = 64
_BOOT_S = 600.0
_TEST_SIDE = 64  # pixels; some models refuse less than 28
_FAILURES = 5  # of one request on a server that is well
_LOSSES = 2  # of the server with one request in it


class OpenAIEngine:
    """Asks a served model for captions."""

    def __init__(self, config: EngineConfig, sampling: SamplingConfig) -> None:
        check_arguments(config)
        self.concurrency = config.concurrency or _CONCURRENCY
        self.info = EngineInfo("openai", "", config.model, config.revision)
        self._config = config
        self._sampling = sampling
        self._dialect = Dialect()
        self._half_s = config.timeout_s / 2
        key = os.environ.get(config.api_key_env, "")
        self._server = Server(config.url, config.model, key, self.concurrency, config.timeout_s)

    @classmethod
    async def boot(cls, config: EngineConfig, sampling: SamplingConfig) -> OpenAIEngine:
        """Connect, wait for the server if need be, and have a test image captioned."""
        engine = cls(config, sampling)
        try:
            await engine._wait_for_server()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def _wait_for_server(self) -> None:
        url, started = self._config.url, time.monotonic()
        for wait_s in waits():
            try:
                await self._introduce()
                return
            except Denied as e:
                raise EngineBootError(f"{url}: {e} ({self._credentials()})") from e
            except RequestFailed as e:
                raise EngineBootError(f"{url}: a test image is refused: {e}") from e
            except Trouble as e:
                wait_s = max(wait_s, e.wait_s)
                if time.monotonic() - started + wait_s > _BOOT_S:
                    raise EngineBootError(f"{url}: no server for {_BOOT_S:g} s: {e}") from e
                log.warning("%s: not there yet, waiting up to %g s: %s", url, _BOOT_S, e)
            await asyncio.sleep(wait_s)

    async def _introduce(self) -> None:
        """Learn who the server is and what it understands, by a request like all that follow."""
        owner = await self._server.check()
        version = await self._server.version()
        self._dialect = Dialect(is_vllm=bool(version) or owner == "vllm")
        self.info = replace(self.info, version=f"vllm {version}" if version else owner or "unknown")
        job = _test_job()
        await self._adapt(job, self._attempt)
        self._server.check_body = shortest(self._body(job, 0, 1, self._dialect))

    def _credentials(self) -> str:
        name = self._config.api_key_env
        key = f"key from ${name}" if os.environ.get(name) else f"no key: ${name} is not set"
        return f"model {self._config.model!r}, {key}"

    async def answer(self, job: Job) -> list[Caption]:
        """Return `n` captions of one image."""
        return await self._adapt(job, self._persist)

    async def close(self) -> None:
        """Drop all connections."""
        await self._server.close()

    async def _adapt(self, job: Job, ask: _Ask) -> list[Caption]:
        """Answer a job, less what the server turns out not to understand; that is remembered."""
        known = dialect = self._dialect
        while True:
            try:
                captions = await self._captions(job, dialect, ask)
            except RequestFailed as e:
                lesser = dialect.without(e.message, job.request.n)
                if lesser is None:
                    raise
                dialect = lesser
                continue
            if dialect != known and dialect != self._dialect:
                self._dialect = dialect
                log.warning("%s: goes without what it refused: %s", self._config.url, dialect)
            return captions

    async def _captions(self, job: Job, dialect: Dialect, ask: _Ask) -> list[Caption]:
        r = job.request
        if r.choices:
            body = question_body(self._body(job, r.seed, 1, dialect), dialect)
            return await ask(body, partial(read_choices, request=r))
        if r.n == 1 or dialect.n:
            return await self._some(job, r.seed, r.n, dialect, ask)
        seeds = range(r.seed, r.seed + r.n)
        asked = [asyncio.ensure_future(self._some(job, s, 1, dialect, ask)) for s in seeds]
        try:
            return [caption for captions in await asyncio.gather(*asked) for caption in captions]
        finally:
            for task in asked:
                task.cancel()

    async def _some(
        self, job: Job, seed: int, n: int, dialect: Dialect, ask: _Ask
    ) -> list[Caption]:
        read = partial(read_captions, first_seed=seed, n=n)
        return await ask(self._body(job, seed, n, dialect), read)

    def _body(self, job: Job, seed: int, n: int, dialect: Dialect) -> bytes:
        return chat_body(job, seed, n, self._config, self._sampling, dialect)

    async def _attempt(self, body: bytes, read: _Read) -> list[Caption]:
        return read(await self._server.chat(body, self._half_s))

    async def _persist(self, body: bytes, read: _Read) -> list[Caption]:
        """Ask until there is an answer or a verdict."""
        trial = _Trial(self._server, time.monotonic() + self._half_s, self._server.outages)
        for wait_s in waits():
            await trial.wait_for_server()
            try:
                return await self._attempt(body, read)
            except Denied as e:
                raise EngineDied(str(e)) from e
            except Trouble as e:
                await trial.take(e)
            await asyncio.sleep(wait_s)
        raise AssertionError("waits() does not end")


@dataclass(slots=True)
class _Trial:
    """What a request has been through: is the trouble its own doing, or the server's?"""

    server: Server
    until: float  # it waits for the server until then, on the monotonic clock
    outages: int  # of the server, as far as the request has seen
    failures: int = 0  # since the last outage
    losses: int = 0  # outages that began with the request in the server

    async def wait_for_server(self) -> None:
        """Wait while the server is away. Raises EngineDied where that takes too long."""
        await self.server.ready(self.until)
        if self.server.outages > self.outages:
            self.outages = self.server.outages
            self.losses += self.failures > 0
            self.failures = 0
        if self.losses >= _LOSSES:
            raise EngineDied(f"{self.server.url} went away {self.losses} times under a request")

    async def take(self, trouble: Trouble) -> None:
        """Find out whose fault it is. Raises RequestFailed if the request's, or EngineDied."""
        log.info("%s: %s", self.server.url, trouble)
        self.failures += trouble.was_sent
        if trouble.was_sent and trouble.is_answer and self.failures < _FAILURES:
            return
        if not trouble.was_sent and time.monotonic() > self.until:
            raise EngineDied(f"{self.server.url} has no time for us: {trouble}")
        self.server.doubt(trouble)
        await self.wait_for_server()
        if self.failures >= _FAILURES:
            text = f"{trouble} ({self.failures} times, while the server is well)"
            raise (
                RequestFailed(Reason.REQUEST_FAILED, text)
                if trouble.is_answer
                else EngineDied(text)
            )


def _test_job() -> Job:
    """A grey image: shows that the server takes images and our parameters."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (_TEST_SIDE, _TEST_SIDE), "grey").save(file, "PNG")
    request = Request("test", TEST_PROMPT, "test", "", n=1, seed=0)
    return Job("test", JobImage(file.getvalue(), ""), request)
