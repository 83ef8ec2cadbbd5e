"""Replaying rejects: what succeeds now becomes a caption, the rest stays as it was."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recaption import keyed
from recaption.config import RecipeError
from recaption.corpus.ledger import Ledger
from recaption.corpus.reader import CorpusReader
from recaption.corpus.writer import commit_part
from recaption.engines.base import Job as EngineJob
from recaption.job import Job
from recaption.parts import Answer, CaptionedPart, CaptionedSample
from recaption.replay import parse_reasons, plan_replay
from recaption.sample import Caption, Part, Reason, Request
from recaption.status import corpus_status
from tests.corpora import jpeg, replay_corpus, write_tar
from tests.corpus.build import caption, data_files, files_of, unless, write_photos
from tests.judging import answered

RECIPE = (
    "source.part_samples=3",
    "caption.styles=[short, dense]",
    "caption.per_style=2",
)
GONE, DUMB = "00000/0001", "00001/0002"
"""A sample that the engine refuses at first, and one whose dense captions are empty at first."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two shards of five images, in parts of three."""
    return write_photos(tmp_path / "photos")


@pytest.fixture
def job(tmp_path: Path, photos: Path) -> Job:
    answer = unless(GONE, empty=((DUMB, "dense"),))
    return caption(tmp_path / "corpus", photos, *RECIPE, answer=answer)


def rejects(job: Job) -> Counter[tuple[str, str]]:
    """Return the rejects that stand, by sample and style."""
    rows = CorpusReader(job.made_by.corpus).rejects().to_pylist()
    return Counter((row["sample_id"], row["style"] or "") for row in rows)


