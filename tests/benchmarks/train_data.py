"""What rotation and crops cost the training data path: images/s, each way in turn, several times.

From rendered shards and a corpus of four captions an image: `plain` shows each image whole under
its first caption; `rotation` takes turns; `lying crops` crops too, under the whole image's caption,
as others do; `crops` has the captions of all crops from the corpus. All else is the same, in one
process, without Ray, so that nothing hides the cost.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.writing import write_set
from tests.corpora import make_corpus
from tests.train.data import caption_crops, make_recipe
from train.config import TrainRecipe
from train.data import open_data
from train.families.flow.tokenizer import TextTokenizer
from train.windows import Loader

TOKENIZER = TextTokenizer("", 64)

WAYS = {
    "plain": ("crops.whole=1", "rotation.policy=fixed"),
    "rotation": ("crops.whole=1", "rotation.policy=round_robin"),
    "lying crops": ("rotation.policy=round_robin", "recaption.when_missing=full", "seed=6"),
    "crops": ("rotation.policy=round_robin", "recaption.styles=[short]"),
}


def seconds_of(recipe: TrainRecipe, windows: int) -> tuple[float, int]:
    """Load some windows; return the seconds and the images."""
    data = open_data(recipe)
    loader = Loader(recipe, data.entries, data.order, TOKENIZER)
    chosen = list(data.order.interleaved(range(recipe.data.lanes), 0, data.steps))[:windows]
    begin = time.process_time()
    images = sum(len(loader.rows(window)["lane"]) for window in chosen)
    return time.process_time() - begin, images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--size", type=int, default=256, help="of the rendered images")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shards = Path(folder) / "shards"
        write_set(RenderedSet(9, 2, args.images // 2, args.size), "webdataset", str(shards), 1)
        styles = "caption.styles=[short, dense, attributes, spatial]"
        job = make_corpus(Path(folder) / "corpus", shards, styles, "source.part_samples=128")
        base = ("data.window=128", "data.image_size=64", "data.batch_size=64", "data.lanes=2")
        recipes = {name: make_recipe(Path(folder), *base, *way) for name, way in WAYS.items()}
        caption_crops(job, recipes["crops"], 10**6)
        rates: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(args.rounds):
            for name, recipe in recipes.items():
                seconds, images = seconds_of(recipe, windows=4)
                rates[name].append(images / seconds)
    plain = statistics.median(rates["plain"])
    for name, found in rates.items():
        pairs = [a / b for a, b in zip(found, rates["plain"], strict=True)]
        print(
            f"{name:10} {statistics.median(found):7.0f} images per CPU second"
            f"   {100 * (statistics.median(found) / plain - 1):+5.1f}%"
            f"   (paired {100 * (statistics.median(pairs) - 1):+5.1f}%)"
        )


if __name__ == "__main__":
    main()
