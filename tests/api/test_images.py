"""Images in memory captioned: prompts, checks and results are those of the pipeline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import recaption
from recaption.api.images import MemoryJob, _recipe
from recaption.engines.base import CaptionEngine
from recaption.engines.vllm import VllmEngine
from recaption.shapeworld.captioner.measure import HELD_OUT
from recaption.shapeworld.render import render
from recaption.shapeworld.scenes import draw_simple_scene
from tests.corpora import jpeg, make_corpus
from tests.engines.conftest import InProcess, Loop, in_process, loop

__all__ = ["in_process", "loop"]  # fixtures

RED, BLUE = Image.new("RGB", (80, 60), "red"), Image.new("CMYK", (64, 48))


def test_each_image_has_its_results_in_order() -> None:
    truncated = jpeg()[:200]
    images = [RED, BLUE, truncated, jpeg(), RED]
    results = recaption.caption_images(images, "echo", styles=["short", "dense"], per_style=2)
    assert [r.sample_id for r in results] == ["0", "1", "2", "3", "4"]
    assert [len(r.texts) for r in results] == [4, 4, 0, 4, 4]
    assert [(r.reason, r.style) for r in results[2].rejects] == [("truncated", None)]
    assert (results[0].width, results[0].height, results[2].width) == (80, 60, None)
    assert {(c.style, c.slot) for c in results[0].captions} == {
        *(("short", 0), ("short", 1), ("dense", 0), ("dense", 1))
    }
    assert recaption.caption_images([RED], "echo")[0].texts == [
        c.text for c in results[0].captions if c.style == "short" and c.slot == 0
    ]


def test_hints_are_shown_as_the_pipeline_shows_them(tmp_path: Path) -> None:
    """The same image and alt-text through a corpus: the same prompt."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "one.jpg").write_bytes(jpeg())
    (folder / "one.txt").write_text("a red kite")
    make_corpus(tmp_path / "corpus", folder, "caption.styles=[short]")
    (stored,) = recaption.open_corpus(tmp_path / "corpus").samples()
    (result,) = recaption.caption_images([folder / "one.jpg"], "echo", alt_text=["a red kite"])
    assert result.captions[0].columns["prompt"] == stored.captions[0].columns["prompt"]
    assert "a red kite" in result.captions[0].columns["prompt"]
    assert result.hints == stored.hints
    assert result.image_sha256 == stored.image_sha256 and result.image_name == "one.jpg"


def test_safeguards_are_at_work() -> None:
    safeguards = {"least_logprob": -0.001, "repairs": 0, "actions": {"unsure": "reject"}}
    (result,) = recaption.caption_images([RED], "echo", safeguards=safeguards)
    assert result.captions == ()
    assert [(r.stage, r.reason) for r in result.rejects] == [("check", "unsure")]


def test_it_works_where_an_event_loop_runs_and_an_engine_is_kept() -> None:
    async def notebook() -> list[str]:
        with recaption.ImageCaptioner("echo") as captioner:
            return captioner([RED])[0].texts + captioner([RED])[0].texts

    first, second = asyncio.run(notebook())
    assert first == second


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sampling": {"temprature": 1}}, r"sampling\.temprature.*temperature"),
        ({"corpus": {"path": "x"}}, "corpus: images in memory have no such section"),
        ({"alt_text": ["a", "b"]}, "alt_text: got 2, expected one for each of 1 images"),
        ({"alt_text": "a"}, "alt_text: got one text, expected one for each of 1 images"),
        ({"styles": ["shrot"]}, "shrot"),
        ({"engine": {"args": {"delay": 1}}}, "engine.args.delay: echo has no such argument"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(recaption.RecipeError, match=message) as error:
        recaption.caption_images([RED], "echo", **given)
    assert "\n" not in str(error.value)


def test_an_engine_that_does_not_boot_is_told() -> None:
    engine = {"args": {"boot_fails": "no memory"}, "boot_attempts": 1}
    with pytest.raises(recaption.RunFailedError, match="no engine boots: no memory"):
        recaption.caption_images([RED], "echo", engine=engine)


@pytest.mark.vllm
def test_the_built_in_captioner_on_vllm(in_process: InProcess, loop: Loop) -> None:
    """On the session's engine, which lives in the session's loop."""
    recipe = _recipe("builtin:shapeworld", ["short"], 1, {"sampling": {"temperature": 0}})
    job = MemoryJob(recipe)

    async def boot() -> CaptionEngine:
        return VllmEngine(in_process.engine._llm, recipe.engine, recipe.sampling)

    job.engine._driver._boot = boot
    scenes = [draw_simple_scene(HELD_OUT, index, most_things=1) for index in range(4)]
    images = [Image.fromarray(render(scene, 128)) for scene in scenes]
    results = loop.run(job.caption(images, [{}] * 4))
    assert all(len(r.texts) == 1 and len(r.texts[0].split()) > 2 for r in results)
    assert all(-2 < (r.captions[0].mean_logprob or -9) < 0 for r in results)
