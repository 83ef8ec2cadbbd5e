"""A captioner behind an OpenAI-compatible server: vLLM's, or any other that takes images.

`engine.url` is its base URL with /v1, the key is in the environment variable `engine.api_key_env`,
`engine.args` are further keys of the request's body (`chat_template_kwargs`, ...); one that is
null takes its key out: {max_tokens: null, max_completion_tokens: 256}, {seed: null, n: null}.
Parameters that the server refuses are left out after one try, which is noted.

Who waits how long, with T = `engine.timeout_s`, which the driver gives a request in all:
- An attempt gets T/2, so that one that was lost in silence has a second.
- While the server is away (it does not connect, answers 429 or 503, or fails a check) requests
  wait at one gate. They do so up to T/2 of age; then the engine is dead (EngineDied), and they
  are run again on the next one with a whole T. So an outage makes no TIMEOUT: up to T/2 (5
  minutes by default) less the age of the requests it passes unnoticed, longer ones cost those in
  flight a strike each. The check of a doubt is waited for at any age, up to T/10.
- Boot waits `engine.boot_timeout_s` for a server that may yet come, and not at all for what can
  never pass: a wrong key, a model it has not, a port of another kind.
- A request whose server goes away under it a second time is an EngineDied, too: the driver then
  finds out which of them kills it.
- What a server refuses (401, 403, 404, ...) while it is well is the request's own fault, at once;
  so is what it fails on (5xx, a lost connection), after some attempts. Whether it is well says a
  check, by a test image that it captioned before.
- A server that is busy (429) for 9/10 of T while it answers others is the end of the request.
"""

from __future__ import annotations

import asyncio
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
    RequestFailed,
    Tell,
    tell_nobody,
)
from recaption.engines.openai_answer import NoText, read_captions, read_choices
from recaption.engines.openai_blame import Denied, Trouble
from recaption.engines.openai_dialect import Dialect
from recaption.engines.openai_server import Server, waits
from recaption.engines.openai_wire import chat_body, check_arguments, parameters, shortest
from recaption.engines.trial import trial_job
from recaption.notices import note
from recaption.sample import Caption, Reason

_Read = Callable[[Any], list[Caption]]
_Ask = Callable[[bytes, _Read, int], Awaitable[list[Caption]]]

log = logging.getLogger(__name__)

_CONCURRENCY = 64
_FAILURES = 5  # of one request on a server that is well
_TEST_FAILURES = 8  # of the test image on one that lists the model: a minute
_PATIENCE = 1.8  # halves of T for which a busy server is borne with
_TELLING = 20  # characters; two shorter captions may well be the same
_LOSSES = 2  # of the server with one request in it
_BYTES = 4 * 2**20  # of any answer
_BYTES_PER_TOKEN = 1024  # of its text and log-probability, as JSON
_MOST_BYTES = 64 * 2**20