def captions(job: Job) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Return the captions by sample, style and slot. Fails if one is doubled."""
    rows = CorpusReader(job.made_by.corpus).captions().to_pylist()
    found = {(row["sample_id"], row["style"], row["slot"]): row for row in rows}
    assert len(found) == len(rows), "a caption is doubled"
    return found


def numbers(job: Job) -> tuple[int, int, int]:
    status = corpus_status(CorpusReader(job.made_by.corpus))
    return status.read, status.captioned, status.captions


def test_what_succeeds_now_becomes_a_caption_in_its_slot(job: Job) -> None:
    before = captions(job)
    assert rejects(job) == {(GONE, "short"): 2, (GONE, "dense"): 2, (DUMB, "dense"): 2}
    assert numbers(job) == (10, 9, 34)
    receipts = replay_corpus(job, unless())
    assert [(r.part.name, r.read, r.captioned, r.retry, r.fault) for r in receipts] == [
        ("00000.tar-00000", 1, 1, 1, ""),
        ("00001.tar-00000", 1, 1, 1, ""),
    ]
    after = captions(job)
    slots = [(style, slot) for style in ("short", "dense") for slot in (0, 1)]
    assert set(after) - set(before) == {(GONE, *s) for s in slots} | {
        (DUMB, "dense", 0),
        (DUMB, "dense", 1),
    }
    assert {key: after[key] for key in before} == before, "what was there stays as it is"
    assert rejects(job) == {}
    assert numbers(job) == (10, 10, 40)


def test_recovered_counts_samples_with_their_first_caption(job: Job) -> None:
    """The refused sample had none before; the other had its short ones, and is no recovery."""
    replay_corpus(job, unless())
    records = Ledger(job.made_by.corpus, job.made_by.fingerprint).records()
    assert {r.part.name: r.recovered for r in records if r.retry} == {
        "00000.tar-00000": 1,
        "00001.tar-00000": 0,
    }


def test_what_fails_again_stays_a_reject_beside_the_others(job: Job) -> None:
    replay_corpus(job, unless(GONE))
    assert rejects(job) == {(GONE, "short"): 2, (GONE, "dense"): 2}
    assert numbers(job) == (10, 9, 36)


def test_a_second_and_third_replay_work_as_the_first(job: Job) -> None:
    replay_corpus(job, unless(GONE, empty=((DUMB, "dense"),)))
    assert sum(rejects(job).values()) == 6 and numbers(job) == (10, 9, 34)
    replay_corpus(job, unless(empty=((GONE, "dense"), (DUMB, "dense"))))
    assert rejects(job) == {(GONE, "dense"): 2, (DUMB, "dense"): 2}
    assert numbers(job) == (10, 10, 36)
    third = replay_corpus(job, unless())
    assert [receipt.retry for receipt in third] == [3, 3]
    assert rejects(job) == {} and numbers(job) == (10, 10, 40)
    records = Ledger(job.made_by.corpus, job.made_by.fingerprint).records()
    recovered = [(r.retry, r.recovered) for r in records if r.part == Part("00000.tar", 0)]
    assert recovered == [(0, 0), (1, 0), (2, 1), (3, 0)], "recovered once, not twice"
    assert replay_corpus(job, unless()) == [], "nothing is left"


def test_only_the_reasons_asked_for_are_replayed(job: Job) -> None:
    replay_corpus(job, unless(), [Reason.EMPTY_CAPTION])
    assert rejects(job) == {(GONE, "short"): 2, (GONE, "dense"): 2}
    replay_corpus(job, unless(), [Reason.TIMEOUT])
    assert rejects(job) == {(GONE, "short"): 2, (GONE, "dense"): 2}
    replay_corpus(job, unless(), [Reason.TIMEOUT, Reason.REQUEST_FAILED])
    assert rejects(job) == {}


def test_the_same_seed_after_a_failure_another_after_a_check(tmp_path: Path, job: Job) -> None:
    """What failed by accident is asked the same; what came out empty would come out so again."""
    asked: dict[tuple[str, str, int], int] = {}

    def answer(engine_job: EngineJob) -> list[Caption]:
        r = engine_job.request
        assert r.n == 1, "each slot alone"
        asked[engine_job.sample_id, r.style, r.first_slot] = r.seed
        return [Caption("now", r.seed, "stop", 1, 1, -1.0)]

    replay_corpus(job, answer)
    (first,) = [s for s in job.shards if s.name == "00000.tar"]
    samples = [s for part in job.preparer.parts(first) for s in part.samples]
    (refused,) = [s for s in samples if s.sample.sample_id == GONE]
    for request in refused.requests:
        for slot in (0, 1):
            assert asked[GONE, request.style, slot] == request.seed + slot
    dumb = [asked[DUMB, "dense", slot] for slot in (0, 1)]
    (second,) = [s for s in job.shards if s.name == "00001.tar"]
    (sample,) = [
        s for p in job.preparer.parts(second) for s in p.samples if s.sample.sample_id == DUMB
    ]
    before = {r.seed + i for r in sample.requests for i in range(r.n)}
    assert len(set(dumb)) == 2 and not set(dumb) & before
    stored = captions(job)
    assert [stored[DUMB, "dense", slot]["seed"] for slot in (0, 1)] == dumb


def keyed_seed(job: Job, slot: int, retry: int) -> int:
    first = job.recipe.seed, job.made_by.dataset, DUMB, "full", "dense"
    seed = keyed.integer("sampling", *first, bits=48)
    return keyed.integer("replay", seed, slot, retry, bits=48)


def test_each_replay_draws_anew_and_repeatably(job: Job) -> None:
    """The seed of a replay is a function of the reject and the replay's number, of nothing else."""
    seeds: list[list[int]] = []

    def silent(engine_job: EngineJob) -> list[Caption]:
        if engine_job.sample_id == DUMB:
            seeds[-1].append(engine_job.request.seed)
        r = engine_job.request
        return [Caption("", r.seed, "stop", 1, 0, None)]

    for _ in range(3):
        seeds.append([])
        replay_corpus(job, silent)
    assert len({seed for drawn in seeds for seed in drawn}) == 6, seeds
    assert seeds == [[keyed_seed(job, slot, retry) for slot in (0, 1)] for retry in (1, 2, 3)]


def test_a_sample_that_could_not_be_decoded_is_read_again(tmp_path: Path) -> None:
    """A shard whose images were damaged on the way, replaced by a good copy since."""
    shard = tmp_path / "photos" / "a.tar"
    good = [(f"{i}.jpg", jpeg(size=(16 + i, 16))) for i in range(4)]
    bad = [(name, data[:200] if name == "2.jpg" else data) for name, data in good]
    write_tar(shard, bad)
    job = caption(tmp_path / "corpus", tmp_path / "photos", *RECIPE)
    assert rejects(job) == {("a/2", ""): 1}
    (receipt,) = replay_corpus(job)
    assert (receipt.read, receipt.captioned, receipt.rejects) == (1, 0, (("truncated", 1),))
    assert rejects(job) == {("a/2", ""): 1}
    write_tar(shard, good)
    (receipt,) = replay_corpus(job)
    assert (receipt.retry, receipt.captioned, receipt.captions) == (2, 1, 4)
    assert rejects(job) == {} and numbers(job) == (4, 4, 16)


