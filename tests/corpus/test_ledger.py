"""The ledger: a part exists once its record does, and the listing of names tells all of it."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recaption import storage
from recaption.corpus.ledger import CommitRecord, Committed, Ledger
from recaption.sample import Part
from recaption.storage import StorageError
from tests.corpus.build import PRINT, files_of, record

ODD_SHARDS = [
    "a.tar",
    "a",
    "a-00003",  # which looks like a part of shard a
    "a-00003-00004",
    "a-123456",
    "train/a.tar",
    "train/deep/er/a.tar.gz",
    "train-00000-of-00010.parquet",
    "a.last",
    "a.json",
    "a.retry-01",
    "b-00000.last",
    "b-00000.retry-07",
    "b-00000.retry-07.json",
    "%E2%82%AC%20%2F..%2Fx.tar",
    "x" * 160 + ".tar",
    "root",
    "-00000",
    "0",
]
PARTS = [
    Part(s, i, last) for s in ODD_SHARDS for i, last in ((0, False), (7, False), (99_999, True))
]


def test_the_listing_tells_every_part(corpus: str) -> None:
    """Whatever a shard is called, its parts are found again as theirs and as no other's."""
    ledger = Ledger(corpus, PRINT)
    shuffled = random.Random(1).sample(PARTS, len(PARTS))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda p: ledger.commit(record(p)), shuffled))
    found = ledger.committed()
    assert found.count() == len(PARTS)
    assert {s: found.of(s) for s in ODD_SHARDS} == {s: {0, 7, 99_999} for s in ODD_SHARDS}
    assert sorted(found, key=lambda p: p.name) == sorted(PARTS, key=lambda p: p.name)
    assert found.retries == {}


def test_replays_are_found_as_replays(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), PRINT)
    for shard in ODD_SHARDS:
        for retry in (0, 1, 2, 10, 100):
            assert ledger.commit(record(Part(shard, 3, True), retry=retry))
    found = ledger.committed()
    assert found.count() == len(ODD_SHARDS)
    assert found.retries == {(shard, 3): 100 for shard in ODD_SHARDS}


@pytest.mark.parametrize("index", [0, 99_999, 100_000, 12_345_678])
def test_a_shard_may_have_any_number_of_parts(tmp_path: Path, index: int) -> None:
    ledger = Ledger(str(tmp_path), PRINT)
    ledger.commit(record(Part("a.tar", index, True)))
    assert ledger.committed().of("a.tar") == {index}
    assert ledger.committed().count_of("a.tar") == index + 1


def test_two_commits_of_a_part_and_the_first_stands(corpus: str) -> None:
    ledger = Ledger(corpus, PRINT)
    part = Part("a.tar", 0, True)
    assert ledger.commit(record(part, attempt="first"))
    assert not ledger.commit(record(part, attempt="second"))
    assert ledger.read(part).attempt == "first"


def test_of_many_at_once_one_wins(corpus: str) -> None:
    """Two drivers on one corpus, or a task that Ray thought dead: one record, one winner."""
    ledger, part = Ledger(corpus, PRINT), Part("a.tar", 0, True)
    with ThreadPoolExecutor(12) as pool:
        won = list(pool.map(lambda i: ledger.commit(record(part, attempt=str(i))), range(12)))
    assert won.count(True) == 1
    assert ledger.read(part).attempt == str(won.index(True))


def test_a_record_reads_as_it_was_written(corpus: str) -> None:
    ledger = Ledger(corpus, PRINT)
    written = record(
        Part("a/ü.tar", 5, True),
        read=10,
        captioned=7,
        rejected=3,
        rejects={"truncated": 2, "no_image": 1},
        captions_file="captions/x.parquet",
        shard_url="s3://b/ü.tar",
        shard_size=None,
        seconds=0.25,
    )
    ledger.commit(written)
    assert ledger.read(written.part) == written
    assert list(ledger.records()) == [written]


@pytest.mark.parametrize(("captioned", "rejected"), [(6, 3), (8, 3), (0, 0), (10, -1)])
def test_a_record_that_does_not_add_up_is_refused(captioned: int, rejected: int) -> None:
    """The last guard of "nothing vanishes": such a part never becomes visible."""
    with pytest.raises(ValueError, match=r"part a\.tar-00005 does not add up: 10 samples read"):
        record(Part("a.tar", 5), read=10, captioned=captioned, rejected=rejected)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"not json", b'{"shard": "a.tar"}', b"\xff\xfe", b'"text"'],
)
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    ledger, part = Ledger(str(tmp_path), PRINT), Part("a.tar", 0)
    ledger.commit(record(part))
    (file,) = tmp_path.rglob("*.json")
    file.write_bytes(content)
    with pytest.raises(StorageError, match=r"damaged corpus file .*a\.tar-00000\.json"):
        ledger.read(part)


