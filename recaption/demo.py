"""The demo: rendered images, a small captioner on real vLLM, a corpus and its report."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from recaption.config import RecipeError, load_recipe
from recaption.job import open_job
from recaption.pipeline import run_job
from recaption.progress import Progress
from recaption.report import write_report
from recaption.summary import describe

RECIPE = Path(__file__).parents[1] / "configs" / "caption" / "demo.yaml"


def run_demo(out: str, shards: int, console: Console) -> int:
    """Caption the demo's images into `out`/corpus, write the report; return the exit code."""
    if not RECIPE.exists():
        raise RecipeError(f"the demo's recipe is not at {RECIPE}: run it from a checkout")
    if not 1 <= shards <= 99_999:
        raise RecipeError(f"--shards: expected 1 to 99999, got {shards}")
    folder = Path(out).absolute()
    started = time.monotonic()
    source = f"shapeworld://seed=1,images=100,size=96,shards={shards}"
    recipe = load_recipe(RECIPE, [f"corpus.path={folder / 'corpus'}", f"source.path='{source}'"])
    job = open_job(recipe)
    console.print(f"captioning {shards * 100} rendered images with {recipe.engine.model} on vLLM")
    summary = run_job(job, Progress(console, recipe.run.progress_s))
    for line in describe(summary):
        console.print(line, soft_wrap=True, markup=False)
    if summary.state == "stopped":
        console.print("stopped; the same command continues where it ended")
        return summary.exit_code
    page = write_report(recipe.corpus.path, str(folder / "report.html"))
    console.print(f"corpus  {recipe.corpus.path}", soft_wrap=True)
    console.print(f"report  {page}   (open it in a browser)", soft_wrap=True)
    console.print(f"{time.monotonic() - started:.0f} s; the model has random weights: its captions")
    console.print("show the system at work, not what it can say")
    return summary.exit_code
