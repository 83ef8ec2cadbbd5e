"""Drives one engine: keeps it full, replaces it when it dies, finds the request that kills it.

Each request ends in an Answer, whatever happens: captions, or a rejection with its reason. When
an engine dies, what it had in flight gets a strike each and is run again on the next engine. Two
strikes may be bad luck. From then on a request is a suspect and is run apart from the others, in
small groups, then alone; one whose engine dies while it is alone in it is rejected.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from recaption.config import EngineConfig, RecipeError
from recaption.engines.base import (
    CaptionEngine,
    EngineBootError,
    EngineDied,
    EngineInfo,
    Job,
    RequestFailed,
)
from recaption.notices import note
from recaption.parts import Answer
from recaption.sample import Caption, Reason, Rejection, Stage
from recaption.text import printable, without_controls

log = logging.getLogger(__name__)

_SUSPECT = 2  # strikes from which a request is run apart
_ALONE = 3  # strikes from which it is run alone
_GROUP = 8  # suspects run together
_BACKOFF_S = 2.0
_MESSAGE = 1000  # characters of a rejection's message that are kept


@dataclass(slots=True)
class Counters:
    """What an engine has done so far."""

    requests: int = 0
    captions: int = 0
    boots: int = 0
    deaths: int = 0
    reruns: int = 0


@dataclass(slots=True, eq=False)
class _Case:
    """A request on its way, with its record. `verdict` is there once it is a suspect."""

    job: Job
    strikes: int = 0
    attempts: int = 0
    cause: str = ""  # of the last death with it in the engine
    verdict: asyncio.Future[Answer] | None = None


@dataclass(slots=True, eq=False)
class _Office:
    """The engine in office, with what it has in flight."""

    engine: CaptionEngine
    last_answer: float = field(default_factory=time.monotonic)
    in_flight: dict[_Case, asyncio.Task[list[Caption]]] = field(default_factory=dict)
    is_dead: bool = False


class EngineDriver:
    """Answers jobs through an engine that it boots, watches and replaces."""

    def __init__(
        self,
        config: EngineConfig,
        boot: Callable[[], Awaitable[CaptionEngine]],
        on_boot: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`boot` starts an engine; `on_boot` is awaited before each boot, and may raise."""
        self._config = config
        self._boot = boot
        self._on_boot = on_boot
        self._office: _Office | None = None
        self._suspects: list[_Case] = []
        self._recovering: asyncio.Task[None] | None = None
        self._permits: asyncio.Semaphore | None = None
        self._is_closed = False
        self._lost: EngineBootError | None = None
        self.counters = Counters()

    async def start(self) -> EngineInfo:
        """Boot the engine. Raises EngineBootError after `boot_attempts` boots, and ever after.

        At once where the first boot's error is final.
        """
        return (await self._engine()).engine.info

    async def answer_all(self, jobs: Iterable[Job]) -> list[Answer]:
        """Answer jobs, in their order."""
        return list(await asyncio.gather(*(self.answer(job) for job in jobs)))

    async def answer(self, job: Job) -> Answer:
        """Answer one job. Raises EngineBootError where no engine can be had, nothing else."""
        await self._engine()
        assert self._permits is not None
        case = _Case(job)
        async with self._permits:
            while case.verdict is None:
                answer = await self._try(await self._engine(), case)
                if answer is not None:
                    return answer
        while not case.verdict.done():
            await self._engine()  # which comes after the suspects have been tried
        return case.verdict.result()

    async def close(self) -> None:
        """Close the engine; jobs still under way fail."""
        self._is_closed = True
        office, self._office = self._office, None
        if self._recovering is not None:
            self._recovering.cancel()
        if office is not None:
            await office.engine.close()

    async def _try(self, office: _Office, case: _Case) -> Answer | None:
        """Run a request once; None if the engine died, and the request has one strike more."""
        case.attempts += 1
        task = asyncio.ensure_future(office.engine.answer(case.job))
        office.in_flight[case] = task
        try:
            await asyncio.wait({task}, timeout=self._config.timeout_s)
            if not task.done():
                if self._is_answering(office):
                    return self._rejected(case, Reason.TIMEOUT, self._timeout_text())
                self._bury(office, self._timeout_text() + ", nor to any other request")
            if office.is_dead and (task.cancelled() or not task.done() or task.exception()):
                return None
            captions = task.result()
        except RequestFailed as e:
            return self._rejected(case, e.reason, e.message)
        except EngineDied as e:
            self._bury(office, str(e))
            return None
        except Exception as e:  # of whatever an answer was made: one request must not end a part
            trace = without_controls(traceback.format_exc())
            log.error("an answer that nobody foresaw: %s", trace)
            return self._rejected(case, Reason.FAILED, f"{type(e).__name__}: {e}")
        finally:
            office.in_flight.pop(case, None)
            task.cancel()
        office.last_answer = time.monotonic()
        if not case.job.request.is_extra:
            self.counters.requests += 1
            self.counters.captions += len(captions)
        return Answer(case.job.request, tuple(captions), attempts=case.attempts)

    def _is_answering(self, office: _Office) -> bool:
        """Whether others were answered lately, so that a request without an answer is to blame."""
        return time.monotonic() - office.last_answer < self._config.timeout_s / 2

    def _bury(self, office: _Office, why: str) -> None:
        """Declare an engine dead: a strike for each request in it, once."""
        if office.is_dead:
            return
        office.is_dead = True
        self.counters.deaths += 1
        self.counters.reruns += len(office.in_flight)
        note(
            "engines that died and were replaced", f"{len(office.in_flight)} requests in it: {why}"
        )
        is_alone = len(office.in_flight) == 1
        for case, task in office.in_flight.items():
            case.strikes += 1
            case.cause = why
            if case.strikes >= _SUSPECT:
                self._accuse(case, is_alone)
            task.cancel()

    def _accuse(self, case: _Case, is_alone: bool) -> None:
        """Make a request a suspect, or convict one that was alone and had its warnings."""
        if case.verdict is None:
            case.verdict = asyncio.get_running_loop().create_future()
        if is_alone and case.strikes > _ALONE:
            answer = self._rejected(case, Reason.KILLED_ENGINE, _killed_text(case))
            case.verdict.set_result(answer)
        else:
            self._suspects.append(case)

    async def _engine(self) -> _Office:
        """Return the living engine, booting one if there is none."""
        while True:
            if self._is_closed:
                raise EngineBootError("the engine is being shut down")
            if self._lost is not None:
                raise self._lost
            if self._office is not None and not self._office.is_dead:
                return self._office
            if self._recovering is None or self._recovering.done():
                self._recovering = asyncio.create_task(self._recover())
            await asyncio.shield(self._recovering)

    async def _recover(self) -> None:
        """Put an engine in office that has survived all suspects."""
        dead, self._office = self._office, None
        while True:
            if dead is not None:
                await _close_quietly(dead.engine)
            office = _Office(await self._boot_with_retries())
            if self._permits is None:
                self._permits = asyncio.Semaphore(office.engine.concurrency)
            while self._suspects and not office.is_dead:
                await self._try_suspects(office)
            if not office.is_dead:
                self._office = office
                return
            dead = office

    async def _try_suspects(self, office: _Office) -> None:
        """Run the next suspects with nothing else: alone from `_ALONE` strikes, else in a group."""
        alone = [c for c in self._suspects if c.strikes >= _ALONE]
        group = alone[:1] or self._suspects[:_GROUP]
        self._suspects = [c for c in self._suspects if c not in group]
        answers = await asyncio.gather(*(self._try(office, case) for case in group))
        for case, answer in zip(group, answers, strict=True):
            assert case.verdict is not None
            if answer is not None and not case.verdict.done():
                case.verdict.set_result(answer)

    async def _boot_with_retries(self) -> CaptionEngine:
        for attempt in range(1, self._config.boot_attempts + 1):
            try:
                if self._on_boot is not None:
                    await self._on_boot()
                engine = await self._boot()
                self.counters.boots += 1
                return engine
            except EngineBootError as e:
                is_hopeless = e.is_final and not self.counters.boots
                if is_hopeless or attempt == self._config.boot_attempts:
                    self._lost = e
                    raise
                note("boots of engines that failed and were tried again", str(e))
                await asyncio.sleep(_BACKOFF_S * 2 ** (attempt - 1))
            except Exception as e:
                log.info("a boot ended in an error that is not the engine's own", exc_info=True)
                is_ours = isinstance(e, RecipeError)
                message = str(e) if is_ours else f"{type(e).__name__}: {e}"
                self._lost = EngineBootError(printable(message), is_final=True)
                raise self._lost from e
        raise AssertionError("boot_attempts is at least 1")

    def _rejected(self, case: _Case, reason: Reason, message: str) -> Answer:
        rejection = Rejection(Stage.ENGINE, reason, printable(message)[:_MESSAGE])
        return Answer(case.job.request, rejection=rejection, attempts=case.attempts)

    def _timeout_text(self) -> str:
        return f"no answer within engine.timeout_s={self._config.timeout_s:g}"


def convicted(job: Job, why: str) -> Answer:
    """Return the rejection of a request known from before to kill engines."""
    rejection = Rejection(Stage.ENGINE, Reason.KILLED_ENGINE, why)
    return Answer(job.request, rejection=rejection, attempts=0)


def _killed_text(case: _Case) -> str:
    return (
        f"the engine died {case.strikes} times with this request in it, at last with it alone:"
        f" {case.cause}"
    )


async def _close_quietly(engine: CaptionEngine) -> None:
    try:
        await asyncio.wait_for(engine.close(), 30)
    except Exception as e:
        log.warning("closing a dead engine: %s", e)
