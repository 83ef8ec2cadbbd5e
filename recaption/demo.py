"""The demo: rendered images, captioned on real vLLM, scored, reported, and trained on."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rich.console import Console

from recaption import storage
from recaption.children import Children
from recaption.config import RecipeError
from recaption.job import open_job
from recaption.output import spell
from recaption.pipeline import run_job
from recaption.progress import Progress
from recaption.recipe_file import load_recipe
from recaption.recipes import our_recipe
from recaption.report import write_report
from recaption.shapeworld.held import KnownTruth
from recaption.shapeworld.score import read_rows, read_truths, score
from recaption.shapeworld.score_table import headline
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.telling import telling
from recaption.shapeworld.sets.writing import write_set
from recaption.summary import tell_end

RECIPE = our_recipe("caption", "demo")
TRAIN_RECIPE = our_recipe("train", "demo")
_PER_SHARD = 100
_SEED = 2024
_PROMPTS = (
    "a red circle",
    "a blue square",
    "a yellow star",
    "a purple heart",
    "a watercolour painting of a red heart",
    "a watercolour painting of a green circle",
)
"""Painted before and after, and read by a recogniser."""


def run_demo(out: str, shards: int, trains: bool, console: Console) -> int:
    """Render, caption, score, report and train below `out`; return the exit code."""
    if not 1 <= shards <= 99_999:
        raise RecipeError(f"--shards: expected 1 to 99999, got {shards}")
    if storage.is_remote(out):
        raise RecipeError(f"--out: expected a folder on this machine, got {out}")
    folder, started = Path(spell(out, "--out")), time.monotonic()
    images = _render(folder / "shards", shards, console)
    overrides = [f"corpus.path={folder / 'corpus'}", f"source.path={images}"]
    recipe = load_recipe(RECIPE, overrides)
    console.print(f"2 of 5  captioning them with {recipe.engine.model} on vLLM")
    summary = run_job(open_job(recipe), Progress(console, recipe.run.progress_s))
    tell_end(summary, console)
    if summary.state == "stopped":
        return summary.exit_code
    console.print("3 of 5  holding every claim of the captions against the scenes")
    truths = read_truths(str(images))
    figures = score(read_rows(recipe.corpus.path), truths)
    (folder / "score.json").write_text(json.dumps(figures, indent=1))
    console.print(headline(figures))
    console.print("4 of 5  writing the report")
    known = KnownTruth(truths, figures)
    page = write_report(recipe.corpus.path, str(folder / "report.html"), truth=known)
    exit_code = summary.exit_code
    if trains:
        console.print(
            "5 of 5  training a small model on them: captions take turns, crops get their own"
        )
        exit_code = exit_code or _train(folder, images) or _paint(folder)
    _tell(console, folder, page)
    console.print(f"{time.monotonic() - started:.0f} s")
    return exit_code


def _train(folder: Path, images: Path) -> int:
    """Caption the crops, then train, as a user would; return the exit code.

    Two cores are too few for both at once.
    """
    corpus, out = f"data.corpus={folder / 'corpus'}", f"out={folder / 'train'}"
    words = (str(TRAIN_RECIPE), corpus, f"data.images={images}", out)
    return _run("crops", *words) or _run(*words, "recaption.is_live=false")


def _paint(folder: Path) -> int:
    """Paint the same prompts by the model before and after; return the exit code."""
    prompts = [word for prompt in _PROMPTS for word in ("--prompt", prompt)]
    beside = ("--beside", "builtin:shapes", "--score", "--out", str(folder / "grids.png"))
    return _run("sample", str(folder / "train"), *beside, *prompts)


def _run(*words: str) -> int:
    """Run a command of training in a process of its own; return its exit code."""
    return Children().run([sys.executable, "-P", "-m", "train", *words]).returncode


def _render(folder: Path, shards: int, console: Console) -> Path:
    rendered = RenderedSet(_SEED, shards, _PER_SHARD, None, "jpg", crops=False)
    console.print(f"1 of 5  rendering {rendered.images} images, with alt-text as the web writes it")
    with telling(console, rendered.images) as tell:
        write_set(rendered, "webdataset", str(folder), 1, tell)
    return folder


def _tell(console: Console, folder: Path, page: str) -> None:
    for name, path in (
        ("images", folder / "shards"),
        ("corpus", folder / "corpus"),
        ("truth", folder / "score.json"),
        ("report", page),
        ("grids", folder / "grids.png"),
    ):
        note = _NOTES.get(name, "")
        if Path(path).exists():
            console.print(f"{name:7} {path}{note}", soft_wrap=True, markup=False)
    console.print("next    your own images: recaption init PATH, then what it tells", markup=False)


_NOTES = {
    "report": "   (open it in a browser)",
    "grids": "   (the same prompts before training and after)",
}
