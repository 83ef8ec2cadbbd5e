"""Tars within a tar: one stream, or a shard each, with the same samples under the same ids."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from recaption.config import SourceConfig
from recaption.sample import Reason, Sample, Shard
from recaption.sources import ReadPart, list_shards, read_parts
from recaption.sources.nested import inner_url, split_inner
from recaption.sources.tar import TarReader
from tests.sources.tars import Member, gather, read, tar_bytes, write_shard

CRANE, TENCH, EMPTY = "n02012849", "n01440764", "n03126707"


def images(wnid: str, count: int) -> list[Member]:
    return [(f"{wnid}_{i}.JPEG", f"{wnid} {i}".encode() * 100) for i in range(count)]


def train(folder: str = "") -> bytes:
    """Return a tar of three tars: three images, none, and two with `./` before their names."""
    dotted = [(f"./{name}", body) for name, body in images(CRANE, 2)]
    return tar_bytes(
        [
            (f"{folder}{TENCH}.tar", tar_bytes(images(TENCH, 3))),
            (f"{folder}{EMPTY}.tar", tar_bytes([])),
            (f"{folder}{CRANE}.tar", tar_bytes(dotted)),
        ]
    )


def outline(samples: list[Sample]) -> list[tuple[str, str]]:
    return [(s.key, str(s.rejection.reason) if s.rejection else s.image_name) for s in samples]


def cut(shard: Shard, n: int, skip: Collection[int] = ()) -> list[ReadPart[Sample]]:
    return list(read_parts(shard, SourceConfig(path="x", part_samples=n), skip))


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("folder", ["", "winter21_whole/"])
def test_inner_tars_are_read_within_the_stream(
    tmp_path: Path, folder: str, is_packed: bool
) -> None:
    samples = read(write_shard(tmp_path / "train.tar", train(folder), is_packed))
    keys = [f"{folder}{w}/{w}_{i}" for w, n in ((TENCH, 3), (CRANE, 2)) for i in range(n)]
    assert outline(samples) == [(key, f"{key}.JPEG") for key in keys]
    assert [s.image for s in samples] == [b for _, b in images(TENCH, 3) + images(CRANE, 2)]
    assert [s.sample_id for s in samples] == [f"train.tar/{key}" for key in keys]
    assert [s.ordinal for s in samples] == list(range(5))


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
def test_parts_of_a_tar_of_tars(
    tmp_path: Path, is_packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = write_shard(tmp_path / "train.tar", train(), is_packed)
    whole = cut(shard, 2)
    assert [len(part.samples) for part in whole] == [2, 2, 1]
    bodies: list[int] = []
    plain = TarReader.body
    monkeypatch.setattr(TarReader, "body", lambda r: bodies.append(1) or plain(r))
    assert cut(shard, 2, skip=[0, 2]) == [whole[1]]
    assert len(bodies) == 4  # two images, each through the outer reader and the inner one


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        # a tar only by name, an archive of another make, a hidden one
        ([("a.tar", b"image")], [("a", "no_image")]),
        ([("a.tar", b"x" * 3000)], [("a", "no_image")]),
        ([("a.zip", b"PK")], [("a", "no_image")]),
        ([("._a.tar", b"\0\5\x16\7" * 200)], []),
        # a tar that goes with an image
        ([("a.jpg", b"i"), ("a.tar", tar_bytes(images(TENCH, 1)))], [("a", "a.jpg")]),
        # images beside, texts within, dots in the inner tar's name, hidden files in it
        (
            [
                ("z.jpg", b"i"),
                ("a.v2.tar", tar_bytes([("b.jpg", b"i"), ("b.txt", b"t"), ("._b.jpg", b"i")])),
                ("b.jpg", b"i"),
            ],
            [("z", "z.jpg"), ("a.v2/b", "a.v2/b.jpg"), ("b", "b.jpg")],
        ),
        # the same tar twice
        (
            [("a.tar", tar_bytes(images(TENCH, 1))), ("a.tar", tar_bytes(images(TENCH, 1)))],
            [(f"a/{TENCH}_0", f"a/{TENCH}_0.JPEG"), ("a", "no_image")],
        ),
    ],
)
def test_what_is_an_inner_tar(
    tmp_path: Path, members: list[Member], expected: list[tuple[str, str]]
) -> None:
    shard = write_shard(tmp_path / "s.tar", tar_bytes(members))
    assert outline(read(shard)) == expected
    assert [s.name for s in list_shards(SourceConfig(path=shard.url))] == ["s.tar"]


def test_an_inner_tar_is_gone_into_once(tmp_path: Path) -> None:
    deep = tar_bytes([("b.tar", tar_bytes(images(TENCH, 1)))])
    shard = write_shard(tmp_path / "s.tar", tar_bytes([("a.tar", deep)]))
    (inner,) = list_shards(SourceConfig(path=shard.url))
    for one in (shard, inner):
        (sample,) = read(one)
        assert sample.sample_id == "s.tar/a/b"
        assert sample.rejection is not None
        assert "archive within the archive" in sample.rejection.message


def test_a_local_tar_of_tars_is_a_shard_for_each(tmp_path: Path) -> None:
    outer = write_shard(tmp_path / "train.tar", train("in side/"))
    shards = list_shards(SourceConfig(path=outer.url))
    inside = "train.tar/in%20side"
    assert [s.name for s in shards] == [f"{inside}/{w}.tar" for w in (TENCH, CRANE, EMPTY)]
    assert {s.kind for s in shards} == {"webdataset"}
    assert shards[0].size == len(tar_bytes(images(TENCH, 3)))
    for shard, wnid, count in zip(shards, (TENCH, CRANE, EMPTY), (3, 2, 0), strict=True):
        samples = read(shard)
        assert [s.image for s in samples] == [body for _, body in images(wnid, count)]
        assert len(samples) == count


def test_samples_have_the_same_ids_either_way(tmp_path: Path) -> None:
    outer = write_shard(tmp_path / "train.tar", train())
    shards = list_shards(SourceConfig(path=outer.url))
    assert len(shards) == 3
    apart = [sample.sample_id for shard in shards for sample in read(shard)]
    assert sorted(apart) == sorted(sample.sample_id for sample in read(outer))


def test_only_a_tar_that_is_named_is_opened_at_listing(tmp_path: Path) -> None:
    write_shard(tmp_path / "train.tar", train())
    write_shard(tmp_path / "whole.tar.gz", train(), packed=True)
    for path in (str(tmp_path), f"{tmp_path}/*.tar*", f"{tmp_path}/{{train.tar,whole.tar.gz}}"):
        names = [s.name for s in list_shards(SourceConfig(path=path))]
        assert names == ["train.tar", "whole.tar.gz"]
    packed = list_shards(SourceConfig(path=str(tmp_path / "whole.tar.gz")))
    assert [s.name for s in packed] == ["whole.tar.gz"]


def test_a_damaged_tar_of_tars(tmp_path: Path) -> None:
    whole = train()
    at = whole.index(f"{CRANE}_1".encode())
    shard = write_shard(tmp_path / "train.tar", whole[: at + 600])
    samples, fault = gather(shard)
    assert len(samples) == 4
    assert fault.startswith(f"train.tar/{CRANE}.tar: truncated within ./{CRANE}_1.JPEG")
    with pytest.raises(ValueError, match=r"truncated within n02012849\.tar"):
        list_shards(SourceConfig(path=shard.url))
    packed = write_shard(tmp_path / "p.tar", whole, packed=True)
    raw = Path(packed.url).read_bytes()
    Path(packed.url).write_bytes(raw[: len(raw) // 2])
    assert "gzip stream is truncated" in gather(packed)[1]


def test_a_file_that_cannot_be_read_is_left_to_its_reader(tmp_path: Path) -> None:
    for raw in (b"", b"no tar" * 200, train()[:300]):
        shard = write_shard(tmp_path / "s.tar", raw)
        assert [s.url for s in list_shards(SourceConfig(path=shard.url))] == [shard.url]


def test_a_file_that_changed_after_the_listing(tmp_path: Path) -> None:
    outer = write_shard(tmp_path / "train.tar", train())
    crane = list_shards(SourceConfig(path=outer.url))[1]
    write_shard(tmp_path / "train.tar", tar_bytes(images(TENCH, 90)))
    (part,) = cut(crane, 10)
    assert part.fault is not None
    assert "train.tar/n02012849.tar" in part.fault
    write_shard(tmp_path / "train.tar", tar_bytes([("a.jpg", b"i")]))
    inner = Shard("s", inner_url(outer.url, 0, "a.tar"), "webdataset")
    assert "no tar is where the listing found one" in gather(inner)[1]


def test_urls_of_inner_tars() -> None:
    assert split_inner(inner_url("/x#1/t.tar", 512, "a/b.tar")) == ("/x#1/t.tar", 512)
    for url in ("/x/t.tar", "/x#1/t.tar", "/x/t.tar#512", "s3://x/t.tar#512/a.tar"):
        assert split_inner(url) == (url, None)


def test_a_key_that_comes_again_within_an_inner_tar(tmp_path: Path) -> None:
    inner = tar_bytes([("a.jpg", b"1"), ("b.jpg", b"2"), ("a.jpg", b"3")])
    samples = read(write_shard(tmp_path / "s.tar", tar_bytes([("t.tar", inner)])))
    assert outline(samples)[2] == ("t/a", str(Reason.DUPLICATE_KEY))
