"""Engine efficiency: images/s of the whole job in steady state over bare `vllm.LLM.generate`.

Both get the same images, prompts, model, engine arguments and sampling. The bare engine has its
images decoded and in memory and its prompts written; the job reads shards, decodes, prompts,
checks and commits. They take turns, each in a process of its own; the ratio is of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recaption.config import Recipe
from recaption.job import Job, open_job, resolve_job
from recaption.recipe_file import parse_recipe
from recaption.shapeworld.sets.shards import write_shards

CASES = {
    # model          images  pixels  tokens
    "random:small": (1200, 96, 24),  #   2 M parameters: overhead is everything; goal 0.85
    "random:base": (180, 224, 32),  #   40 M parameters: the engine is the wall; goal 0.98
}
_PER_SHARD = 60
_WARM_UP = _PER_SHARD  # images


def recipe_of(model: str, images: int, corpus: str) -> Recipe:
    """One caption an image, over the first shards of 60 images in $SHARDS."""
    tokens = CASES[model][2]
    last = images // _PER_SHARD - 1
    source = f"{os.environ['SHARDS']}/{{00000..{last:05d}}}.tar"
    return parse_recipe(
        {
            "source": {"path": source, "part_samples": 30, "dataset": "bench"},
            "caption": {"styles": ["short"]},
            "engine": {
                "kind": "vllm",
                "model": model,
                "args": {
                    "dtype": "float32",
                    "enforce_eager": True,
                    "max_model_len": 512,
                    "max_num_seqs": 64,
                },
            },
            "sampling": {"temperature": 0.7, "max_tokens": tokens, "min_tokens": tokens},
            "corpus": {"path": corpus},
        }
    )


def run_bare(model: str, images: int) -> list[float]:
    """Return images/s of the bare engine, warmed up on other images.

    One pass only: in a second one over the same images vLLM's caches would do half the work.
    """
    from vllm import LLM

    from recaption.engines.vllm import engine_arguments

    recipe = recipe_of(model, images + _WARM_UP, tempfile.mkdtemp())
    llm = LLM(**engine_arguments(recipe.engine))
    prompts, sampling = _bare_requests(resolve_job(recipe), llm)
    llm.generate(prompts[images:], sampling[images:], use_tqdm=False)
    started = time.monotonic()
    outputs = llm.generate(prompts[:images], sampling[:images], use_tqdm=False)
    return [len(outputs) / (time.monotonic() - started)]


def _bare_requests(job: Job, llm: Any) -> tuple[list[Any], list[Any]]:
    from vllm import SamplingParams

    from recaption.decode import to_rgb
    from recaption.engines.vllm import chat_prompt, sampling_arguments

    write = chat_prompt(llm.llm_engine)
    prompts, sampling = [], []
    for shard in job.shards:
        for part in job.preparer.parts(shard):
            for sample in part.samples:
                assert sample.image is not None
                image = to_rgb(sample.image.data)
                for r in sample.requests:
                    data = {"image": image}
                    prompts.append({"prompt": write(r.prompt), "multi_modal_data": data})
                    arguments = sampling_arguments(job.recipe.sampling)
                    sampling.append(SamplingParams(n=r.n, seed=r.seed, **arguments))
    return prompts, sampling


def run_whole(model: str, images: int) -> list[float]:
    """Return images/s in steady state of the whole job."""
    from rich.console import Console

    from recaption.pipeline import run_job
    from recaption.progress import Progress

    with tempfile.TemporaryDirectory() as folder:
        job = open_job(recipe_of(model, images, folder))
        summary = run_job(job, Progress(Console(stderr=True), every_s=30))
    assert summary.exit_code == 0 and summary.rejected == 0, summary
    return [summary.images_per_second]


def main() -> None:
    """Take turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--model", action="append", choices=list(CASES))
    parser.add_argument("--one", choices=["bare", "whole"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    models = arguments.model or list(CASES)
    if arguments.one:
        run = run_bare if arguments.one == "bare" else run_whole
        arguments.out.write_text(json.dumps(run(models[0], CASES[models[0]][0])))
        return
    print(f"{'model':14}{'bare images/s':>28}{'whole job images/s':>28}{'ratio':>8}")
    for model in models:
        rates: dict[str, list[float]] = {"bare": [], "whole": []}
        with tempfile.TemporaryDirectory() as shards:
            images, pixels, _ = CASES[model]
            write_shards(shards, images // _PER_SHARD + 1, _PER_SHARD, seed=5, size=pixels)
            for turn in range(arguments.turns):
                order = list(rates) if turn % 2 == 0 else list(rates)[::-1]
                for one in order:
                    rates[one] += _in_own_process(one, model, shards)
        bare, whole = (statistics.median(rates[one]) for one in rates)
        shown = [f"{statistics.median(r):.2f} ({min(r):.2f}-{max(r):.2f})" for r in rates.values()]
        print(f"{model:14}{shown[0]:>28}{shown[1]:>28}{whole / bare:>8.2f}", flush=True)


def _in_own_process(one: str, model: str, shards: str) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, "rates.json"), Path(folder, "log")
        command = [sys.executable, "-m", "tests.benchmarks.engine_efficiency"]
        command += ["--one", one, "--model", model, "--out", str(out)]
        with log.open("wb") as file:
            environment = os.environ | {"SHARDS": shards}
            done = subprocess.run(command, stdout=file, stderr=file, env=environment, check=False)
        if done.returncode:
            raise SystemExit(f"{one} {model} failed:\n{log.read_text()[-3000:]}")
        rates: list[float] = json.loads(out.read_text())
        return rates


if __name__ == "__main__":
    main()
