"""Grouping members into samples by WebDataset's rule, with its traps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import webdataset

from recaption.sample import Reason, Sample, Shard
from recaption.sources.webdataset import split_name
from tests.shared_data import shared_data
from tests.sources.tars import Member, read, tar_bytes, write_shard

IMAGE = b"image"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", ("a", "jpg")),
        ("a.JPG", ("a", "jpg")),
        ("./sa_1.jpg", ("sa_1", "jpg")),
        ("././a.jpg", ("a", "jpg")),
        ("img.v2.jpg", ("img", "v2.jpg")),
        ("x/y/img.v2.JSON", ("x/y/img", "v2.json")),
        ("a.b/c.jpg", ("a.b/c", "jpg")),
        ("a.b/c", None),
        ("noextension", None),
        ("folder/noextension", None),
        ("._a.jpg", None),
        ("x/._a.jpg", None),
        (".hidden.jpg", None),
        (".git/a.jpg", None),
        ("x/.cache/a.jpg", None),
        ("__MACOSX/a.jpg", None),
        ("PaxHeader/a.jpg", None),
        ("PaxHeaders.123/a.jpg", None),
        ("a.", None),
        ("../a.jpg", ("../a", "jpg")),
        ("/abs/a.jpg", ("/abs/a", "jpg")),
        ("a b/ü.png", ("a b/ü", "png")),
        ("2258277193_586949ec62.jpg.1", ("2258277193_586949ec62", "jpg.1")),
    ],
)
def test_key_and_extension(name: str, expected: tuple[str, str] | None) -> None:
    assert split_name(name) == expected


def group(tmp_path: Path, *members: Member | str) -> list[Sample]:
    pairs = [(m, IMAGE) if isinstance(m, str) else m for m in members]
    return read(write_shard(tmp_path / "s.tar", tar_bytes(pairs)))


def outline(samples: list[Sample]) -> list[tuple[str, str]]:
    return [(s.sample_id, s.rejection.reason if s.rejection else s.image_name) for s in samples]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "a.txt", "b.png", "b.json"], [("s/a", "a.jpg"), ("s/b", "b.png")]),
        (["a.txt", "a.jpg"], [("s/a", "a.jpg")]),
        (["./a.jpg", "./a.txt"], [("s/a", "./a.jpg")]),
        (["x/a.jpg", "y/a.jpg"], [("s.tar/x/a", "x/a.jpg"), ("s.tar/y/a", "y/a.jpg")]),
        (["a.jpg", "._a.jpg", "a.txt", "noext", "b.jpg"], [("s/a", "a.jpg"), ("s/b", "b.jpg")]),
        # other members belong to their sample, but are not loaded
        (["a.npz", "a.jpg", "a.pth", "a.mp4", "a.pickle"], [("s/a", "a.jpg")]),
        (["a.txt", "b.jpg"], [("s/a", Reason.NO_IMAGE), ("s/b", "b.jpg")]),
        (["a.npz"], [("s/a", Reason.NO_IMAGE)]),
        (["n01440764.tar"], [("s/n01440764", Reason.NO_IMAGE)]),
        # a key that comes again, at once or later
        (["a.jpg", "a.jpg"], [("s/a", "a.jpg"), ("s/a#1", Reason.DUPLICATE_KEY)]),
        (["a.jpg", "a.JPG"], [("s/a", "a.jpg"), ("s/a#1", Reason.DUPLICATE_KEY)]),
        (
            ["a.jpg", "a.txt", "b.jpg", "a.jpg", "a.txt", "c.jpg"],
            [
                ("s/a", "a.jpg"),
                ("s/b", "b.jpg"),
                ("s/a#2", Reason.DUPLICATE_KEY),
                ("s/c", "c.jpg"),
            ],
        ),
        (
            ["a.jpg", "b.jpg", "a.txt"],
            [("s/a", "a.jpg"), ("s/b", "b.jpg"), ("s/a#2", "duplicate_key")],
        ),
        # several images: the first plain one
        (["a.jpg", "a.png"], [("s/a", "a.jpg")]),
        (["a.depth.png", "a.edge.png", "a.jpg"], [("s/a", "a.jpg")]),
        (["a.jpg", "a.mask.png", "a.seg.png"], [("s/a", "a.jpg")]),
        (["a.v2.jpg", "a.txt"], [("s/a", "a.v2.jpg")]),
        # dots in names: all have one key, the first goes by it
        (
            ["img.001.jpg", "img.002.jpg", "img.003.jpg", "z.jpg"],
            [
                ("s/img", "img.001.jpg"),
                ("s/img.002", "img.002.jpg"),
                ("s/img.003", "img.003.jpg"),
                ("s/z", "z.jpg"),
            ],
        ),
        # names that want out
        (["../../etc/x.jpg"], [("s.tar/%2E%2E/%2E%2E/etc/x", "../../etc/x.jpg")]),
        (["/etc/x.jpg"], [("s.tar/%2F/etc/x", "/etc/x.jpg")]),
        (["a\nb#1.jpg"], [("s/a%0Ab%231", "a\nb#1.jpg")]),
    ],
)
def test_grouping(tmp_path: Path, names: list[str], expected: list[tuple[str, str]]) -> None:
    samples = group(tmp_path, *names)
    assert outline(samples) == expected
    assert [s.ordinal for s in samples] == list(range(len(samples)))
    assert len({s.sample_id for s in samples}) == len(samples)
    assert all((s.image is None) == (s.rejection is not None) for s in samples)


def test_fields_are_text_or_parsed_json(tmp_path: Path) -> None:
    (sample,) = group(
        tmp_path,
        ("a.jpg", b"\xff\xd8\xff"),
        ("a.txt", "\ufeffein Käfer\0".encode()),
        ("a.cls", "K\xe4fer".encode("latin-1")),
        ("a.json", b'{"width": 3, "caption": null}'),
        ("a.url.txt", b"http://x"),
        ("a.syn.json", b'{"syn_text": ["one"]}'),
        ("a.npz", b"numpy"),
        ("a.mask.png", b"png"),
    )
    assert sample.image == b"\xff\xd8\xff"
    assert dict(sample.fields) == {
        "txt": "ein Käfer",
        "cls": "Käfer",
        "json": {"width": 3, "caption": None},
        "url.txt": "http://x",
        "syn.json": {"syn_text": ["one"]},
    }


@pytest.mark.parametrize("text", [b"{broken", b"[" * 100_000, b"9" * 5000, b"\xff\xfe{\0}\0"])
def test_json_that_cannot_be_parsed_stays_text(tmp_path: Path, text: bytes) -> None:
    (sample,) = group(tmp_path, ("a.jpg", IMAGE), ("a.json", text))
    assert sample.image == IMAGE
    assert isinstance(sample.fields["json"], (str, dict))


def test_what_is_too_large_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recaption.sources.webdataset.IMAGE_LIMIT", 1000)
    monkeypatch.setattr("recaption.sources.webdataset.FIELD_LIMIT", 100)
    first, second = group(
        tmp_path, ("a.jpg", b"x" * 1001), ("b.jpg", b"x" * 1000), ("b.txt", b"x" * 101)
    )
    assert first.rejection is not None
    assert first.rejection.reason is Reason.UNREADABLE
    assert "1,001 bytes" in first.rejection.message
    assert (second.image, dict(second.fields)) == (b"x" * 1000, {})


def test_real_shards_give_what_webdataset_gives() -> None:
    for path in sorted((shared_data() / "photos-wds").glob("*.tar")):
        ours = read(Shard(path.name, str(path), "webdataset"))
        theirs = list(webdataset.WebDataset(str(path), shardshuffle=False))
        assert len(ours) == len(theirs) == 17
        for sample, other in zip(ours, theirs, strict=True):
            assert sample.key == other["__key__"]
            assert sample.image == other["jpg"]
            assert sample.fields["txt"] == other["txt"].decode()
            assert sample.fields["json"] == json.loads(other["json"])
