"""Cutting shards into parts: whatever is skipped, the parts together are the shard."""

from __future__ import annotations

import itertools
import struct
import tracemalloc
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption import storage
from recaption.config import SourceConfig
from recaption.sample import Part, Reason, Sample, Shard
from recaption.sources import ReadPart, map_parts, read_parts
from recaption.sources.tar import TarReader
from tests.shared_data import shared_data
from tests.sources.tars import sample_members, tar_bytes, write_shard


def make(kind: str, folder: Path, count: int) -> Shard:
    """Write a shard of `count` images."""
    if kind == "folder":
        path = folder / "photos"
        path.mkdir()
        for i in range(count):
            (path / f"{i:03d}.jpg").write_bytes(b"image %d" % i)
        return Shard("photos", str(path), "folder")
    if kind == "parquet":
        table = pa.table({"image": pa.array([b"%d" % i for i in range(count)], pa.binary())})
        pq.write_table(table, folder / "s.parquet", row_group_size=2)
        return Shard("s.parquet", str(folder / "s.parquet"), "parquet")
    data = tar_bytes([m for i in range(count) for m in sample_members(f"k{i}")])
    return write_shard(folder / "s.tar", data, packed=kind == "tar.gz")


def cut(
    shard: Shard, n: int, skip: Collection[int] = (), count: int | None = None
) -> list[ReadPart[Sample]]:
    return list(read_parts(shard, SourceConfig(path="x", part_samples=n), skip, count))


