"""A recipe's engine and safeguards in this process: captions without Ray and without a corpus."""

from __future__ import annotations

from recaption.answering import caption_sample
from recaption.config import Recipe, RecipeError
from recaption.engines.base import (
    CaptionEngine,
    EngineBootError,
    EngineInfo,
    Tell,
    boot_engine,
    tell_nobody,
)
from recaption.engines.driver import EngineDriver
from recaption.guard import Guard
from recaption.likeness import Likeness
from recaption.parts import CaptionedSample, PreparedSample
from recaption.prompts import PromptSet
from recaption.summary import RunFailedError


class LocalEngine:
    """Captions samples; within one event loop. `tell` hears what a boot is doing."""

    def __init__(self, recipe: Recipe, prompts: PromptSet, tell: Tell = tell_nobody) -> None:
        """Load what the safeguards need. Raises RecipeError."""
        self._recipe, self._tell = recipe, tell
        self._driver = EngineDriver(recipe.engine, self._boot)
        clip = recipe.safeguards.clip
        try:
            likeness = Likeness.load(clip)
        except Exception as e:  # of whatever kind: what a model that cannot be loaded raises
            raise RecipeError(f"safeguards.clip.model {clip.model}: {e}") from e
        self._guard = Guard(recipe, prompts, self._driver.answer, likeness)

    async def start(self) -> EngineInfo:
        """Boot the engine, if it is not up; return what it is. Raises RunFailedError."""
        try:
            return await self._driver.start()
        except EngineBootError as e:
            raise RunFailedError(f"no engine boots: {e}") from e

    async def caption(self, sample: PreparedSample) -> CaptionedSample:
        """Caption a sample. Raises RunFailedError where the engine is lost."""
        try:
            return await caption_sample(self._driver, self._guard, sample)
        except EngineBootError as e:
            raise RunFailedError(f"no engine boots any more: {e}") from e

    async def close(self) -> None:
        """Close the engine in order."""
        await self._driver.close()

    async def _boot(self) -> CaptionEngine:
        return await boot_engine(self._recipe.engine, self._recipe.sampling, self._tell)
