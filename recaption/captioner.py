"""[Ray] The engine stage: an actor of the pool with one engine, several parts at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import ray

from recaption.answering import caption_sample, jobs_of, review
from recaption.config import ClipConfig, Recipe
from recaption.coordinator import History, ShownCaption
from recaption.engines.base import (
    CaptionEngine,
    EngineBootError,
    EngineInfo,
    Job,
    boot_engine,
)
from recaption.engines.driver import EngineDriver, convicted
from recaption.guard import Guard
from recaption.likeness import Likeness
from recaption.notices import note, take_notices
from recaption.parts import (
    HANDED_BACK,
    Answer,
    CaptionedPart,
    CaptionedSample,
    PreparedPart,
    PreparedSample,
)
from recaption.prompts import PromptSet
from recaption.text import printable

log = logging.getLogger(__name__)

_CAREFUL = 3  # starts from which a part is done in groups that the coordinator knows
_GROUP = 16
_REPORT_S = 1.0


class Captioner:
    """Captions parts. One is made per actor; Ray Data calls it for several parts at once."""

    def __init__(self, recipe: Recipe, prompts: PromptSet, coordinator: Any) -> None:
        self._recipe = recipe
        self._coordinator = coordinator
        self._name = ray.get_runtime_context().get_actor_id() or "local"
        self._driver = EngineDriver(recipe.engine, self._boot, self._before_boot)
        likeness, self._unfit = _load_likeness(recipe.safeguards.clip)
        self._guard = Guard(recipe, prompts, self._driver.answer, likeness)
        self._turnstile = _Turnstile()
        self._reported = (0, 0, 0, 0, 0)
        self._samples = 0
        self._last: CaptionedSample | None = None
        self._waiting = self._told = ""
        self._reporter: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, block: pa.Table) -> AsyncIterator[pa.Table]:
        """Turn a PreparedPart into a CaptionedPart."""
        part = PreparedPart.from_row(block)
        if self._reporter is None:
            self._loop = asyncio.get_running_loop()
            self._reporter = asyncio.create_task(self._report_forever())
        yield (await self._caption(part)).to_row()

    async def _caption(self, part: PreparedPart) -> CaptionedPart:
        if part.fault or not any(s.requests for s in part.samples):
            samples = tuple(CaptionedSample(s) for s in part.samples)
            self._samples += len(samples)
            return replace(_empty(part, part.fault), samples=samples)
        starts = await self._coordinator.starts.remote(part.name)
        async with self._turnstile.enter(alone=starts >= _CAREFUL):
            return await self._answer(part)

    async def _answer(self, part: PreparedPart) -> CaptionedPart:
        started = time.monotonic()
        history = await self._coordinator.begin.remote(self._name, part.name)
        try:
            if self._unfit is not None:
                raise self._unfit
            info = await self._driver.start()
            if history.starts < _CAREFUL:
                samples = await self._caption_all(part)
            else:
                samples = await self._caption_carefully(part, history)
        except EngineBootError as e:
            return await self._give_up(part, e)
        finally:
            await self._report()  # before the part's receipt: a run may end with it
            await self._coordinator.end.remote(self._name, part.name)
        return _captioned(part, samples, info, time.monotonic() - started)

    async def _caption_all(self, part: PreparedPart) -> list[CaptionedSample]:
        """Caption all samples at once; each is reviewed as soon as it has its answers."""

        async def caption(sample: PreparedSample) -> CaptionedSample:
            done = caption_sample(self._driver, self._guard, sample, part.is_whole)
            return self._counted(await done)

        return list(await asyncio.gather(*map(caption, part.samples)))

    async def _caption_carefully(
        self, part: PreparedPart, history: History
    ) -> list[CaptionedSample]:
        jobs = [jobs_of(sample) for sample in part.samples]
        flat = [job for of_sample in jobs for job in of_sample]
        rest = iter(await self._answer_carefully(part.name, flat, history))
        return [
            self._counted(
                await review(
                    self._guard, sample, of_sample, [next(rest) for _ in of_sample], part.is_whole
                )
            )
            for sample, of_sample in zip(part.samples, jobs, strict=True)
        ]

    def _counted(self, done: CaptionedSample) -> CaptionedSample:
        """Count a sample that is done, for the progress."""
        self._samples += 1
        self._last = done if done.answers else self._last
        return done

    async def _answer_carefully(self, part: str, jobs: list[Job], history: History) -> list[Answer]:
        """Answer a part in which the whole process died before: in groups known to the coordinator.

        The suspects are the group that was tried when it died last: each of them is tried alone,
        and one that was alone then is not tried again.
        """
        why = "the engine's process died with this request alone in it"
        answers = {j.job_id: convicted(j, why) for j in jobs if j.job_id in history.convicted}
        rest = [job for job in jobs if job.job_id not in answers]
        apart = [job for job in rest if job.job_id in history.suspects]
        others = [job for job in rest if job.job_id not in history.suspects]
        groups = [[j] for j in apart]
        groups += [others[i : i + _GROUP] for i in range(0, len(others), _GROUP)]
        for group in groups:
            await self._coordinator.trying.remote(part, tuple(j.job_id for j in group))
            for job, answer in zip(group, await self._driver.answer_all(group), strict=True):
                answers[job.job_id] = answer
        await self._coordinator.trying.remote(part, ())
        return [answers[job.job_id] for job in jobs]

    async def _give_up(self, part: PreparedPart, error: EngineBootError) -> CaptionedPart:
        is_over = await self._coordinator.lost.remote(self._name, str(error), error.is_final)
        if not is_over:
            note("engines that did not boot, while others may work", str(error))
        fault = f"no engine boots: {error}" if is_over else f"{HANDED_BACK}{error}"
        return replace(_empty(part, fault), is_fatal=is_over)

    async def _boot(self) -> CaptionEngine:
        is_ready = False
        try:
            engine = await boot_engine(self._recipe.engine, self._recipe.sampling, self._tell)
            is_ready = True
            self._tell("")
            return engine
        except EngineBootError as e:
            self._tell(str(e))
            raise
        finally:
            await self._coordinator.boot_ended.remote(self._name, is_ready)

    def _tell(self, what: str) -> None:
        """Say what the engine waits for; the next report takes it along."""
        self._waiting = printable(what)

    async def _before_boot(self) -> None:
        unfinished = await self._coordinator.boot.remote(self._name)
        if unfinished >= self._recipe.engine.boot_attempts:
            raise EngineBootError(
                f"the engine's process died {unfinished} times while it booted (out of memory?"
                " see the worker's log)"
            )

    async def _report_forever(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            await self._report()

    async def _report(self) -> None:
        if self._waiting != self._told:
            self._told = self._waiting
            await self._coordinator.waits_for.remote(self._name, self._told)
        c = self._driver.counters
        now = (c.requests, c.captions, c.deaths, c.reruns, self._samples)
        if now != self._reported:
            delta = [a - b for a, b in zip(now, self._reported, strict=True)]
            self._reported = now
            shown, self._last = _shown(self._last, sum(now)), None
            await self._coordinator.report.remote(self._name, *delta, shown)
        if notices := take_notices():
            await self._coordinator.note.remote(notices)

    def __del__(self) -> None:
        """Close the engine in order when the actor's work is over."""
        loop = getattr(self, "_loop", None)  # Ray makes objects that were never initialised
        if loop is None or not loop.is_running():
            return
        try:
            asyncio.run_coroutine_threadsafe(self._driver.close(), loop).result(30)
        except Exception as e:
            log.warning("closing the engine: %s", e)


