"""The contract of a captioner: one image and one request in, its captions out.

An engine lives in one process and is driven by many asyncio tasks at once. It tells two kinds of
failure apart: `RequestFailed` is the fault of one request, which is rejected while all others go
on; `EngineDied` means that the engine cannot answer any more and has to be replaced, and that
every request it had in flight is run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from recaption.config import EngineConfig, SamplingConfig
from recaption.sample import Caption, Reason, Request
from recaption.text import without_controls

if TYPE_CHECKING:
    from PIL.Image import Image


class EngineBootError(RuntimeError):
    """The engine did not come up; the message is its own error.

    One that `is_final` is the recipe's or the server's last word: another boot ends the same way.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class EngineDied(RuntimeError):
    """The engine is gone with all it had in flight."""


class RequestFailed(RuntimeError):
    """This request cannot be answered, now or later."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the corpus records of an engine."""

    kind: str
    version: str
    model: str
    revision: str


class JobImage:
    """An encoded image, decoded at most once for all the requests that show it."""

    def __init__(self, data: bytes, sha256: str) -> None:
        self.data = data
        self.sha256 = sha256

    @cached_property
    def rgb(self) -> Image:
        """The image's pixels."""
        from recaption.decode import to_rgb

        return to_rgb(self.data)


@dataclass(frozen=True, slots=True)
class Job:
    """A request about an image of a sample."""

    sample_id: str
    image: JobImage
    request: Request

    @property
    def job_id(self) -> str:
        """The job's name: unique within a run."""
        r = self.request
        return f"{self.sample_id}|{r.region}|{r.style}|{r.seed}"


def caption_text(text: str) -> str:
    """Return what a model said as text that can be kept: no control characters, valid Unicode."""
    return without_controls(text).encode("utf-8", "replace").decode().strip()


class CaptionEngine(Protocol):
    """What every engine does."""

    @property
    def info(self) -> EngineInfo:
        """Who answers."""
        ...

    @property
    def concurrency(self) -> int:
        """How many requests it wants in flight."""
        ...

    async def answer(self, job: Job) -> list[Caption]:
        """Return `job.request.n` captions in the order of their seeds; of a question, its choices.

        Raises RequestFailed or EngineDied. Safe to cancel.
        """
        ...

    async def close(self) -> None:
        """Let everything go; safe to call twice."""
        ...


Tell = Callable[[str], None]
"""Takes what an engine waits for now, in one line; empty: for nothing."""


def tell_nobody(what: str) -> None:
    """Leave untold what an engine waits for."""


async def boot_engine(
    config: EngineConfig, sampling: SamplingConfig, tell: Tell = tell_nobody
) -> CaptionEngine:
    """Start the engine of a recipe and have it caption a test image.

    Raises EngineBootError with the engine's own error.
    """
    if config.kind == "openai":
        from recaption.engines.openai import OpenAIEngine

        return await OpenAIEngine.boot(config, sampling, tell)  # has a test image captioned, too
    from recaption.engines.trial import prove

    engine: CaptionEngine
    if config.kind == "vllm":
        from recaption.engines.vllm import VllmEngine

        engine = await VllmEngine.boot(config, sampling, tell)
    else:
        from recaption.engines.echo import EchoEngine

        engine = await EchoEngine.boot(config, sampling)
    await prove(engine, config)
    return engine
