"""Images read back from their shards: found, upright, small; or the reason why not."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpora import jpeg, make_corpus, write_tar
from tests.report.pages import report, rows_of, says, shard
from tests.shared_data import shared_data


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright_and_small(tmp_path: Path, orientation: int) -> None:
    stored = jpeg("red", "blue", size=(900, 600), orientation=orientation)
    make_corpus(tmp_path / "c", write_tar(tmp_path / "a.tar", [("x.jpg", stored)]))
    image = report(tmp_path / "c").image("a/x")
    assert image.size == ((320, 213) if orientation < 5 else (213, 320))
    corner = image.getpixel((3, 3))
    assert isinstance(corner, tuple)
    is_red = corner[0] > corner[2]
    assert is_red == (orientation in (1, 4, 5, 6))


def test_images_of_every_kind_of_source_are_found_again(tmp_path: Path) -> None:
    data = [jpeg(size=(40 + i, 30)) for i in range(9)]
    write_tar(tmp_path / "tar" / "x.tar", [(f"{i}.jpg", d) for i, d in enumerate(data)])
    (tmp_path / "folder" / "x").mkdir(parents=True)
    for i, image in enumerate(data):
        (tmp_path / "folder" / "x" / f"{i}.jpg").write_bytes(image)
    (tmp_path / "parquet").mkdir()
    table = pa.table({"image": data, "caption": [f"number {i}" for i in range(9)]})
    pq.write_table(table, tmp_path / "parquet" / "x.parquet", row_group_size=2)
    for kind in ("tar", "folder", "parquet"):
        corpus = tmp_path / f"corpus-{kind}"
        make_corpus(corpus, tmp_path / kind, "source.part_samples=4")
        page = report(corpus, samples=5)
        assert len(page.ids()) == 5, kind
        widths = {row["sample_id"]: row["width"] for row in rows_of(corpus)}
        assert {i: page.image(i).width for i in page.ids()} == {i: widths[i] for i in page.ids()}


def test_a_missing_shard_leaves_the_captions(tmp_path: Path) -> None:
    source = shard(tmp_path / "a.tar", 4)
    make_corpus(tmp_path / "c", source, answer=says("still here"))
    source.unlink()
    page = report(tmp_path / "c")
    assert not page.ids() and page.text.count("image not available") == 4
    assert page.text.count("still here") >= 8 and "no such file" in page.text.lower()


def test_a_shard_that_was_cut_or_changed_is_told(tmp_path: Path) -> None:
    source = shard(tmp_path / "a.tar", 6)
    make_corpus(tmp_path / "c", source)
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    page = report(tmp_path / "c")
    assert 0 < len(page.ids()) < 6
    assert len(page.ids()) + page.text.count("image not available") == 6

    members = [(f"s{i:03d}.jpg", jpeg("green")) for i in range(3)] + [("other.jpg", jpeg())]
    write_tar(source, members)
    page = report(tmp_path / "c")
    assert page.text.count("the image is not the one that was captioned") == 3
    assert "the shard has changed: a/other is in its place now" in page.text
    assert page.text.count("the shard is shorter than it was") == 2


def test_a_moved_shard_is_found_below_the_edited_root(tmp_path: Path) -> None:
    source = shard(tmp_path / "old" / "in" / "a b.tar", 3)
    make_corpus(tmp_path / "c", tmp_path / "old")
    (tmp_path / "new" / "in").mkdir(parents=True)
    source.rename(tmp_path / "new" / "in" / "a b.tar")
    assert not report(tmp_path / "c").ids()
    manifest = json.loads((tmp_path / "c" / "corpus.json").read_text())
    edited = manifest | {"root": str(tmp_path / "new")}
    (tmp_path / "c" / "corpus.json").write_text(json.dumps(edited))
    assert len(report(tmp_path / "c").ids()) == 3


def test_real_photos_and_hard_images(tmp_path: Path) -> None:
    data = shared_data()
    members = [
        (f"{i:03d}.{file.suffix[1:]}", file.read_bytes())
        for i, file in enumerate(sorted((data / "edge-images").rglob("*.*")))
    ]
    write_tar(tmp_path / "in" / "edge.tar", members)
    (tmp_path / "in" / "photos.tar").symlink_to(data / "photos-wds" / "00000.tar")
    make_corpus(tmp_path / "c", tmp_path / "in", "source.part_samples=16")
    page = report(tmp_path / "c", samples=200)
    captioned = {row["sample_id"] for row in rows_of(tmp_path / "c")}
    assert set(page.ids()) == captioned and len(captioned) > 60
    assert all(max(page.image(i).size) <= 320 for i in page.ids())
