"""The built-in captioner on real vLLM: what it says is true, and is what transformers says."""

from __future__ import annotations

import asyncio
import io
import math
from dataclasses import dataclass
from itertools import product

import pytest
from PIL import Image

from recaption.config import EngineConfig, SamplingConfig
from recaption.engines.base import Job, JobImage
from recaption.engines.vllm import VllmEngine
from recaption.keyed import hexdigest
from recaption.sample import Hints, Request
from recaption.shapeworld.captioner.ask import Asker
from recaption.shapeworld.captioner.lessons import prompts
from recaption.shapeworld.captioner.measure import HELD_OUT, measure_questions
from recaption.shapeworld.language import Style
from recaption.shapeworld.questions import draw_question
from recaption.shapeworld.render import encode
from recaption.shapeworld.scenes import draw_scene
from recaption.shapeworld.score import FULL, Row, Truth, score
from tests.engines.conftest import InProcess, Loop, all_captions

pytestmark = pytest.mark.vllm

SCENES = 60
SAMPLING = SamplingConfig(temperature=0, max_tokens=200)


@dataclass(frozen=True)
class Asked:
    """What was asked of the served captioner, and what it answered."""

    jobs: list[Job]
    rows: list[Row]
    truths: dict[str, Truth]


@pytest.fixture(scope="module")
def asked(in_process: InProcess, loop: Loop) -> Asked:
    config = EngineConfig(kind="vllm", model="builtin:shapeworld")
    engine = VllmEngine(in_process.engine._llm, config, SAMPLING)
    jobs, rows, truths = [], [], {}
    for index, style in product(range(SCENES), Style):
        scene = draw_scene(HELD_OUT, index)
        truths[str(index)] = Truth(scene, "empty", "", {}, "")
        data = encode(scene, 128, "jpg")
        prompt = prompts().render(style, Hints())
        request = Request(style, prompt, f"{style}@v1", "h", n=1, seed=1)
        jobs.append(Job(str(index), JobImage(data, hexdigest(data)), request))
    answers = loop.run(all_captions(engine, jobs))
    for job, answer in zip(jobs, answers, strict=True):
        style = job.request.style
        rows.append(Row(job.sample_id, FULL, style, 0, answer.text, frozenset()))
    return Asked(jobs, rows, truths)


def test_its_captions_are_true(asked: Asked) -> None:
    report = score(asked.rows, asked.truths)
    claims = report["claims"]
    assert report["not_understood"]["value"] < 0.05
    assert claims["precision"]["value"] > PRECISION and claims["recall"]["value"] > RECALL
    for kind in ("colour", "medium", "palette"):
        assert claims["by_kind"][kind]["precision"]["value"] > 0.8, kind


PRECISION, RECALL = 0.85, 0.72
"""Well below what docs/results.md reports: with so few scenes a figure swings."""


def test_vllm_and_transformers_say_the_same(asked: Asked, in_process: InProcess) -> None:
    asker, equal = Asker(in_process.model), 0
    some = list(zip(asked.jobs, asked.rows, strict=True))[:64]
    images = [Image.open(io.BytesIO(job.image.data)).convert("RGB") for job, _ in some]
    texts = asker.captions(images, [job.request.prompt for job, _ in some])
    equal = sum(text == row.caption for text, (_, row) in zip(texts, some, strict=True))
    assert equal >= 0.95 * len(some), [
        (t, r.caption) for t, (_, r) in zip(texts, some, strict=True)
    ]


def test_its_yes_is_worth_something(in_process: InProcess) -> None:
    found = measure_questions(Asker(in_process.model), 192, HELD_OUT)
    assert found["auc"] > 0.88 and found["ece"] < 0.1


def test_its_yes_through_vllm_is_that_of_transformers(in_process: InProcess, loop: Loop) -> None:
    """The claim check reads from log-probabilities what plain transformers computes."""
    config = EngineConfig(kind="vllm", model="builtin:shapeworld")
    engine = VllmEngine(in_process.engine._llm, config, SAMPLING)
    views = [draw_scene(HELD_OUT, index) for index in range(24)]
    prompts_asked = [prompts().ask(draw_question(view, 5).claim) for view in views]
    files = [encode(view, 128, "jpg") for view in views]
    jobs = [
        Job(str(k), JobImage(data, hexdigest(data)), question(prompt, seed=k))
        for k, (data, prompt) in enumerate(zip(files, prompts_asked, strict=True))
    ]
    captions = [loop.run(engine.answer(job)) for job in jobs]
    served = [math.exp(yes.mean_logprob or 0.0) for yes, _ in captions]
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in files]
    plain = Asker(in_process.model).yes_chances(images, prompts_asked)
    assert max(abs(a - b) for a, b in zip(served, plain, strict=True)) < 0.02


def question(prompt: str, seed: int) -> Request:
    return Request("_claim", prompt, "_claim@v1", "h", n=2, seed=seed, choices=("Yes", "No"))


def test_answers_in_flight_do_not_mix(asked: Asked, in_process: InProcess, loop: Loop) -> None:
    """The same requests in another order and company: each image keeps its own caption."""
    config = EngineConfig(kind="vllm", model="builtin:shapeworld")
    engine = VllmEngine(in_process.engine._llm, config, SAMPLING)

    async def backwards() -> list[str]:
        jobs = asked.jobs[:80][::-1]
        answers = await asyncio.gather(*map(engine.answer, jobs))
        return [captions[0].text for captions in answers][::-1]

    expected = [row.caption for row in asked.rows[:80]]
    equal = sum(a == b for a, b in zip(loop.run(backwards()), expected, strict=True))
    assert equal >= 0.95 * len(expected)
