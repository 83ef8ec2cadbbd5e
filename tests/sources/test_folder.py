"""The folder reader: which files are samples, and what lies beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from recaption import storage
from recaption.config import SourceConfig
from recaption.notices import take_notices
from recaption.sample import Reason, Sample, Shard
from recaption.sources import BrokenShard, list_shards
from recaption.sources.base import Wanted, want_all
from recaption.sources.folder import read_samples
from recaption.storage import StorageError, Trouble
from tests.shared_data import shared_data


def read(folder: Path, wanted: Wanted = want_all) -> list[Sample | None]:
    shard = Shard(folder.name, str(folder), "folder")
    return list(read_samples(shard, SourceConfig(path=str(folder)), wanted))


def read_all(folder: Path) -> dict[str, Sample]:
    samples = [sample for sample in read(folder) if sample is not None]
    assert [sample.ordinal for sample in samples] == list(range(len(samples)))
    assert len({sample.sample_id for sample in samples}) == len(samples)
    return {sample.key: sample for sample in samples}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "my photos"
    path.mkdir()
    return path


def test_image_files_in_the_order_of_names(folder: Path) -> None:
    names = ["b.JPG", "a.png", "a.jpg", "a.b.c.tif", "x.avif", "empty.jpg", "z.jpeg"]
    for name in names:
        (folder / name).write_bytes(b"" if name.startswith("empty") else name.encode())
    for name in ("LICENSE", "notes.md", ".hidden.jpg", "._a.jpg", "clip.mp4", "data.npz"):
        (folder / name).write_bytes(b"x")
    (folder / "sub.jpg").mkdir()
    (folder / "sub.jpg" / "c.jpg").write_bytes(b"x")
    os.mkfifo(folder / "pipe.jpg")
    samples = read_all(folder)
    assert list(samples) == sorted([*names, "pipe.jpg"])
    assert samples["pipe.jpg"].rejection is not None
    assert samples["pipe.jpg"].rejection.message.endswith("pipe.jpg is a pipe, not a file")
    assert samples["a.b.c.tif"].image == b"a.b.c.tif"
    assert samples["empty.jpg"].image == b""
    assert samples["a.jpg"].sample_id == "my photos/a.jpg"
    assert samples["a.jpg"].image_name == "my photos/a.jpg"


def test_sidecars(folder: Path) -> None:
    for name in ("a.jpg", "a.png", "b.v2.jpg", "c.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / "a.txt").write_text("of both")
    (folder / "a.png.txt").write_text("of the png")
    (folder / "b.v2.json").write_text('{"caption": "bee"}')
    (folder / "b.txt").write_text("of nobody")
    (folder / "c.cls").write_bytes(b"\xef\xbb\xbfcat")
    samples = read_all(folder)
    assert {name: dict(s.fields) for name, s in samples.items()} == {
        "a.jpg": {"txt": "of both"},
        "a.png": {"txt": "of the png"},
        "b.v2.jpg": {"json": {"caption": "bee"}},
        "c.jpg": {"cls": "cat"},
    }


def test_tables(folder: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "NA.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / "metadata.csv").write_text(
        'file_name,text,country\na.jpg,"one, ""two""",NA\nNA.jpg,,\nsub/a.jpg,other,x\n'
    )
    rows = [{"file": "b.jpg", "text": "bee"}, {"file": "./a.jpg", "label": "A"}, {"text": "nobody"}]
    lines = [json.dumps(row) for row in rows]
    (folder / "captions.jsonl").write_text("\n".join([*lines, "{broken", "[1]", ""]))
    samples = read_all(folder)
    assert samples["a.jpg"].fields["text"] == 'one, "two"'
    assert samples["a.jpg"].fields["label"] == "A"
    assert samples["a.jpg"].fields["country"] == "NA"
    assert samples["b.jpg"].fields["text"] == "bee"
    assert samples["c.jpg"].fields == {}
    assert samples["NA.jpg"].fields["text"] == ""


def test_a_file_that_cannot_be_read_is_rejected_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg", "d.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / "c.jpg").symlink_to(folder / "nowhere.jpg")
    plain = os.open

    def open_file(path: str, *args: Any, **kwargs: Any) -> int:
        if path.endswith("b.jpg"):
            raise PermissionError(13, "Permission denied")
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", open_file)
    samples = read_all(folder)
    assert [bool(s.rejection) for s in samples.values()] == [False, True, True, False]
    for name in ("b.jpg", "c.jpg"):
        rejection = samples[name].rejection
        assert rejection is not None
        assert rejection.reason is Reason.UNREADABLE
        assert name in rejection.message


def test_a_name_that_is_no_utf8(folder: Path) -> None:
    with open(os.fsencode(folder) + b"/caf\xe9\n.jpg", "wb") as file:
        file.write(b"x")
    (sample,) = read_all(folder).values()
    assert sample.image == b"x"
    sample.key.encode()
    assert sample.sample_id == "my photos/caf%ED%B3%A9%0A.jpg"


def test_a_large_image_is_rejected_unread(folder: Path) -> None:
    with open(folder / "a.jpg", "wb") as file:
        file.truncate(300 << 20)
    (sample,) = read_all(folder).values()
    assert sample.rejection is not None
    assert sample.rejection.reason is Reason.UNREADABLE


