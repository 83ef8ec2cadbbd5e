"""Small corpora and recipes for the tests of training data: real shards, the echo engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recaption.corpus.regions import RegionLedger
from recaption.job import Job
from recaption.recipe_file import apply_overrides
from tests.corpora import caption_part, jpeg, make_corpus, write_tar
from train.batch import Batch
from train.config import TrainRecipe
from train.corpus_entries import CorpusEntries
from train.crop_prepare import CropPreparer, units_needed
from train.data import TrainData, open_data
from train.windows import Loader, assemble

SIZES = ((64, 48), (48, 64), (60, 60))
COLOURS = ("red", "blue", "green", "black", "white", "orange", "purple")


@dataclass(frozen=True)
class Letters:
    """A tokenizer of the first letters."""

    length: int = 12

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        raw = [text.encode()[: self.length] for text in texts]
        token = np.array([list(r.ljust(self.length, b"\0")) for r in raw], np.int32)
        mask = np.array([[k < len(r) for k in range(self.length)] for r in raw])
        return token, mask


def write_shards(folder: Path, shards: int = 3, images: int = 20) -> str:
    for shard in range(shards):
        members = []
        for index in range(images):
            left, right = COLOURS[index % 7], COLOURS[(index + shard + 1) % 7]
            name = f"{shard:02d}{index:03d}"
            members.append((f"{name}.jpg", jpeg(left, right, SIZES[index % 3])))
            members.append((f"{name}.txt", f"{left} left of {right}".encode()))
        write_tar(folder / f"{shard:05d}.tar", members)
    return str(folder / "*.tar")


def caption_shards(tmp_path: Path, *overrides: str) -> Job:
    """Make a corpus of 60 images in parts of 8, in two styles."""
    return make_corpus(
        tmp_path / "corpus",
        write_shards(tmp_path / "shards"),
        "source.part_samples=8",
        "caption.styles=[short, dense]",
        *overrides,
    )


def make_recipe(tmp_path: Path, *overrides: str) -> TrainRecipe:
    base: dict[str, Any] = {
        "out": str(tmp_path / "run"),
        "images": 24 * 20,
        "seed": 5,
        "data": {
            "corpus": str(tmp_path / "corpus"),
            "image_size": 16,
            "batch_size": 8,
            "window": 12,
        },
        "crops": {"per_image": 2, "least_area": 0.3},
    }
    return TrainRecipe.model_validate(apply_overrides(base, overrides, TrainRecipe))


def caption_crops(job: Job, recipe: TrainRecipe, steps: int) -> int:
    """Caption the crops that these steps need, without Ray; return how many units."""
    data = open_data(recipe)
    assert isinstance(data.entries, CorpusEntries)
    units = units_needed(data.entries, data.order, 0, steps)
    preparer = CropPreparer(data.entries, job.preparer)
    ledger = RegionLedger(data.entries.corpus, data.entries.fingerprint)
    for unit in units:
        captioned = asyncio.run(caption_part(job, preparer.prepare(unit)))
        ledger.commit(captioned, job.made_by)
    return len(units)


def read_batches(data: TrainData, workers: int, first: int, last: int) -> list[list[Batch]]:
    """Read the batches of all workers, without Ray."""
    order = data.order
    loader = Loader(data.recipe, data.entries, order, Letters())
    by_worker = []
    for rank in range(workers):
        lanes = [lane for lane in range(order.lanes) if lane % workers == rank]
        rows = (loader.rows(window) for window in order.interleaved(lanes, first, last))
        by_worker.append(list(assemble(rows, lanes, order.share, data._counts)))
    return by_worker


def seen(by_worker: list[list[Batch]]) -> list[list[tuple[str, str, int, bytes]]]:
    """What each step trains on, whoever read it."""
    return [
        sorted(
            (one, caption, int(key), image.numpy().tobytes())
            for batch in step
            for one, caption, key, image in zip(
                batch.sample_ids, batch.captions, batch.noise_key_B, batch.image_BCHW, strict=True
            )
        )
        for step in zip(*by_worker, strict=True)
    ]
