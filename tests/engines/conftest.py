"""Engines to test: a loop for the session, and one vLLM with the built-in captioner in it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from recaption.config import EngineConfig, SamplingConfig
from recaption.engines import driver, openai_blame, openai_server
from recaption.engines.base import CaptionEngine, Job, JobImage
from recaption.engines.vllm import VllmEngine
from recaption.keyed import hexdigest
from recaption.sample import Caption, Request
from recaption.shapeworld.captioner import BUILT_IN
from recaption.shapeworld.captioner.measure import HELD_OUT
from recaption.shapeworld.render import render
from recaption.shapeworld.scenes import draw_simple_scene

T = TypeVar("T")

MAX_MODEL_LEN = 1024
SAMPLING = SamplingConfig(temperature=0.8, max_tokens=16)
GREEDY = SamplingConfig(temperature=0.0, max_tokens=16)
SHORT = "Describe the image in one short sentence."
"""As the system asks for it."""

LONG = "every object " * 4000
"""A prompt that is too long for every engine under test."""


def photo(index: int, kind: str = "JPEG") -> bytes:
    """A small noisy picture, another one for each index."""
    rng = np.random.default_rng(index)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    side = (112, 84)[index % 2]
    Image.fromarray(coarse).resize((112, side), Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


def scene(index: int) -> bytes:
    """A small picture in which the built-in captioner sees things; noise is all one to it."""
    file = io.BytesIO()
    drawn = draw_simple_scene(HELD_OUT, index, most_things=3)
    Image.fromarray(render(drawn, (112, 84)[index % 2])).save(file, "JPEG")
    return file.getvalue()


def job(
    index: int,
    *,
    n: int = 1,
    seed: int = 7,
    prompt: str = "describe the image",
    show: Callable[[int], bytes] = photo,
) -> Job:
    """A request about picture number `index`."""
    data = show(index)
    image = JobImage(data, hexdigest(data))
    sample_id = "bad" if prompt == LONG else f"s{index}"
    return Job(sample_id, image, Request("short", prompt, "short@v1", "h", n=n, seed=seed))


def texts(captions: Sequence[Caption]) -> list[str]:
    return [caption.text for caption in captions]


async def all_texts(engine: CaptionEngine, jobs: Sequence[Job]) -> list[list[str]]:
    """Answer jobs at once; the texts of each."""
    return [texts(captions) for captions in await asyncio.gather(*map(engine.answer, jobs))]


async def all_captions(engine: CaptionEngine, jobs: Sequence[Job]) -> list[Caption]:
    """Answer jobs at once; the captions of all in one list."""
    answers = await asyncio.gather(*map(engine.answer, jobs))
    return [caption for captions in answers for caption in captions]


def greedy_jobs() -> list[Job]:
    """16 scenes, for a comparison at temperature 0."""
    return [job(i, prompt=SHORT, show=scene) for i in range(16)]


def sampled_jobs() -> list[Job]:
    """The same scenes, twice each, with seeds of their own."""
    return [job(i, n=2, seed=100 * i, prompt=SHORT, show=scene) for i in range(16)]


class Loop:
    """An event loop that outlives a test: an engine lives in one."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def close(self) -> None:
        self._runner.close()


@dataclass
class InProcess:
    """vLLM in this process, and what it says of 16 scenes at temperature 0 and above."""

    engine: VllmEngine
    model: Path
    greedy: list[Caption]
    sampled: list[Caption]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits for a server."""
    monkeypatch.setattr(openai_server, "_FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(openai_server, "_LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(openai_blame, "_BUSY_WAIT_S", 0.02)
    monkeypatch.setattr(driver, "_BACKOFF_S", 0.01)


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture(scope="session")
def in_process(loop: Loop) -> Iterator[InProcess]:
    """The session's vLLM, with the built-in captioner; boots in about a minute."""
    pytest.importorskip("vllm")
    args = {"dtype": "float32", "enforce_eager": True, "max_model_len": MAX_MODEL_LEN}
    config = EngineConfig(kind="vllm", model="builtin:shapeworld", args=args)
    engine = loop.run(VllmEngine.boot(config, SAMPLING))
    try:
        greedy = VllmEngine(engine._llm, config, GREEDY)
        of_greedy = loop.run(all_captions(greedy, greedy_jobs()))
        sampled = loop.run(all_captions(engine, sampled_jobs()))
        yield InProcess(engine, BUILT_IN["builtin:shapeworld"], of_greedy, sampled)
    finally:
        loop.run(engine.close())
