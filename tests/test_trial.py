"""--limit: a trial on a few images leaves the corpus alone, and tells what the whole run will."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from recaption.config import RecipeError
from recaption.corpus.reader import CorpusReader
from recaption.job import Job, trial_of
from recaption.replay import plan_replay
from tests.command_line import recaption
from tests.corpora import jpeg, make_corpus
from tests.corpus.build import caption, files_of, open_only, unless, write_photos

RECIPE = ("caption.styles=[short, dense]", "source.part_samples=3")
WHEN = {"run_id", "committed_at", "created_at"}


def rows(corpus: Path | str) -> dict[tuple[object, ...], dict[str, object]]:
    found = CorpusReader(str(corpus)).captions().to_pylist()
    keyed = {(r["sample_id"], r["style"], r["slot"]): r for r in found}
    assert len(keyed) == len(found), "no caption twice"
    return {key: {k: v for k, v in r.items() if k not in WHEN} for key, r in keyed.items()}


def test_a_trial_captions_so_many_images_and_the_whole_run_is_as_if_it_had_not_been(
    tmp_path: Path,
) -> None:
    photos = write_photos(tmp_path / "photos", shards=4, images=7)
    undisturbed = tmp_path / "undisturbed"
    make_corpus(undisturbed, photos, *RECIPE)

    trial = make_corpus(tmp_path / "corpus", photos, *RECIPE, limit=8)
    tried = rows(trial.made_by.corpus)
    shards = {r["shard"] for r in tried.values()}
    assert (len({key[0] for key in tried}), len(shards), trial.trial) == (8, 4, 8)
    assert {f.split("/")[0] for f in files_of(tmp_path / "corpus")} == {"trials"}

    again = make_corpus(tmp_path / "corpus", photos, *RECIPE, limit=8)
    assert again.pending(again.ledger.committed()) == []
    make_corpus(tmp_path / "corpus", photos, *RECIPE)
    whole = rows(tmp_path / "corpus")
    assert whole == rows(undisturbed)
    for key, row in tried.items():
        assert row["caption"] == whole[key]["caption"] and row["seed"] == whole[key]["seed"]


def test_a_trial_of_a_shard_that_has_fewer_images_ends_with_them(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / f"{i}.jpg").write_bytes(jpeg(size=(16, 16 + i)))
    trial = make_corpus(tmp_path / "corpus", tmp_path / "photos", *RECIPE, limit=100)
    assert len({key[0] for key in rows(trial.made_by.corpus)}) == trial.trial == 3
    assert trial.pending(trial.ledger.committed()) == []


@pytest.mark.parametrize(
    ("limit", "shards", "used", "images"),
    [(10, 1, 1, 10), (10, 1000, 5, 10), (100, 1000, 5, 100), (97, 1000, 8, 96), (3, 1000, 3, 3)],
)
def test_a_trial_looks_into_some_shards_from_all_over_and_never_has_more_images(
    tmp_path: Path, limit: int, shards: int, used: int, images: int
) -> None:
    job = open_only(tmp_path / "corpus", write_photos(tmp_path / "photos", shards=1), *RECIPE)
    many = tuple(replace(job.shards[0], name=f"{i:05d}.tar") for i in range(shards))
    trial = trial_of(replace(job, shards=many), limit)
    assert (len(trial.shards), trial.trial) == (used, images)
    assert len({shard.name for shard in trial.shards}) == used
    assert used == 1 or int(trial.shards[-1].name[:5]) > shards // 2


def test_another_prompt_is_another_trial(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    first = make_corpus(tmp_path / "corpus", photos, *RECIPE, limit=2)
    other = make_corpus(tmp_path / "corpus", photos, *RECIPE, "seed=1", limit=2)
    assert first.made_by.corpus != other.made_by.corpus
    assert len(rows(first.made_by.corpus)) == len(rows(other.made_by.corpus)) == 4


def planned(job: Job, limit: int | None) -> list[str]:
    plan = plan_replay(job, job.ledger.committed(), frozenset(), limit)
    assert sum(one.images for one in plan) <= (100 if limit is None else limit)
    return [s for one in plan for part in one.parts.values() for s in part.samples]


def test_a_limited_retry_leaves_the_other_rejects_as_they_are(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    bad = ("00000/0001", "00000/0002", "00001/0004")
    job = caption(tmp_path / "corpus", photos, *RECIPE, answer=unless(*bad))
    assert planned(job, None) == list(bad)
    assert planned(job, 2) == list(bad[:2])
    assert planned(job, 1) == list(bad[:1])


def test_the_command_says_where_a_trial_would_be_and_refuses_none(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", shards=4)
    recipe = {"source": {"path": str(photos)}, "engine": {"kind": "echo"}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe | {"corpus": {"path": "out/corpus"}}))
    told = recaption("caption", tmp_path / "r.yaml", "--limit", 8, "--dry-run")
    assert told.code == 0 and "about 8 (" in told.out and "/out/corpus/trials/8-" in told.out
    none = recaption("caption", tmp_path / "r.yaml", "--limit", 0, "--dry-run")
    assert none.code == 2 and none.complaint == "--limit: expected at least 1 image, got 0"


def test_no_trial_of_nothing(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    with pytest.raises(RecipeError, match="--limit: expected at least 1 image, got -3"):
        make_corpus(tmp_path / "corpus", photos, limit=-3)
