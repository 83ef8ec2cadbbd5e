"""How true training captions stay under crops: of rendered scenes it is known exactly.

python -m tests.benchmarks.crop_truth CORPUS SHARDS [key=value of a training recipe ...]

CORPUS holds captions of rendered SHARDS, and those of the crops that the recipe draws (train with
`recaption.is_live=true` first, or give --caption and recaption.engine='{kind: ...}' to make them
now). Prints, under plain crops and as recaptioned, the share of pairs whose text names

- `absent`: a thing in a colour of which the crop holds nothing, or a trace;
- `invention`: a thing that cannot be told in the crop, so also one of which a bit is left;
- `contradiction`: anything false.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recaption.recipe_file import apply_overrides, in_layers
from recaption.shapeworld.content import hue_in
from recaption.shapeworld.drawing.geometry import Presence
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.score import Row, Truth, read_truths, region_of, score
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
    return TrainRecipe.model_validate(
        apply_overrides(base, in_layers(CROPS, overrides), TrainRecipe)
    )


def caption_crops(data: TrainData, recipe: TrainRecipe) -> None:
    """Let the live captioners write what an epoch of each crop needs."""
    from recaption.runtime import Share, session

    live = apply_overrides(recipe.model_dump(mode="json"), ["recaption.is_live=true"], TrainRecipe)
    data = open_data(TrainRecipe.model_validate(live))
    with session(), data.serving(Share(cpus=0)):
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


def names_absent(row: Row, truth: Truth) -> bool:
    """Whether a caption names a thing in a colour that no thing in the crop has."""
    shown = region_of(truth.scene, row.region)
    there = {
        hue_in(thing.colour, shown.medium)
        for thing, sight in zip(shown.things, shown.sightings(), strict=True)
        if sight.presence is not Presence.TRACE
    }
    return any(one.hue and one.hue not in there for one in parse(row.caption).mentions)


def measure(recipe: TrainRecipe, truths: dict[str, Truth]) -> None:
    rows: dict[str, list[Row]] = {"plain": [], "recaptioned": []}
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in rows}
    lying = TrainRecipe.model_validate(
        apply_overrides(
            recipe.model_dump(mode="json"), ["recaption.when_missing=full"], TrainRecipe
        )
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
        figures = score(found, truths)
        crops, whole = figures["regions"], figures
        n = len(found)
        n_crops = sum(row.region != "full" for row in found)
        shares = {"absent": sum(names_absent(row, truths[row.sample_id]) for row in found) / n}
        for key in ("invention", "contradiction"):
            parts = [(crops, n_crops), (whole, n - n_crops)]
            shares[key] = sum(f[key]["value"] * m for f, m in parts if f[key]) / n
        told = "  ".join(f"{key} {share:.4f}" for key, share in shares.items())
        print(f"{name:12} {n} pairs: {told}  {dict(outcomes[name])}")
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