def test_a_captioned_sample_that_cannot_be_read_now_is_not_asked_everything_later(
    job: Job, photos: Path
) -> None:
    """It would be a whole reject then, and be given its short captions a second time."""
    shard = photos / "00001.tar"
    good = shard.read_bytes()
    with tarfile.open(shard) as tar:
        image = tar.getmember("0002.jpg")
    damaged = bytearray(good)
    damaged[image.offset_data : image.offset_data + image.size] = bytes(image.size)
    shard.write_bytes(damaged)
    replay_corpus(job, unless(GONE))
    assert rejects(job)[DUMB, "dense"] == 2 and rejects(job)[DUMB, ""] == 0
    shard.write_bytes(good)
    replay_corpus(job, unless())
    assert len(captions(job)) == 40 and rejects(job) == {}


def test_a_sample_that_is_gone_keeps_its_reject(tmp_path: Path) -> None:
    shard = tmp_path / "photos" / "a.tar"
    write_tar(shard, [("0.jpg", jpeg()), ("1.jpg", b"no")])
    job = caption(tmp_path / "corpus", tmp_path / "photos")
    write_tar(shard, [("0.jpg", jpeg()), ("other.jpg", jpeg())])
    replay_corpus(job)
    assert rejects(job) == {("a/1", ""): 1}, "and no caption for a stranger"
    assert {key[0] for key in captions(job)} == {"a/0"}


def test_a_shard_that_broke_since_is_a_fault_and_changes_nothing(job: Job, photos: Path) -> None:
    before = files_of(job.made_by.corpus)
    (photos / "00000.tar").write_bytes(b"gone")
    receipts = replay_corpus(job, unless())
    assert [bool(r.fault) for r in receipts] == [True, False] and receipts[0].retry == 1
    assert rejects(job) == {(GONE, "short"): 2, (GONE, "dense"): 2}
    assert len(files_of(job.made_by.corpus)) == len(before) + 2


def test_two_replays_at_once_do_not_double(job: Job) -> None:
    """Both plan replay 1; the first to commit it stands."""
    plan = plan_replay(job, job.ledger.committed(), frozenset())
    replay_corpus(job, unless())
    before = captions(job), data_files(job.made_by.corpus)
    for shard in plan:
        for prepared in shard.prepared(job.preparer):
            samples = tuple(
                CaptionedSample(s, tuple(_late(r) for r in s.requests)) for s in prepared.samples
            )
            late = CaptionedPart(prepared.shard, prepared.part, samples, retry=prepared.retry)
            assert commit_part(late, job.made_by).was_there
    assert (captions(job), data_files(job.made_by.corpus)) == before


def _late(request: Request) -> Answer:
    texts = [Caption("too late", request.seed + i, "stop", 1, 1, None) for i in range(request.n)]
    return answered(request, texts)


def test_the_plan_reads_only_what_has_rejects(job: Job) -> None:
    plan = plan_replay(job, job.ledger.committed(), frozenset())
    assert [(shard.shard.name, sorted(shard.parts)) for shard in plan] == [
        ("00000.tar", [0]),
        ("00001.tar", [0]),
    ]
    parts = [part for shard in plan for part in shard.prepared(job.preparer)]
    assert [[s.sample.sample_id for s in p.samples] for p in parts] == [[GONE], [DUMB]]
    asked = [[(r.style, r.first_slot, r.n) for r in p.samples[0].requests] for p in parts]
    assert asked == [
        [("short", 0, 1), ("short", 1, 1), ("dense", 0, 1), ("dense", 1, 1)],
        [("dense", 0, 1), ("dense", 1, 1)],
    ]


def test_a_corpus_without_rejects_has_nothing_to_replay(tmp_path: Path, photos: Path) -> None:
    job = caption(tmp_path / "corpus", photos, *RECIPE)
    assert plan_replay(job, job.ledger.committed(), frozenset()) == []


def test_reasons_are_checked() -> None:
    assert parse_reasons(["truncated", "timeout"]) == {"truncated", "timeout"}
    assert parse_reasons([]) == frozenset()
    with pytest.raises(RecipeError, match=r"no reason 'truncatd', did you mean truncated\? \(reas"):
        parse_reasons(["truncatd"])