def test_a_record_that_was_altered_to_not_add_up_is_named(tmp_path: Path) -> None:
    ledger, part = Ledger(str(tmp_path), PRINT), Part("a.tar", 0)
    ledger.commit(record(part))
    (file,) = tmp_path.rglob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"captioned": 5}))
    with pytest.raises(StorageError, match="does not add up"):
        ledger.read(part)


def test_no_record_is_opened_to_skip_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(str(tmp_path), PRINT)
    ledger.commit(record(Part("a.tar", 0, True)))
    monkeypatch.setattr(storage, "read_bytes", lambda url: pytest.fail(f"opened {url}"))
    assert ledger.committed().is_complete("a.tar")


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    """Half-written files, editors' backups, a nameless shard, too short a number."""
    commits = tmp_path / "versions" / PRINT / "commits"
    commits.mkdir(parents=True)
    names = [".123.recaption-tmp", "a-00000.json~", "-00000.json", "a-0000.json", "a.json", "x"]
    for name in [*names, "a-00000.lost.json", "a-00000.retry-x.json"]:
        (commits / name).write_bytes(b"")
    assert Ledger(str(tmp_path), PRINT).committed() == Committed()


def test_a_version_without_commits_is_empty(corpus: str) -> None:
    assert Ledger(corpus, PRINT).committed() == Committed()
    assert list(Ledger(corpus, PRINT).records()) == []


def test_a_shard_is_complete_with_all_parts_and_its_end() -> None:
    found = Committed()
    assert not found.is_complete("a") and found.count_of("a") is None
    found.add(Part("a", 0))
    found.add(Part("a", 1))
    assert not found.is_complete("a"), "its end is not known"
    found.add(Part("a", 3, is_last=True))
    assert found.count_of("a") == 4 and not found.is_complete("a"), "part 2 is missing"
    found.add(Part("a", 2))
    assert found.is_complete("a") and found.of("a") == {0, 1, 2, 3}
    found.add(Part("a", 2), retry=1)
    assert found.is_complete("a") and found.count() == 4, "a replay is no part"
    assert not found.is_complete("b")


def test_parts_behind_the_end_do_not_matter() -> None:
    """Of a shard that was replaced by a shorter one: it is finished all the same."""
    found = Committed()
    for part in (Part("a", 0), Part("a", 5), Part("a", 1, is_last=True)):
        found.add(part)
    assert found.is_complete("a")
    found.parts["a"].discard(0)
    assert not found.is_complete("a")


def test_versions_do_not_see_each_other(tmp_path: Path) -> None:
    one, other = Ledger(str(tmp_path), PRINT), Ledger(str(tmp_path), "f" * 16)
    one.commit(record(Part("a.tar", 0, True)))
    assert other.committed().count() == 0
    assert other.commit(record(Part("a.tar", 0, True)))


def test_records_come_part_by_part_with_replays_behind(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), PRINT)
    wanted = [("a", 0, 0), ("a", 0, 1), ("a", 0, 2), ("a", 1, 0), ("b", 0, 0), ("b", 0, 1)]
    for shard, index, retry in reversed(wanted):
        ledger.commit(record(Part(shard, index, index == 1), retry=retry))
    assert [(r.shard, r.index, r.retry) for r in ledger.records()] == wanted


def test_a_folder_and_a_file_below_it_can_both_be_shards(tmp_path: Path) -> None:
    """A folder of images with images in its subfolders: its name begins the others'."""
    ledger = Ledger(str(tmp_path), PRINT)
    parts = [Part("photos", 0, True), Part("photos/2024", 0, True), Part("photos/2024/a.tar", 0)]
    assert all(ledger.commit(record(p)) for p in parts)
    assert list(ledger.committed()) == parts
    assert len(files_of(tmp_path)) == 3


def test_records_are_typed_as_they_were(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), PRINT)
    ledger.commit(record(Part("a", 0), shard_size=5))
    got = next(ledger.records())
    assert isinstance(got, CommitRecord) and got.shard_size == 5 and got.part == Part("a", 0)
