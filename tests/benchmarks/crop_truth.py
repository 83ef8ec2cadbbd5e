"""How true training captions stay under crops: of rendered scenes it is known exactly.

python -m tests.benchmarks.crop_truth CORPUS SHARDS [key=value of a training recipe ...]

CORPUS holds captions of rendered SHARDS, and those of the crops that the recipe draws (train with
`recaption.is_live=true` first, or give --caption to make them now, which takes the corpus's own
engine). Prints the share of pairs whose text names a thing that is not in the crop, and of those
with anything false in them: under plain crops, and as recaptioned.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recaption.config import apply_overrides
from recaption.shapeworld.score import Row, read_truths, score
from train.config import TrainRecipe
from train.corpus_entries import CorpusEntries
from train.data import TrainData, open_data
from train.pairs import Entry, Outcome, make_pair

CROPS = ("crops.per_image=2", "crops.least_area=0.3", "crops.most_area=0.8", "crops.flip=0.5")


def make(corpus: str, shards: str, overrides: list[str]) -> TrainRecipe:
    base = {
        "out": tempfile.gettempdir(),
        "images": 10**6,
        "data": {"corpus": corpus, "images": shards, "styles": ["short"], "lanes": 1},
        "recaption": {"when_missing": "wait", "wait_s": 3600},
    }
    return TrainRecipe.model_validate(apply_overrides(base, [*CROPS, *overrides]))


def caption_crops(data: TrainData, recipe: TrainRecipe) -> None:
    """Let the live captioners write what an epoch of each crop needs."""
    from recaption.runtime import session

    live = apply_overrides(recipe.model_dump(mode="json"), ["recaption.is_live=true"])
    data = open_data(TrainRecipe.model_validate(live))
    with session(), data.serving():
        assert isinstance(data.entries, CorpusEntries)
        for epoch in range(recipe.crops.per_image):
            assert data.board is not None
            data.board.note(epoch * data.order.steps_per_epoch)
            for part, _ in data.entries.counts():
                data.entries.read(part, epoch)  # waits for its captions
        print(dict(data.counts()))


def entries_of(data: TrainData, epochs: int) -> Iterator[tuple[Entry, int]]:
    for epoch in range(epochs):
        for part, _ in data.entries.counts():
            for entry in data.entries.read(part, epoch):
                yield entry, epoch


def measure(recipe: TrainRecipe, truths: object) -> None:
    rows: dict[str, list[Row]] = {"plain": [], "recaptioned": []}
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in rows}
    lying = TrainRecipe.model_validate(
        apply_overrides(recipe.model_dump(mode="json"), ["recaption.when_missing=full"])
    )
    for entry, epoch in entries_of(open_data(recipe), recipe.crops.per_image):
        for name, one, of in (
            ("plain", replace(entry, regions={}), lying),
            ("recaptioned", entry, recipe),
        ):
            pair = make_pair(one, of, epoch=epoch, progress=0.0)
            outcomes[name][str(pair.outcome)] += 1
            row = Row(one.sample_id, pair.crop.region, "pair", epoch, pair.choice.text, frozenset())
            rows[name].append(row)
    for name, found in rows.items():
        # The scorer keeps whole images and regions apart; here all are pairs alike.
        figures = score(found, truths)  # type: ignore[arg-type]
        crops, whole = figures["regions"], figures
        n = len(found)
        n_crops = sum(row.region != "full" for row in found)
        for key in ("invention", "contradiction"):
            parts = [(crops, n_crops), (whole, n - n_crops)]
            share = sum(f[key]["value"] * m for f, m in parts if f[key]) / n
            print(f"{name:12} {key:14} {share:.4f} of {n} pairs  crops alone: {crops[key]}")
        print(f"{name:12} {dict(outcomes[name])}")
    share = outcomes["recaptioned"][str(Outcome.OWN)] / len(rows["recaptioned"])
    print(f"recaptioned: {share:.2f} of the pairs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("shards", type=lambda path: str(Path(path).absolute()))
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--caption", action="store_true", help="caption the crops first")
    args = parser.parse_args()
    recipe = make(args.corpus, args.shards, args.overrides)
    if args.caption:
        caption_crops(open_data(recipe), recipe)
    measure(recipe, read_truths(args.shards))


if __name__ == "__main__":
    main()