def samples_of(parts: list[ReadPart[Sample]]) -> list[Sample]:
    return [sample for part in parts for sample in part.samples]


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "parquet", "folder"])
def test_every_way_of_skipping_gives_the_missing_parts(tmp_path: Path, kind: str) -> None:
    shard = make(kind, tmp_path, 7)
    whole = cut(shard, 100)
    assert [p.part for p in whole] == [Part(shard.name, 0, is_last=True)]
    assert [s.ordinal for s in whole[0].samples] == list(range(7))
    for n in (1, 2, 3, 7, 8):
        parts = cut(shard, n)
        indices = range(-(-7 // n))
        assert [p.part for p in parts] == [Part(shard.name, i, i == indices[-1]) for i in indices]
        assert all(len(p.samples) == n for p in parts[:-1])
        assert samples_of(parts) == whole[0].samples
        everything = [*indices, indices[-1] + 1]
        for size in range(len(everything) + 1):
            for skip in itertools.combinations(everything, size):
                expected = [p for p in parts if p.part.index not in skip]
                assert cut(shard, n, skip) == expected, (n, skip)
                assert cut(shard, n, set(skip), count=len(indices)) == expected, (n, skip)


def test_an_exact_multiple_has_no_empty_part_at_the_end(tmp_path: Path) -> None:
    parts = cut(make("tar", tmp_path, 6), 3)
    assert [(p.part.index, p.part.is_last, len(p.samples)) for p in parts] == [
        (0, False, 3),
        (1, True, 3),
    ]


def test_a_shard_without_samples_is_one_empty_part(tmp_path: Path) -> None:
    shard = make("tar", tmp_path, 0)
    assert cut(shard, 3) == [ReadPart(Part("s.tar", 0, is_last=True))]
    assert cut(shard, 3, {0}) == []
    shard = make("parquet", tmp_path, 0)
    assert cut(shard, 3) == [ReadPart(Part("s.parquet", 0, is_last=True))]


def test_a_known_count_spares_the_rest(tmp_path: Path) -> None:
    shard = make("tar", tmp_path, 9)
    path = Path(shard.url)
    whole = cut(shard, 3)
    path.write_bytes(path.read_bytes()[:-9000])  # the third part is gone, nobody needs it
    assert cut(shard, 3, {0, 2}, count=3) == [whole[1]]
    path.unlink()
    assert cut(shard, 3, {0, 1, 2}, count=3) == []


@pytest.mark.parametrize("packed", [False, True])
def test_where_a_shard_breaks_the_parts_before_are_whole(tmp_path: Path, packed: bool) -> None:
    data = tar_bytes([m for i in range(10) for m in sample_members(f"k{i}")])
    good = cut(write_shard(tmp_path / "s.tar", data, packed), 2)
    raw = (tmp_path / "s.tar").read_bytes()
    for at in range(0, len(raw) - 1100, 97):
        (tmp_path / "s.tar").write_bytes(raw[:at])
        shard = Shard("s.tar", str(tmp_path / "s.tar"), "webdataset")
        parts = cut(shard, 2)
        broken = parts[-1]
        if broken.fault is None:  # cut off just behind a member: no one can know
            continue
        assert broken.samples == []
        assert "s.tar" in broken.fault
        assert "\n" not in broken.fault
        assert broken.part == Part("s.tar", len(parts) - 1)
        whole = parts[:-1]
        assert [p.samples for p in whole] == [p.samples for p in good[: len(whole)]]
        assert all(not p.part.is_last and p.fault is None for p in whole)
        behind = [p for p in cut(shard, 2, range(len(parts))) if p.fault]
        assert [p.part.index for p in behind] == [len(parts)]  # committed parts are not at fault


def test_a_fault_right_behind_a_full_part_leaves_it_whole(tmp_path: Path) -> None:
    data = tar_bytes([m for i in range(5) for m in sample_members(f"k{i}")])
    at = data.index(b"k4.txt")
    shard = write_shard(tmp_path / "s.tar", data[:at] + b"!" * 512)
    parts = cut(shard, 4)
    assert [(p.part.index, len(p.samples), bool(p.fault)) for p in parts] == [
        (0, 4, False),
        (1, 0, True),
    ]


def test_a_store_or_a_disk_that_fails_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, name in (("webdataset", "gone.tar"), ("parquet", "gone.parquet"), ("folder", "gone")):
        (part,) = cut(Shard(name, str(tmp_path / name), kind), 2)
        assert part.fault is not None
        assert "no such file" in part.fault

    def fail(self: object, *args: object) -> None:
        raise OSError(5, "Input/output error")

    shard = make("tar", tmp_path, 3)
    monkeypatch.setattr("recaption.sources.tar.TarReader.body", fail)
    (part,) = cut(shard, 2)
    assert part.fault is not None
    assert "could not read" in part.fault
    assert shard.url in part.fault


def test_the_file_is_closed_when_the_reader_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    plain = storage.open_read
    monkeypatch.setattr(storage, "open_read", lambda url: opened.append(plain(url)) or opened[-1])
    for kind in ("parquet", "tar"):
        shard = make(kind, tmp_path, 9)
        parts = read_parts(shard, SourceConfig(path="x", part_samples=2))
        next(parts)
        if kind == "tar":
            raw = Path("/proc/self/fd")
            assert any(str(p.resolve()) == shard.url for p in raw.iterdir())
        parts.close()  # type: ignore[attr-defined]
        assert not any(str(p.resolve()) == shard.url for p in Path("/proc/self/fd").iterdir())


def test_memory_is_that_of_one_part(tmp_path: Path) -> None:
    size, n = 200_000, 5
    data = tar_bytes([(f"{i:03d}.jpg", b"%03d" % i * (size // 3)) for i in range(100)])
    shard = write_shard(tmp_path / "s.tar", data)
    tracemalloc.start()
    count = sum(
        len(part.samples) for part in read_parts(shard, SourceConfig(path="x", part_samples=n))
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100
    assert peak < (2 * n + 3) * size  # the consumer still holds the part before


def test_the_real_shards() -> None:
    folder = shared_data() / "photos-wds"
    for path in sorted(folder.glob("*.tar")):
        shard = Shard(path.name, str(path), "webdataset")
        parts = cut(shard, 5)
        assert [len(p.samples) for p in parts] == [5, 5, 5, 2]
        assert cut(shard, 5, {0, 2, 3}) == [parts[1]]


UNFORESEEN = [
    AssertionError("odd"),
    RecursionError(),
    MemoryError(),
    KeyError("x\n\x1b[2J"),
    struct.error("bad"),
]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_whatever_a_reader_raises_is_one_line_of_its_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Not a traceback that takes the task with it, and every part again in each pass."""
    shard = make("tar", tmp_path, 5)
    plain = TarReader.next_here
    calls = iter(range(100))

    def fail_later(self: TarReader) -> tuple[str, int] | None:
        if next(calls) == 10:  # the fourth image
            raise error
        return plain(self)

    monkeypatch.setattr(TarReader, "next_here", fail_later)
    whole, broken = cut(shard, 3)
    assert [s.key for s in whole.samples] == ["k0", "k1", "k2"]
    assert broken.part == Part("s.tar", 1) and not broken.samples
    assert broken.fault is not None and type(error).__name__ in broken.fault
    assert broken.fault.startswith("s.tar: ") and broken.fault.isprintable()


def test_an_adapter_that_stumbles_costs_that_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sample_id(sample: Sample) -> str:
        if sample.key == "k1":
            raise RecursionError("too\ndeep")
        return f"own-{sample.key}"

    monkeypatch.setattr("recaption.datasets.generic.sample_id", sample_id)
    (part,) = cut(make("tar", tmp_path, 3), 9)
    first, odd, last = part.samples
    assert (first.sample_id, odd.sample_id, last.sample_id) == ("own-k0", "s/k1", "own-k2")
    assert odd.image is None and odd.rejection is not None
    assert odd.rejection.reason is Reason.FAILED
    assert odd.rejection.message == "the adapter found no id (RecursionError: too deep)"
    assert first.rejection is last.rejection is None


@pytest.mark.parametrize("packed", [False, True])
def test_samples_are_made_use_of_one_by_one(tmp_path: Path, packed: bool) -> None:
    """A part of images that gzip makes tiny would else be a part of huge ones in memory."""
    size = 4 << 20
    data = tar_bytes([(f"{i:03d}.jpg", b"\0" * size) for i in range(20)])
    shard = write_shard(tmp_path / "s.tar", data, packed)
    del data
    tracemalloc.start()
    source = SourceConfig(path="x", part_samples=100)
    (part,) = map_parts(shard, source, lambda sample: len(sample.image or b""))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert part.samples == [size] * 20
    assert peak < 4 * size