def test_unwanted_files_are_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(10):
        (folder / f"{i}.jpg").write_bytes(b"x")
    opened: list[str] = []
    plain = os.open
    monkeypatch.setattr(os, "open", lambda path, *a: (opened.append(path), plain(path, *a))[1])
    samples = read(folder, lambda ordinal: ordinal in (2, 7))
    assert [i for i, sample in enumerate(samples) if sample] == [2, 7]
    assert len(opened) == 2


def test_a_folder_that_cannot_be_listed(folder: Path) -> None:
    with pytest.raises(BrokenShard, match="holds no images any more"):
        read(folder)
    with pytest.raises(StorageError) as caught:
        read(folder / "gone")
    assert caught.value.trouble is Trouble.MISSING


def test_a_remote_folder_is_read_ahead_and_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(40):
        (folder / f"{i:02d}.jpg").write_bytes(b"%d" % i)
    samples = read(folder)
    monkeypatch.setattr(storage, "is_remote", lambda url: True)
    assert read(folder) == samples
    some = read(folder, lambda ordinal: ordinal % 3 == 0)
    assert [sample for sample in some if sample] == samples[::3]

    def read_bytes(url: str) -> bytes:
        trouble = Trouble.MISSING if url.endswith("05.jpg") else Trouble.UNREACHABLE
        if url.endswith(("05.jpg", "20.jpg")):
            raise StorageError(f"no {url}", trouble)
        return b"x"

    monkeypatch.setattr(storage, "read_bytes", read_bytes)
    shard = Shard("x", str(folder), "folder")
    found: list[Sample | None] = []
    with pytest.raises(StorageError, match=r"20\.jpg"):
        for sample in read_samples(shard, SourceConfig(path="x")):
            found.append(sample)
    assert len(found) == 20
    assert [s.ordinal for s in found if s and s.rejection] == [5]


def test_the_real_folders() -> None:
    photos = read_all(shared_data() / "photos-folder")
    assert len(photos) == 15
    with_text = {name for name, sample in photos.items() if sample.fields.get("text")}
    assert with_text == {
        f"skimage_{name}"
        for name in (
            "astronaut.png",
            "camera.png",
            "chelsea.png",
            "coffee.png",
            "horse.png",
            "rocket.jpg",
        )
    }
    counts = {
        name: len(read_all(shared_data() / "edge-images" / name))
        for name in ("derived", "exif-orientation", "pillow")
    }
    assert sum(counts.values()) == 62
    assert counts["derived"] == 4


def test_endings_in_any_case(folder: Path) -> None:
    for name in ("a.JPG", "b.jpg", "c.Png"):
        (folder / name).write_bytes(b"x")
    for name in ("a.TXT", "b.Txt", "b.txt", "c.Png.JSON", "C.txt"):
        (folder / name).write_text(f'"{name}"')
    samples = read_all(folder)
    assert samples["a.JPG"].fields == {"txt": '"a.TXT"'}
    assert samples["b.jpg"].fields == {"txt": '"b.Txt"'}
    assert samples["c.Png"].fields == {"json": "c.Png.JSON"}


def test_images_of_kinds_that_are_not_read_are_rejects_at_the_end(folder: Path) -> None:
    take_notices()
    for name in ("a.psd", "b.jpg", "c.CR2", "c.jpg", "d.svg", "e.mp4"):
        (folder / name).write_bytes(b"x")
    samples = read_all(folder)
    assert list(samples) == ["b.jpg", "c.jpg", "a.psd", "d.svg"], "others keep their places"
    for name, kind in (("a.psd", "Photoshop"), ("d.svg", "SVG")):
        rejection = samples[name].rejection
        assert rejection is not None and rejection.reason is Reason.NOT_AN_IMAGE
        assert f"{name} is an image of a kind that is not read ({kind})" in rejection.message
    assert [notice.count for notice in take_notices()] == [1], "c.CR2, which is there as JPEG"


def test_a_folder_of_images_that_are_not_read_is_one_of_rejects(folder: Path) -> None:
    (folder / "good").mkdir()
    (folder / "good" / "a.jpg").write_bytes(b"x")
    (folder / "raw").mkdir()
    (folder / "raw" / "a.nef").write_bytes(b"x")
    source = SourceConfig(path=str(folder))
    assert [shard.name for shard in list_shards(source)] == ["good", "raw"]


def test_masks_beside_images_are_not_captioned(folder: Path) -> None:
    take_notices()
    for name in ("a.png", "a-masklabel.png", "a-condlabel.PNG", "b.jpg", "my-masklabel.txt"):
        (folder / name).write_bytes(b"x")
    assert list(read_all(folder)) == ["a.png", "b.jpg"]
    assert [notice.count for notice in take_notices()] == [2]


def test_lines_of_captions_are_alternatives(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(b"x")
    (folder / "a.txt").write_text("1girl, hat\n1girl, red hat\n")
    (folder / "a.captions").write_text("one\ntwo\n")
    assert read_all(folder)["a.jpg"].fields == {"txt": "1girl, hat", "captions": ["one", "two"]}


def test_whatever_a_file_raises_is_its_own_reject(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "b.json"):
        (folder / name).write_bytes(b"x")

    def fail(name: str, raw: bytes) -> object:
        raise RecursionError("too\ndeep")

    monkeypatch.setattr("recaption.sources.folder.parse_field", fail)
    samples = read_all(folder)
    assert [bool(s.rejection) for s in samples.values()] == [False, True, False]
    rejection = samples["b.jpg"].rejection
    assert rejection is not None and rejection.reason is Reason.FAILED
    assert rejection.message == "b.jpg could not be read (RecursionError: too deep)"