class OpenAIEngine:
    """Asks a served model for captions."""

    def __init__(
        self, config: EngineConfig, sampling: SamplingConfig, tell: Tell = tell_nobody
    ) -> None:
        check_arguments(config)
        self.concurrency = config.concurrency or _CONCURRENCY
        self.info = EngineInfo("openai", "", config.model, config.revision)
        self._config = config
        self._url = config.url
        self._sampling = sampling
        self._tell = tell
        self._dialect = self._first_dialect()
        self._half_s = config.timeout_s / 2
        key = os.environ.get(config.api_key_env, "")
        self._server = Server(
            config.url, config.model, key, self.concurrency, config.timeout_s, tell
        )

    @classmethod
    async def boot(
        cls, config: EngineConfig, sampling: SamplingConfig, tell: Tell = tell_nobody
    ) -> OpenAIEngine:
        """Connect, wait for the server if need be, and have a test image captioned."""
        engine = cls(config, sampling, tell)
        try:
            await engine._wait_for_server()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def _wait_for_server(self) -> None:
        """Raise EngineBootError for what can never pass at once, for the rest after a while."""
        url, started, failures = self._config.url, time.monotonic(), 0
        patience_s = self._config.boot_timeout_s
        for wait_s in waits():
            try:
                await self._introduce()
                return
            except Denied as e:
                raise EngineBootError(f"{url}: {e} ({self._credentials()})", is_final=True) from e
            except RequestFailed as e:
                text = f"{url}: model {self._config.model!r}: a test image is refused: {e}"
                raise EngineBootError(text, is_final=True) from e
            except Trouble as e:
                failures += e.status == 500
                if e.is_hopeless or failures >= _TEST_FAILURES:
                    raise EngineBootError(f"{url}: {e}", is_final=True) from e
                wait_s = max(wait_s, e.wait_s)
                if time.monotonic() - started + wait_s > patience_s:
                    text = f"{url}: no server for engine.boot_timeout_s={patience_s:g} s: {e}"
                    raise EngineBootError(text, is_final=True) from e
                self._tell(f"{url} (waiting up to {patience_s:g} s): {e}")
            await asyncio.sleep(wait_s)

    async def _introduce(self) -> None:
        """Learn who the server is and what it understands, by a request like all that follow."""
        owner = await self._server.check()
        version = await self._server.version()
        is_vllm = bool(version) or owner == "vllm"
        self._dialect = replace(self._first_dialect(), is_vllm=is_vllm)
        self.info = replace(self.info, version=f"vllm {version}" if version else owner or "unknown")
        job = trial_job()
        try:
            (caption,) = await self._learn(job)
            why = "" if caption.text else f"no text (finish_reason {caption.finish_reason})"
        except NoText as e:
            why = e.message
        if why:  # of a grey square: an image of the user's may fare better
            note("test images that got no caption", f"{self._config.model} at {self._url}: {why}")
        self._server.check_body = shortest(self._body(job, 0, 1, self._dialect))

    async def _learn(self, job: Job) -> list[Caption]:
        """Caption the test image; find out by trying what an unclear refusal is about."""
        try:
            return await self._adapt(job, self._attempt)
        except NoText:
            raise
        except RequestFailed as e:
            if e.reason is Reason.REQUEST_TOO_LONG:
                raise
            for guess in self._dialect.guesses(self._sent(job, self._dialect)):
                try:
                    captions = await self._captions(job, guess, self._attempt)
                except NoText:
                    self._remember(guess, e.message)
                    raise
                except RequestFailed:
                    continue
                self._remember(guess, e.message)
                return captions
            raise

    def _credentials(self) -> str:
        name = self._config.api_key_env
        key = f"key from ${name}" if os.environ.get(name) else f"no key: ${name} is not set"
        return f"model {self._config.model!r}, {key}"

    async def answer(self, job: Job) -> list[Caption]:
        """Return `n` captions of one image."""
        captions = await self._adapt(job, self._persist)
        if len(captions) > 1 and not job.request.choices and self._sampling.temperature:
            texts = {caption.text for caption in captions}
            if len(texts) == 1 and len(captions[0].text) >= _TELLING:
                note(
                    "images whose captions are all the same: the server may not heed seed or n",
                    f"{job.sample_id}: {len(captions)} times: {captions[0].text}",
                )
        return captions

    async def close(self) -> None:
        """Drop all connections."""
        await self._server.close()

    async def _adapt(self, job: Job, ask: _Ask) -> list[Caption]:
        """Answer a job, less what the server turns out not to understand; that is remembered."""
        dialect, refusal = self._dialect, ""
        while True:
            try:
                captions = await self._captions(job, dialect, ask)
            except NoText:
                raise
            except (RequestFailed, Trouble) as e:
                if isinstance(e, RequestFailed) and e.reason is Reason.TIMEOUT:
                    raise  # there is no time for another try
                lesser = dialect.without(str(e), self._sent(job, dialect))
                if lesser is None:
                    raise
                dialect, refusal = lesser, str(e)
                continue
            if refusal:
                self._remember(dialect, refusal)
            elif job.request.n > 1 and dialect.has_n and not dialect.is_n_proven:
                self._dialect = replace(self._dialect, is_n_proven=True)
            return captions

    def _first_dialect(self) -> Dialect:
        """What is known before the server is asked: what the recipe takes out."""
        args = self._config.args.items()
        return Dialect(left_out=frozenset(name for name, value in args if value is None))

    def _sent(self, job: Job, dialect: Dialect) -> frozenset[str]:
        """Return the parameters of a request that are not the recipe's own `engine.args`."""
        n = job.request.n if dialect.has_n else 1
        return frozenset(parameters(job, 0, n, self._config, self._sampling, dialect))

    def _remember(self, dialect: Dialect, refusal: str) -> None:
        if dialect != self._dialect:
            self._dialect = dialect
            example = f"{self._url} goes without {dialect}: {refusal}"
            note("parameters that a server refused", example)

    async def _captions(self, job: Job, dialect: Dialect, ask: _Ask) -> list[Caption]:
        r = job.request
        if r.choices:
            body = self._body(job, r.seed, 1, dialect)
            return await ask(body, partial(read_choices, request=r), _BYTES)
        if r.n == 1 or dialect.has_n:
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
        most_tokens = self._sampling.max_tokens
        read = partial(read_captions, first_seed=seed, n=n, max_tokens=most_tokens)
        most_bytes = min(_BYTES + _BYTES_PER_TOKEN * n * most_tokens, _MOST_BYTES)
        return await ask(self._body(job, seed, n, dialect), read, most_bytes)

    def _body(self, job: Job, seed: int, n: int, dialect: Dialect) -> bytes:
        return chat_body(job, seed, n, self._config, self._sampling, dialect)

    async def _attempt(self, body: bytes, read: _Read, most_bytes: int) -> list[Caption]:
        return read(await self._server.chat(body, self._half_s, most_bytes))

    async def _persist(self, body: bytes, read: _Read, most_bytes: int) -> list[Caption]:
        """Ask until there is an answer or a verdict."""
        now = time.monotonic()
        trial = _Trial(self._server, now, now + self._half_s, self._server.outages)
        for wait_s in waits():
            await trial.wait_for_server()
            try:
                return await self._attempt(body, read, most_bytes)
            except Denied as e:
                await trial.take_refusal(e)
            except Trouble as e:
                await trial.take(e)
            await asyncio.sleep(wait_s)
        raise AssertionError("waits() does not end")