def _load_likeness(config: ClipConfig) -> tuple[Likeness | None, EngineBootError | None]:
    """Load the model of the similarity gate; what is wrong with it is told as of an engine."""
    try:
        return Likeness.load(config), None
    except Exception as e:  # of whatever kind: an actor that does not start is started for ever
        why = printable(str(e)) or type(e).__name__
        text = f"safeguards.clip.model {config.model} on {config.device}: {why}"
        return None, EngineBootError(text, is_final=True)


class _Turnstile:
    """Lets many in together, or one alone."""

    def __init__(self) -> None:
        self._inside = 0
        self._is_reserved = False
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def enter(self, alone: bool) -> AsyncIterator[None]:
        """Wait for a place; who wants to be alone waits for the others and keeps new ones out."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_reserved)
            self._is_reserved = alone
            if alone:
                await self._changed.wait_for(lambda: self._inside == 0)
            self._inside += 1
        try:
            yield
        finally:
            async with self._changed:
                self._inside -= 1
                self._is_reserved = self._is_reserved and not alone
                self._changed.notify_all()


def _shown(sample: CaptionedSample | None, turn: int) -> ShownCaption | None:
    """Return one of a sample's captions, another style at another turn; None if none passed."""
    judged = [one for answer in (sample.answers if sample else ()) for one in answer.judged]
    good = [one for one in judged if one.rejection is None]
    if sample is None or not good:
        return None
    one = good[turn % len(good)]
    return ShownCaption(sample.prepared.sample.sample_id, one.request.style, one.caption.text)


def _captioned(
    part: PreparedPart, samples: list[CaptionedSample], info: EngineInfo, seconds: float
) -> CaptionedPart:
    return replace(
        _empty(part),
        samples=tuple(samples),
        engine=info.kind,
        engine_version=info.version,
        seconds=seconds,
    )


def _empty(part: PreparedPart, fault: str = "") -> CaptionedPart:
    return CaptionedPart(part.shard, part.part, fault=fault, retry=part.retry, unit=part.unit)
