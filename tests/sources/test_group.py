"""Which samples the members of one key are: dots in names, companions, texts; in tars and zips."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from recaption.config import SourceConfig
from recaption.datasets import open_reader
from recaption.notices import take_notices
from recaption.sample import Reason, Sample, Shard
from recaption.sources import read_parts
from recaption.sources.base import FOREIGN_IMAGES
from tests.sources.tars import Member, tar_bytes, write_shard

Outline = dict[str, str | Reason]


def write(folder: Path, kind: str, members: list[Member]) -> Shard:
    take_notices()
    if kind == "tar":
        return write_shard(folder / "s.tar", tar_bytes(members))
    with zipfile.ZipFile(folder / "s.zip", "w") as archive:
        for name, body in members:
            archive.writestr(zipfile.ZipInfo(name), body)
    return Shard("s.zip", str(folder / "s.zip"), "zip")


def read(shard: Shard, **options: object) -> list[Sample]:
    source = SourceConfig.model_validate({"path": shard.url, **options})
    parts = list(read_parts(shard, source))
    assert not any(part.fault for part in parts)
    samples = [sample for part in parts for sample in part.samples]
    assert [sample.ordinal for sample in samples] == list(range(len(samples)))
    assert len({sample.sample_id for sample in samples}) == len(samples)
    return samples


def named(names: str) -> list[Member]:
    """Members whose content is their name."""
    return [(name, name.encode()) for name in names.split(" ")]


def alt_texts(samples: list[Sample], shard: Shard) -> Outline:
    """Return the alt-text of each sample, or the reason of its rejection, by id."""
    hints = open_reader(SourceConfig(path=shard.url))
    return {s.sample_id: s.rejection.reason if s.rejection else hints(s).alt_text for s in samples}


both = pytest.mark.parametrize("kind", ["tar", "zip"])

CASES: list[tuple[str, Outline]] = [
    ("a.b.jpg a.b.txt", {"s/a": "a.b.txt"}),
    ("a.B.JPG a.B.TXT", {"s/a": "a.B.TXT"}),
    ("a.b.txt a.b.jpg a.txt", {"s/a": "a.b.txt"}),
    ("K.input.jpg K.outputs.txt", {"s/K": "K.outputs.txt"}),
    ("K.jpg K.outputs.txt", {"s/K": "K.outputs.txt"}),
    ("K.jpg K.ocr.txt K.txt", {"s/K": "K.txt"}),
    ("a.b.jpg a.b.txt a.c.jpg a.c.txt", {"s/a": "a.b.txt", "s/a.c": "a.c.txt"}),
    ("1.01.jpg 1.02.jpg 2.01.jpg", {"s/1": "", "s/1.02": "", "s/2": ""}),
    ("d.1/a.x.jpg d.1/a.x.txt", {"s.T/d.1/a": "d.1/a.x.txt"}),
    # a dotted image beside the plain one is a companion, unless it has a text of its own
    ("a.jpg a.txt a.depth.png a.png", {"s/a": "a.txt"}),
    ("a.jpg a.txt a.b.jpg a.b.txt", {"s/a": "a.txt", "s/a.b": "a.b.txt"}),
    ("a.b.jpg a.b.txt a.jpg a.txt", {"s/a": "a.txt", "s/a.b": "a.b.txt"}),
    ("K.mask.png K.rgb.png K.txt", {"s/K": "K.txt"}),
    ("K.mask.png", {"s/K": ""}),
    ("a.b.jpg a.b.png a.b.txt", {"s/a": "a.b.txt"}),
    # kinds that are not read
    ("a.psd", {"s/a": Reason.NOT_AN_IMAGE}),
    ("a.psd a.preview.jpg a.txt", {"s/a": "a.txt"}),
    ("a.cr2 a.jpg a.txt", {"s/a": "a.txt"}),
    ("a.b.jpg a.c.psd", {"s/a": "", "s/a.c": Reason.NOT_AN_IMAGE}),
    # masks of OneTrainer
    ("a-condlabel.png a-masklabel.png a.png a.txt", {"s/a": "a.txt"}),
    ("a.txt", {"s/a": Reason.NO_IMAGE}),
]


@both
@pytest.mark.parametrize(("names", "expected"), CASES, ids=[names for names, _ in CASES])
def test_each_image_has_the_text_that_shares_its_name(
    tmp_path: Path, kind: str, names: str, expected: Outline
) -> None:
    shard = write(tmp_path, kind, named(names))
    samples = read(shard)
    assert alt_texts(samples, shard) == {
        i.replace(".T", f".{kind}"): t for i, t in expected.items()
    }
    for sample in samples:
        assert sample.rejection or sample.image == sample.image_name.encode()


@both
def test_what_webdataset_gives_under_whole_extensions_is_there_still(
    tmp_path: Path, kind: str
) -> None:
    names = "a.input.jpg a.outputs.txt a.cls a.fine.cls a.x.json"
    (sample,) = read(write(tmp_path, kind, named(names)))
    assert sample.fields == {
        "outputs.txt": "a.outputs.txt",
        "txt": "a.outputs.txt",
        "cls": "a.cls",
        "fine.cls": "a.fine.cls",
        "x.json": "a.x.json",
        "json": "a.x.json",
    }


@both
@pytest.mark.parametrize("count", [5, 40, 3000])
def test_one_key_of_very_many_images_is_one_sample_each(
    tmp_path: Path, kind: str, count: int
) -> None:
    names = " ".join(f"IMG.{i:05d}.jpg IMG.{i:05d}.txt" for i in range(count))
    shard = write(tmp_path, kind, named(f"{names} z.jpg"))
    first, *others, last = read(shard)
    assert (first.sample_id, last.sample_id, len(others)) == ("s/IMG", "s/z", count - 1)
    assert [s.sample_id for s in others] == [f"s/IMG.{i:05d}" for i in range(1, count)]
    texts = list(alt_texts([first, *others], shard).values())
    assert texts == [f"IMG.{i:05d}.txt" for i in range(count)]


@both
@pytest.mark.parametrize("order", ["texts behind", "texts before", "images first"])
def test_whatever_is_skipped_the_rest_is_the_same(tmp_path: Path, kind: str, order: str) -> None:
    stems = [
        "a",
        "IMG.1",
        "IMG.2",
        "IMG.3",
        "IMG.3.x",
        "k.input",
        "z",
        *(f"z.{i}" for i in "abcdef"),
    ]
    images, texts = ([(f"{s}.{e}", s.encode()) for s in stems] for e in ("jpg", "txt"))
    members = {
        "texts behind": [m for pair in zip(images, texts, strict=True) for m in pair],
        "texts before": [m for pair in zip(texts, images, strict=True) for m in pair],
        "images first": sorted(images + texts, key=lambda m: (m[0][0], m[0][-3:], m[0])),
    }[order]
    shard = write(tmp_path, kind, members)
    whole = read(shard)
    assert len(whole) == len(stems) and all(s.fields["txt"] for s in whole)
    for n in (1, 2, 3, 5):
        source = SourceConfig(path="x", part_samples=n)
        for skip in ({0}, {1}, {2, 3}, set(range(len(stems) // n))):
            parts = list(read_parts(shard, source, skip))
            left = [s for s in whole if s.ordinal // n not in skip]
            assert [s for part in parts for s in part.samples] == left


def test_a_key_that_comes_again_in_a_tar_loses_no_dotted_image(tmp_path: Path) -> None:
    names = "a.1.jpg b.jpg a.2.jpg a.2.txt b.2.jpg c.jpg a.1.jpg a.jpg"
    shard = write(tmp_path, "tar", named(names))
    assert alt_texts(read(shard), shard) == {
        "s/a": "",
        "s/b": "",
        "s/a.2": "a.2.txt",
        "s/b.2": "",
        "s/c": "",
        "s/a#5": Reason.DUPLICATE_KEY,
    }


@both
def test_links_of_texts_and_what_is_left_out_is_noted(tmp_path: Path, kind: str) -> None:
    read(write(tmp_path, kind, named("a.jpg a.png a.mask.png a-masklabel.png b.cr2 b.jpg")))
    kinds = {notice.kind: notice.count for notice in take_notices()}
    assert kinds == {
        "images beside another with their key, not captioned": 3,
        "masks beside images (-masklabel, -condlabel), not captioned": 1,
    }


@both
def test_every_kind_of_image_that_is_not_read_is_named(tmp_path: Path, kind: str) -> None:
    shard = write(tmp_path, kind, [(f"{e}.{e.upper()}", b"x") for e in sorted(FOREIGN_IMAGES)])
    for sample in read(shard):
        assert sample.rejection is not None and sample.rejection.reason is Reason.NOT_AN_IMAGE
        assert FOREIGN_IMAGES[sample.key] in sample.rejection.message


@both
def test_names_with_backslashes_are_paths(tmp_path: Path, kind: str) -> None:
    names = [r"set v1.0\cats\1.jpg", r"set v1.0\cats\1.txt", r"set v1.0\dogs\1.jpg", "sub\\"]
    shard = write(tmp_path, kind, [(name, b"text") for name in [*names, r"__MACOSX\set\._1.jpg"]])
    cat, dog = read(shard)
    assert (cat.key, dog.key) == ("set v1.0/cats/1", "set v1.0/dogs/1")
    hints = open_reader(SourceConfig(path="x", class_from_folder=True))
    assert (hints(cat).class_names, hints(cat).alt_text) == (("cats",), "text")
    assert hints(dog).class_names == ("dogs",)


@both
def test_texts_of_a_sample_are_few_bytes_together(tmp_path: Path, kind: str) -> None:
    """2,000 texts of 1 MiB are a few kilobytes of gzip."""
    members = [(f"a.{i:04d}.txt", b"x" * (1 << 20)) for i in range(60)]
    shard = write(tmp_path, kind, [("a.jpg", b"image"), *members])
    tracemalloc.start()
    (sample,) = read(shard)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(sample.fields) == 5 and peak < 12 << 20
    assert [notice.count for notice in take_notices()] == [56]


@both
def test_whatever_a_text_raises_is_its_samples_reject(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, raw: bytes) -> object:
        if name == "b.json":
            raise MemoryError
        return ""

    monkeypatch.setattr("recaption.sources.webdataset.parse_field", fail)
    monkeypatch.setattr("recaption.sources.zip.parse_field", fail)
    first, odd, last = read(write(tmp_path, kind, named("a.jpg a.json b.jpg b.json c.jpg")))
    assert first.image and last.image and odd.rejection
    assert odd.rejection.reason is Reason.FAILED
    assert odd.rejection.message == "b could not be read (MemoryError: )"
