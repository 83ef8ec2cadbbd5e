"""Captions for a few samples: the recipe's engine and safeguards, without Ray and a corpus."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from recaption.answering import caption_sample
from recaption.config import RecipeError
from recaption.engines.base import CaptionEngine, EngineBootError, Tell, boot_engine
from recaption.engines.driver import EngineDriver
from recaption.guard import Guard
from recaption.job import Job
from recaption.likeness import Likeness
from recaption.parts import CaptionedSample, PreparedSample
from recaption.summary import RunFailedError


class Asker:
    """An engine that is up, with the safeguards of its recipe."""

    def __init__(self, driver: EngineDriver, guard: Guard) -> None:
        self._driver = driver
        self._guard = guard

    async def caption(self, samples: Sequence[PreparedSample]) -> list[CaptionedSample]:
        """Caption samples, one after the other. Raises RunFailedError where the engine is lost."""
        try:
            return [await caption_sample(self._driver, self._guard, one) for one in samples]
        except EngineBootError as e:
            raise RunFailedError(f"no engine boots any more: {e}") from e


@asynccontextmanager
async def booted(job: Job, tell: Tell) -> AsyncIterator[Asker]:
    """Boot the engine of a recipe, and close it at the end. Raises RunFailedError."""
    recipe = job.recipe
    for name in ("VLLM_LOGGING_LEVEL", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(name, "error")  # their own words would hide the page

    async def boot() -> CaptionEngine:
        return await boot_engine(recipe.engine, recipe.sampling, tell)

    try:
        likeness = Likeness.load(recipe.safeguards.clip)
    except Exception as e:  # of whatever kind: what a model that cannot be loaded raises
        raise RecipeError(f"safeguards.clip.model {recipe.safeguards.clip.model}: {e}") from e
    driver = EngineDriver(recipe.engine, boot)
    try:
        await driver.start()
        yield Asker(driver, Guard(recipe, job.preparer.prompts, driver.answer, likeness))
    except EngineBootError as e:
        raise RunFailedError(f"no engine boots: {e}") from e
    finally:
        await driver.close()
