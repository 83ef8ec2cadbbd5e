"""`recaption preview`: a few samples as the model will see them, without Ray and a corpus."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from recaption.config import EngineConfig
from recaption.decode import to_rgb
from recaption.engines.identity import resolve_model
from recaption.preview.tokens import TokenCounter, Tokens
from tests.command_line import Result, recaption
from tests.corpora import jpeg, write_tar

HOSTILE = "a red ball \x1b[2J\x1b]0;owned\x07 \u202e of wool"
WIDE = "赤い丸いボール" * 12


@pytest.fixture(autouse=True)
def at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    at = tmp_path / "in"
    at.mkdir()
    for number in range(9):
        (at / f"{number}.jpg").write_bytes(jpeg())
        (at / f"{number}.txt").write_text(f"thing {number} of wool")
    return at


def preview(source: Path, *words: str, engine: str = "kind: echo") -> Result:
    recipe = source.parent / "r.yaml"
    recipe.write_text(
        f"source: {{path: '{source}'}}\nengine: {{{engine}}}\n"
        f"caption: {{styles: [short]}}\ncorpus: {{path: '{source.parent}/corpus'}}\n"
    )
    result = recaption("preview", recipe, *words)
    assert not (source.parent / "corpus").exists()
    return result


def ids(result: Result) -> list[str]:
    return [
        line.split()[3] for line in result.out.splitlines() if line.endswith("─") and " of " in line
    ]


def test_a_sample_with_its_prompt_and_captions(photos: Path) -> None:
    result = preview(photos, "--limit", "1", "caption.per_style=2")
    assert result.code == 0, result.err
    out = " ".join(result.out.replace("│", "").split())
    assert "1 of 1 in/0.jpg" in out
    assert "stored JPEG, 64 x 48 pixels" in out
    assert "alt-text thing 0 of wool" in out
    assert "<alt>thing 0 of wool</alt>" in out
    assert "tokens of text, asked 2 times" in out
    assert out.count("accepted short: a ") == 2
    assert all(cell_len(line) <= 80 for line in result.out.splitlines())


def test_samples_come_from_all_over(tmp_path: Path, photos: Path) -> None:
    assert ids(preview(photos)) == ["in/0.jpg", "in/3.jpg", "in/6.jpg"]
    assert len(ids(preview(photos, "--limit", "20"))) == 9
    tars = tmp_path / "tars"
    tars.mkdir()
    for shard in "abc":
        write_tar(tars / f"{shard}.tar", [(f"{k}.jpg", jpeg()) for k in range(4)])
    assert ids(preview(tars)) == ["a/0", "b/0", "c/0"]
    assert ids(preview(tars, "--limit", "5")) == ["a/0", "a/1", "b/0", "b/1", "c/0"]


def test_a_model_that_has_to_be_booted_is_asked_only_on_demand(photos: Path) -> None:
    result = preview(photos, "--limit", "1", engine="kind: vllm, model: some/model")
    assert result.code == 0
    assert "accepted" not in result.out and "--caption boots the engine" in result.out
    result = preview(photos, "--limit", "1", "--no-caption")
    assert "accepted" not in result.out
    failed = preview(
        photos, "--caption", engine="kind: echo, boot_attempts: 1, args: {boot_fails: broken}"
    )
    assert failed.code == 1 and "error: no engine boots: broken" in failed.err
    assert ids(failed) == ["in/0.jpg", "in/3.jpg", "in/6.jpg"], "the prompts are shown all the same"


def test_what_the_safeguards_find_fault_with(photos: Path) -> None:
    doubts = ["safeguards.least_logprob=0", "safeguards.actions={unsure: reject}"]
    result = preview(photos, "--limit", "1", *doubts)
    assert "rejected  short: a " in result.out
    assert "unsure: " in result.out
    failing = preview(photos, "--limit", "1", "engine.args={fail_on: [in/0.jpg]}")
    assert "failed    request_failed: the echo engine was told to fail" in failing.out


def test_samples_that_are_none_and_shards_that_break(tmp_path: Path, photos: Path) -> None:
    (photos / "0.jpg").write_bytes(b"<html>")
    result = preview(photos, "--limit", "1")
    assert result.code == 1
    assert "rejected  not_an_image: HTML document" in result.out
    tars = tmp_path / "tars"
    tars.mkdir()
    write_tar(tars / "a.tar", [("x.jpg", jpeg())])
    (tars / "b.tar").write_bytes(b"no tar at all" * 100)
    result = preview(tars)
    assert result.code == 0
    assert "BROKEN    b.tar" in result.out


def test_words_of_strangers_do_nothing_to_a_terminal(photos: Path) -> None:
    (photos / "0.txt").write_text(HOSTILE)
    (photos / "3.txt").write_text(WIDE)
    result = preview(photos)
    assert "\x1b" not in result.out and "\u202e" not in result.out and "\x07" not in result.out
    assert all(cell_len(line) <= 80 for line in result.out.splitlines())
    assert "a red ball" in result.out and WIDE[:20] in result.out


def test_hints_that_are_not_shown_to_the_model(photos: Path) -> None:
    (photos / "0.txt").write_text("IMG_2034.JPG")
    result = preview(photos, "--limit", "1")
    assert "shown to the model as: nothing" in result.out
    assert "<alt>" not in result.out


def test_tokens_are_those_of_the_models_own_processor() -> None:
    from transformers import AutoImageProcessor

    model = "builtin:shapeworld"
    counter = TokenCounter.load(EngineConfig(kind="vllm", model=model))
    processor = AutoImageProcessor.from_pretrained(resolve_model(model))
    for size in ((64, 48), (96, 96)):
        grid = processor(images=[to_rgb(jpeg(size=size))])["image_grid_thw"][0]
        image = int(grid.prod()) // processor.merge_size**2
        assert counter.count("a red circle", jpeg(size=size)).image == image
    small = counter.count("a red circle", jpeg())
    longer = counter.count("a red circle above a blue square", jpeg())
    assert longer.text > small.text
    assert TokenCounter.load(EngineConfig(kind="echo")).count("x" * 41, b"") == Tokens(11)
    unknown = TokenCounter.load(EngineConfig(kind="vllm", model="no/such-model"))
    assert unknown.count("x", b"").describe() == "about 1 tokens of text"


def test_it_needs_no_ray() -> None:
    code = "import sys, recaption.preview; sys.exit('ray' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
