"""What a live captioner costs the data path: images/s of its reader with and without one beside it.

    .venv/bin/python -m tests.benchmarks.live_crops CORPUS SHARDS recaption.engine='{kind: ...}'

CORPUS was captioned by a recipe on real vLLM, such as configs/caption/scenes.yaml. `ready`: no
engine runs, crops without a caption are shown under the whole image's. `live`: the same crops,
while the engine writes their captions; what is not there in time is shown as
`recaption.when_missing=overlap` says, so that the reader never waits. On a machine without a GPU
both share the cores, and the reader's CPU time tells what is its own.
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any

from recaption.recipe_file import apply_overrides, in_layers
from recaption.runtime import Share, session
from train.config import TrainRecipe
from train.data import TrainData, open_data
from train.families.flow.tokenizer import TextTokenizer

TOKENIZER = TextTokenizer("", 24)


def recipe_of(corpus: str, shards: str, *overrides: str) -> TrainRecipe:
    base: dict[str, Any] = {
        "out": "unused",
        "images": 10**6,
        "data": {
            "corpus": corpus,
            "images": shards,
            "image_size": 32,
            "batch_size": 64,
            "lanes": 2,
        },
        "crops": {"per_image": 4, "least_area": 0.4},
        "recaption": {"styles": ["short"], "ahead": 10**6},
    }
    return TrainRecipe.model_validate(
        apply_overrides(base, in_layers(["data.window=64"], overrides), TrainRecipe)
    )


def read(data: TrainData, seconds: float) -> tuple[float, float]:
    """Read for so long in this process; return images per second, by the clock and by its CPU."""
    data.is_alone = True
    batches = data.batches(0, 1, 0, TOKENIZER)
    for _ in itertools.islice(batches, 8):  # what is loaded once
        pass
    images, began, cpu = 0, time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        images += len(next(batches))
    return images / (time.monotonic() - began), images / (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("shards")
    parser.add_argument("engine", help="of the corpus, as in recaption.engine='{kind: vllm, ...}'")
    parser.add_argument("--seed", type=int, default=1_000, help="one whose crops have no captions")
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    seed = f"seed={given.seed}"
    rate, per_cpu = read(open_data(recipe_of(given.corpus, given.shards, seed)), given.seconds)
    print(f"ready  {rate:6.0f} images/s, {per_cpu:6.0f} per CPU second")
    data = open_data(
        recipe_of(given.corpus, given.shards, seed, "recaption.is_live=true", given.engine)
    )
    with session(), data.serving(Share(cpus=1)):
        assert data.board is not None
        while not data.counts().get("captions of crops"):
            time.sleep(1)
        before, began = data.counts()["captions of crops"], time.monotonic()
        rate, per_cpu = read(data, given.seconds)
        made = data.counts()["captions of crops"] - before
        captions = made / (time.monotonic() - began)
    print(f"live   {rate:6.0f} images/s, {per_cpu:6.0f} per CPU second, {captions:.1f} captions/s")


if __name__ == "__main__":
    main()