@dataclass(slots=True)
class _Trial:
    """What a request has been through: is the trouble its own doing, or the server's?"""

    server: Server
    started: float
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
        if not trouble.was_sent:
            self._bear_with_a_busy_server(trouble)
        self.server.doubt(trouble)
        await self.wait_for_server()
        if self.failures >= _FAILURES:
            text = f"{trouble} ({self.failures} times, while the server is well)"
            raise RequestFailed(Reason.REQUEST_FAILED, text)

    def _bear_with_a_busy_server(self, trouble: Trouble) -> None:
        """Be patient, longer with one that answers others meanwhile."""
        now = time.monotonic()
        if now <= self.until:
            return
        if not trouble.is_answer or self.server.last_answer < self.started:
            raise EngineDied(f"{self.server.url} has no time for us: {trouble}")
        if now - self.started > _PATIENCE * (self.until - self.started):
            raise RequestFailed(
                Reason.TIMEOUT,
                f"{trouble} (for {now - self.started:.0f} s, while the server is well): lower"
                " engine.concurrency or raise engine.timeout_s",
            )

    async def take_refusal(self, refusal: Denied) -> None:
        """Find out whether the server refuses this request or all. Raises as `take`."""
        log.info("%s: %s", self.server.url, refusal)
        if await self.server.is_well():
            raise RequestFailed(Reason.REQUEST_FAILED, str(refusal))
        self.failures += 1
        self.server.doubt(refusal)
        await self.wait_for_server()
