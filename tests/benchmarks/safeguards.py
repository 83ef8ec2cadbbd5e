"""What the safeguards are worth and cost: rendered images, whose content is known exactly.

The same images, hints and seeds are captioned several times by the built-in captioner: with every
fault accepted (`off`), with the checks, and besides with the claim check, with a limit to how
unsure the captioner may be, with both. Told are the rate, what came of the captions, the share of
captions that invent or contradict, the facts kept, how many of the captions that were wholly true
without safeguards are not there with them, and how many wholly true ones there are instead.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recaption.config import Recipe
from recaption.corpus.reader import CorpusReader
from recaption.job import open_job
from recaption.recipe_file import parse_recipe
from recaption.sample import Reason
from recaption.shapeworld.reading.claims import Verdict
from recaption.shapeworld.reading.judge import judge
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.score import Truth, read_rows, read_truths, score
from recaption.shapeworld.sets.shards import write_shards

SEED = 77_000_003
_CAUGHT = [reason for reason in Reason if reason is not Reason.EMPTY_CAPTION]
CASES = ("off", "checks", "claims", "sure", "both")
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one case."""

    summary: dict[str, Any]
    report: dict[str, Any]
    captions: dict[Key, str]


def safeguards_of(case: str, min_yes: float, least_logprob: float) -> dict[str, Any]:
    """Return the safeguards of a case."""
    if case == "off":
        return {"actions": {str(reason): "accept" for reason in _CAUGHT}}
    asked = {"claims": True, "min_yes": min_yes} if case in ("claims", "both") else {}
    return asked | ({"least_logprob": least_logprob} if case in ("sure", "both") else {})


def recipe_of(shards: str, corpus: str, safeguards: dict[str, Any]) -> Recipe:
    """Return the recipe of a case: four styles at temperature 0.7."""
    arguments = {"dtype": "float32", "enforce_eager": True, "max_model_len": 1024}
    return parse_recipe(
        {
            "source": {"path": shards, "part_samples": 50, "dataset": "bench"},
            "caption": {"styles": ["short", "dense", "attributes", "spatial"]},
            "engine": {
                "kind": "vllm",
                "model": "builtin:shapeworld",
                "args": arguments | {"max_num_seqs": 64},
            },
            "sampling": {"temperature": 0.7, "max_tokens": 250},
            "safeguards": safeguards,
            "corpus": {"path": corpus},
        }
    )


def run(recipe: Recipe, truths: dict[str, Truth]) -> Run:
    """Caption, and score the captions."""
    from rich.console import Console

    from recaption.pipeline import run_job
    from recaption.progress import Progress

    summary = run_job(open_job(recipe), Progress(Console(stderr=True), every_s=30))
    rows = (
        CorpusReader(recipe.corpus.path)
        .captions()
        .select(["sample_id", "style", "slot", "caption"])
    )
    captions = {(r["sample_id"], r["style"], r["slot"]): r["caption"] for r in rows.to_pylist()}
    told = {
        "rate": summary.images_per_second,
        "seconds": summary.seconds,
        "outcomes": summary.outcomes,
        "rejects": summary.rejects,
    }
    return Run(told, score(read_rows(recipe.corpus.path), truths), captions)


def is_true(truth: Truth, caption: str) -> bool:
    """Whether nothing that a caption says is false, and all of it was understood."""
    reading = parse(caption)
    verdicts = [claim.verdict for claim in judge(truth.scene, reading)]
    return Verdict.FALSE not in verdicts and not reading.unknown


def lost(before: Run, after: Run, truths: dict[str, Truth]) -> tuple[int, int]:
    """Return how many true captions there were, and how many of them are gone or cut."""
    true = [key for key, text in before.captions.items() if is_true(truths[key[0]], text)]
    return len(true), sum(after.captions.get(key) != before.captions[key] for key in true)


def tell(runs: dict[str, Run], truths: dict[str, Truth]) -> Iterator[str]:
    """Yield the figures as lines."""
    for name, one in runs.items():
        claims = one.report["claims"]
        figures = {
            "captions": len(one.captions),
            "invention": one.report["invention"]["value"],
            "contradiction": one.report["contradiction"]["value"],
            "precision": claims["precision"]["value"],
            "recall": claims["recall"]["value"],
            "retention": one.report["retention"] and one.report["retention"]["value"],
        }
        figures |= one.summary
        if name != "off" and "off" in runs:
            true, gone = lost(runs["off"], one, truths)
            figures |= {"true captions without": true, "of them lost": gone}
            kept = [is_true(truths[key[0]], text) for key, text in one.captions.items()]
            figures["true captions with"] = sum(kept)
        yield f"{name:8} {json.dumps(figures)}"


def main() -> None:
    """Render, caption in each way, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--min-yes", type=float, default=0.5)
    parser.add_argument("--least-logprob", type=float, default=-0.45)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shards = str(Path(folder) / "shards")
        write_shards(shards, shards=4, per_shard=given.images // 4, seed=SEED, size=128)
        truths = read_truths(shards)
        runs = {}
        for name in given.cases:
            safeguards = safeguards_of(name, given.min_yes, given.least_logprob)
            runs[name] = run(recipe_of(shards, str(Path(folder) / name), safeguards), truths)
        for line in tell(runs, truths):
            print(line, flush=True)


if __name__ == "__main__":
    main()
