"""Training data: the same pairs for any number of workers, from any step; crops and their texts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from recaption.config import RecipeError
from recaption.corpus.export.run import Target, run_export
from recaption.corpus.export.selection import Selection
from recaption.corpus.garbage import find_garbage
from recaption.corpus.reader import CorpusReader
from recaption.corpus.regions import RegionLedger
from recaption.storage import StorageError
from tests.corpora import jpeg, write_tar
from tests.train.data import (
    Letters,
    caption_crops,
    caption_shards,
    make_recipe,
    read_batches,
    seen,
)
from train.crops import parse_region
from train.data import open_data

STEPS = 21  # three epochs of 60 images in batches of 8


def test_any_number_of_workers_trains_on_the_same_pairs(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    recipe = make_recipe(tmp_path, "crops.flip=0.5", "recaption.when_missing=full")
    alone = seen(read_batches(open_data(recipe), 1, 0, STEPS))
    assert len(alone) == STEPS and all(len(step) == 8 for step in alone)
    for workers in (2, 4):
        assert seen(read_batches(open_data(recipe), workers, 0, STEPS)) == alone


@pytest.mark.parametrize("first", [1, 6, 7, 13])
def test_it_goes_on_from_any_step(tmp_path: Path, first: int) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, "recaption.when_missing=full"))
    whole = seen(read_batches(data, 1, 0, STEPS))
    assert seen(read_batches(data, 2, first, STEPS)) == whole[first:]


def test_captions_take_turns(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, "crops.whole=1"))
    texts: dict[str, set[str]] = {}
    for (batch,) in zip(*read_batches(data, 1, 0, 2 * data.order.steps_per_epoch), strict=True):
        for one, caption in zip(batch.sample_ids, batch.captions, strict=True):
            texts.setdefault(one, set()).add(caption)
    twice = [both for both in texts.values() if len(both) == 2]
    assert len(twice) > 40  # an epoch drops the images that fill no batch


def test_a_crop_has_its_own_caption_where_there_is_one(tmp_path: Path) -> None:
    job = caption_shards(tmp_path)
    recipe = make_recipe(tmp_path)
    data = open_data(recipe)
    steps = 2 * data.order.steps_per_epoch
    units = caption_crops(job, recipe, steps)
    assert units == 2 * 9  # parts of 8, 8 and 4 in three shards, two crops each
    assert caption_crops(job, recipe, steps) == 0  # nothing is asked twice
    assert caption_crops(job, recipe, 10 * steps) == 0  # later epochs use the same crops
    data = open_data(recipe)
    read_batches(data, 1, 0, steps)
    counts = data.counts()
    assert set(counts) == {"crops kept", "crops own", "text caption"}
    assert counts["crops own"] > counts["crops kept"] > 0
    assert not find_garbage(recipe.data.corpus)


def test_region_captions_tell_where_they_come_from(tmp_path: Path) -> None:
    job = caption_shards(tmp_path)
    recipe = make_recipe(tmp_path)
    caption_crops(job, recipe, 7)
    data = open_data(recipe)
    ledger = RegionLedger(str(tmp_path / "corpus"), job.made_by.fingerprint)
    rows = [
        row
        for part, _ in data.entries.counts()
        for row in ledger.captions(part, ledger.of_part(part)).to_pylist()
    ]
    assert len({(r["sample_id"], r["region"], r["style"], r["slot"]) for r in rows}) == len(rows)
    assert {r["style"] for r in rows} == {"short", "dense"}
    for row in rows:
        assert parse_region(row["region"]).area < 0.9
        assert row["fingerprint"] == job.made_by.fingerprint and row["image_sha256"]
        assert {row["width"], row["height"]} <= {48, 60, 64}


@pytest.mark.parametrize(
    ("how", "outcome"),
    [("full", "crops full"), ("whole", "crops whole"), ("overlap", "crops full")],
)
def test_what_stands_in_for_a_missing_caption(tmp_path: Path, how: str, outcome: str) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, f"recaption.when_missing={how}"))
    read_batches(data, 1, 0, 7)
    assert data.counts()[outcome] > 20


def test_a_region_that_covers_the_crop_lends_its_caption(tmp_path: Path) -> None:
    job = caption_shards(tmp_path)
    caption_crops(job, make_recipe(tmp_path), 14)
    other = make_recipe(tmp_path, "seed=6", "recaption.least_overlap=0.5")
    data = open_data(other)
    read_batches(data, 1, 0, 14)
    counts = data.counts()
    assert counts["crops overlap"] > 10 and counts["crops full"] > 0


def test_captions_that_the_captioner_was_not_sure_of_count_as_missing(tmp_path: Path) -> None:
    job = caption_shards(tmp_path)
    recipe = make_recipe(tmp_path)
    caption_crops(job, recipe, 7)
    outcomes = {}
    for least in (-20.0, 0.5):
        sure = make_recipe(
            tmp_path, f"recaption.least_logprob={least}", "recaption.when_missing=whole"
        )
        data = open_data(sure)
        read_batches(data, 1, 0, 7)
        outcomes[least] = set(data.counts()) & {"crops own", "crops whole"}
    assert list(outcomes.values()) == [{"crops own"}, {"crops whole"}]


def test_who_waits_for_nobody_is_told(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, "recaption.when_missing=wait"))
    with pytest.raises(StorageError, match=r"no captioner runs; set recaption.is_live=true"):
        read_batches(data, 1, 0, 7)


def test_held_out_images_are_not_trained_on(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, "data.held_out=0.2", "data.lanes=1"))
    held = {one for batch in data.held_out(100, Letters()) for one in batch.sample_ids}
    epoch = read_batches(data, 1, 0, 3 * data.order.steps_per_epoch)
    trained = {one for batch in epoch[0] for one in batch.sample_ids}
    assert not held & trained and 6 <= len(held) <= 18
    assert len(held) + data.order.images == 60 and len(trained) == data.order.images


def test_a_styles_captions_alone(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, "data.styles=[dense]", "crops.whole=1"))
    entries = data.entries.read(data.entries.counts()[0][0], 0)
    assert {option.style for entry in entries for option in entry.texts.captions} == {"dense"}
    assert entries[0].texts.alt_text and Counter(len(e.texts.captions) for e in entries) == {1: 8}


WRONG = [
    (
        ("data.styles=[shrt]",),
        r"data.styles: .* in the style 'shrt', did you mean short",
    ),
    (("data.version=abc",), r"no version 'abc'"),
    (("data.images=/nowhere/*.tar",), r"the corpus's images: .* give their place now"),
    (("data.batch_size=400",), r"60 images are to train on, a batch takes 400"),
    (("data.corpus=/nowhere",), r"/nowhere: not a corpus"),
]


@pytest.mark.parametrize(("overrides", "message"), WRONG)
def test_a_wrong_recipe_is_refused(
    tmp_path: Path, overrides: tuple[str, ...], message: str
) -> None:
    caption_shards(tmp_path)
    with pytest.raises((RecipeError, StorageError), match=message):
        open_data(make_recipe(tmp_path, *overrides))


def test_images_that_are_gone_are_named(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    (tmp_path / "shards" / "00001.tar").unlink()
    with pytest.raises(RecipeError, match=r"images of 1 of its shards are missing, such as 00001"):
        open_data(make_recipe(tmp_path))


def test_images_that_were_replaced_are_noticed(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    data = open_data(make_recipe(tmp_path, "crops.whole=1"))
    others = [(f"01{index:03d}.jpg", jpeg("pink", "grey")) for index in range(20)]
    write_tar(tmp_path / "shards" / "00001.tar", others)
    with pytest.raises(StorageError, match=r"is not the image that was captioned"):
        read_batches(data, 1, 0, 7)


def test_rejected_images_are_left_out(tmp_path: Path) -> None:
    caption_shards(tmp_path, "engine.args.fail_on=[00000/00003]")
    data = open_data(make_recipe(tmp_path))
    assert data.order.images == 59


def test_an_export_gives_the_same_pairs(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    recipe = make_recipe(tmp_path, "crops.whole=1", "data.lanes=1")
    reader = CorpusReader(str(tmp_path / "corpus"))
    run_export(reader, Target("webdataset", str(tmp_path / "export")), Selection(), Console())
    exported = make_recipe(
        tmp_path, "crops.whole=1", "data.lanes=1", "data.corpus=", f"data.export={tmp_path}/export"
    )
    texts = [
        {
            (one, caption, key)
            for (batch,) in zip(*read_batches(open_data(of), 1, 0, 7), strict=True)
            for one, caption, key in zip(
                batch.sample_ids, batch.captions, batch.noise_key_B.tolist(), strict=True
            )
        }
        for of in (recipe, exported)
    ]
    assert open_data(exported).order.images == 60
    both = {one for one, *_ in texts[0]} & {one for one, *_ in texts[1]}
    assert {t for t in texts[0] if t[0] in both} == {t for t in texts[1] if t[0] in both}


NOT_EXPORTS = {
    "no .json": ([("a.jpg", b"x")], r"hold no image beside a .json with captions"),
    "no captions": (
        [("a.jpg", jpeg()), ("a.json", b'{"sample_id": "a", "captions": []}')],
        r"hold no image beside a .json with captions",
    ),
    "other styles": (
        [
            ("a.jpg", jpeg()),
            ("a.json", b'{"sample_id": "a", "captions": [{"region": "full", "style": "tags"}]}'),
        ],
        r"the export has no captions in the style 'short' \(styles: tags\)",
    ),
}


@pytest.mark.parametrize(("members", "message"), NOT_EXPORTS.values(), ids=NOT_EXPORTS)
def test_what_is_no_export_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes]], message: str
) -> None:
    write_tar(tmp_path / "export" / "0.tar", members)
    wanted = ("data.corpus=", f"data.export={tmp_path}/export", "data.styles=[short]")
    recipe = make_recipe(tmp_path, *wanted, "data.batch_size=1", "data.lanes=1")
    with pytest.raises((RecipeError, StorageError), match=message):
        read_batches(open_data(recipe), 1, 0, 1)
