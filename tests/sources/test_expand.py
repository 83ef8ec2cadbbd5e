"""From `source.path` to shards: every way of naming them, and what is said of wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recaption.config import SourceConfig
from recaption.notices import take_notices
from recaption.sample import Shard
from recaption.sources import list_shards, source_root
from recaption.sources.braces import expand_braces
from recaption.storage import StorageError, Trouble
from tests.shared_data import shared_data


def plant(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 7)


def names(path: str | list[str] | Path, **options: str) -> list[str]:
    source = SourceConfig(path=path if isinstance(path, list) else str(path), **options)  # type: ignore[arg-type]
    shards = list_shards(source)
    assert [s.name for s in shards] == sorted({s.name for s in shards})
    assert source_root(source)
    return [shard.name for shard in shards]


def fails(path: str | list[str] | Path, **options: str) -> str:
    with pytest.raises(ValueError) as caught:
        names(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", ["a"]),
        ("{0..2}", ["0", "1", "2"]),
        ("x{08..11}.tar", ["x08.tar", "x09.tar", "x10.tar", "x11.tar"]),
        ("{0..9..4}", ["0", "4", "8"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{a,b}/{1..2}", ["a/1", "a/2", "b/1", "b/2"]),
        ("{a,b{1..2},}", ["a", "b1", "b2", ""]),
        ("{a..c}", ["a", "b", "c"]),
    ],
)
def test_braces(path: str, expected: list[str]) -> None:
    assert expand_braces(path) == expected


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("{0..9", "a { without its }"),
        ("0..9}", "a } without its {"),
        ("a}{0..1}", "a } without its {"),
        ("{}", "{} is no range"),
        ("{5}", "{5} is no range"),
        ("{0..x}", "{0..x} is no range"),
        ("{0...9}", "{0...9} is no range"),
        ("{0..5..0}", "step of 0"),
        ("{0..999999999}", "more than 1,000,000"),
        ("{0..9999}{0..9999}", "more than 1,000,000"),
    ],
)
def test_malformed_braces(path: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"expected \{00000\.\.00999\}") as caught:
        expand_braces(path)
    assert says in str(caught.value)


def test_a_folder_of_tars(tmp_path: Path) -> None:
    plant(tmp_path, "00000.tar", "00000.parquet", "00000_stats.json", "sub/x.tgz", "sub/y.tar.gz")
    plant(tmp_path, ".cache/z.tar", "__MACOSX/z.tar", "z.tar.zst", "image.jpg")
    source = SourceConfig(path=str(tmp_path))
    assert list_shards(source) == [
        Shard("00000.tar", f"{tmp_path}/00000.tar", "webdataset", 7),
        Shard("sub/x.tgz", f"{tmp_path}/sub/x.tgz", "webdataset", 7),
        Shard("sub/y.tar.gz", f"{tmp_path}/sub/y.tar.gz", "webdataset", 7),
    ]
    assert source_root(source) == str(tmp_path)
    assert names(f"{tmp_path}/") == names(tmp_path)
    assert names(tmp_path, kind="parquet") == ["00000.parquet"]
    assert names(tmp_path, kind="folder") == [tmp_path.name]


def test_a_folder_of_parquet(tmp_path: Path) -> None:
    plant(
        tmp_path, "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "a.md"
    )
    assert names(tmp_path) == [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    ]


def test_folders_of_images(tmp_path: Path) -> None:
    plant(tmp_path, "cat/1.jpg", "cat/big/2.PNG", "dog/3.webp", "dog/.thumbs/3.jpg", "text/a.txt")
    assert names(tmp_path) == ["cat", "cat/big", "dog"]
    assert names(tmp_path / "cat") == ["big", "cat"]
    assert names(tmp_path / "cat", root=str(tmp_path)) == ["cat", "cat/big"]
    # what img2dataset and Hugging Face put beside images is no shard
    plant(tmp_path, "cat.parquet", "dog/metadata.parquet")
    assert names(tmp_path) == ["cat", "cat/big", "dog"]
    plant(tmp_path, "other.parquet")
    assert names(tmp_path) == ["other.parquet"]


def test_globs(tmp_path: Path) -> None:
    plant(tmp_path, "train/a0.tar", "train/a1.tar", "train/b0.tar", "val/a0.tar", "val/x/a5.tar")
    assert names(f"{tmp_path}/train/a*.tar") == ["a0.tar", "a1.tar"]
    assert names(f"{tmp_path}/*/a?.tar") == ["train/a0.tar", "train/a1.tar", "val/a0.tar"]
    assert names(f"{tmp_path}/**/a[05].tar") == ["train/a0.tar", "val/a0.tar", "val/x/a5.tar"]
    assert names(f"{tmp_path}/v*") == ["val/a0.tar", "val/x/a5.tar"]
    assert names(f"{tmp_path}/{{train,val}}/a*.tar") == [
        "train/a0.tar",
        "train/a1.tar",
        "val/a0.tar",
    ]
    plant(tmp_path, "images/n01/1.jpg", "images/n02/2.jpg", "images/m/2.jpg", "images/README")
    assert names(f"{tmp_path}/images/n*") == ["n01", "n02"]
    assert names(f"{tmp_path}/images/*") == ["m", "n01", "n02"]


def test_brace_ranges(tmp_path: Path) -> None:
    plant(tmp_path, *(f"x/{i:05d}.tar" for i in range(12)))
    pattern = f"{tmp_path}/x/{{00003..00011}}.tar"
    assert names(pattern) == [f"{i:05d}.tar" for i in range(3, 12)]
    assert source_root(SourceConfig(path=pattern)) == f"{tmp_path}/x"
    message = fails(f"{tmp_path}/x/{{00003..00020}}.tar")
    assert "9 of 18 files are missing, the first is" in message
    assert f"{tmp_path}/x/00012.tar" in message


def test_lists(tmp_path: Path) -> None:
    plant(tmp_path, "a/1.tar", "a/2.tar", "b/3.tar", "b/4 #5.tar")
    both = [f"{tmp_path}/a", f"{tmp_path}/b/3.tar", f"{tmp_path}/a/1.tar"]
    assert names(both) == ["a/1.tar", "a/2.tar", "b/3.tar"]
    text = f"# the good ones\n\na/1.tar\n  {tmp_path}/b/3.tar  # of last year\nb/4*.tar\r\n"
    (tmp_path / "list.txt").write_text(text)
    assert names(tmp_path / "list.txt") == ["a/1.tar", "b/3.tar", "b/4%20%235.tar"]
    (tmp_path / "empty.txt").write_text("# nothing\n")
    assert "expected a list of paths, one per line, got none" in fails(tmp_path / "empty.txt")
    (tmp_path / "outer.txt").write_text("list.txt\n")
    assert "is a list again" in fails(tmp_path / "outer.txt")
    (tmp_path / "wrong.txt").write_text("a/7.tar\n")
    assert "a/7.tar: there is no such file" in fails(tmp_path / "wrong.txt")


def test_names_with_odd_characters_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "photos [2020] {x}/1.tar", "a*/b?/1.jpg", "~x/ü %41.tar")
    assert names(tmp_path / "photos [2020] {x}") == ["1.tar"]
    assert names(tmp_path / "a*") == ["b%3F"]
    assert names(tmp_path / "~x") == ["%C3%BC%20%2541.tar"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names("~/~x") == ["%C3%BC%20%2541.tar"]
    monkeypatch.chdir(tmp_path)
    (shard,) = list_shards(SourceConfig(path="./~x"))
    assert Path(shard.url).is_absolute()
    assert names(f"file://{tmp_path}/~x") == ["%C3%BC%20%2541.tar"]


def test_one_file(tmp_path: Path) -> None:
    plant(tmp_path, "x/a.tar", "x/shard.bin")
    assert names(tmp_path / "x" / "a.tar") == ["a.tar"]
    assert names(tmp_path / "x" / "a.tar", root=str(tmp_path)) == ["x/a.tar"]
    assert names(tmp_path / "x" / "shard.bin", kind="parquet") == ["shard.bin"]
    assert "is not below source.root" in fails(tmp_path / "x" / "a.tar", root="/nowhere")


def test_what_would_collide_is_an_error(tmp_path: Path) -> None:
    plant(tmp_path, "a.tar", "a.tgz")
    assert "the same ids" in fails(tmp_path)
    plant(tmp_path, "photos/1.jpg", "photos/photos/2.jpg")
    assert "set source.root to a folder above" in fails(tmp_path / "photos")
    assert names(tmp_path / "photos", root=str(tmp_path)) == ["photos", "photos/photos"]


def test_wrong_paths_are_explained(tmp_path: Path) -> None:
    plant(tmp_path, "data/train.tar", "data/x.rar", "text/a.txt", "text/b.txt", "img/1.jpg")
    (tmp_path / "void").mkdir()
    assert "did you mean train.tar?" in fails(tmp_path / "data/trian.tar")
    assert f"only {tmp_path} exists" in fails(tmp_path / "dota/deep/train.tar")
    assert "nothing matches it" in fails(tmp_path / "data/*.parquet")
    assert f"only {tmp_path} exists" in fails(tmp_path / "dota/deep/*.tar")
    assert "did you mean data?" in fails(tmp_path / "dota/*.tar")
    assert "got the unknown extension .rar, expected one of .tar" in fails(tmp_path / "data/x.rar")
    assert "set source.kind=webdataset" in fails(tmp_path / "data/x.rar")
    assert "neither shards nor images there (it holds 2 .txt)" in fails(tmp_path / "text")
    assert "(it is empty)" in fails(tmp_path / "void")
    assert "no tars there (it holds 1 folders of images)" in fails(
        tmp_path / "img", kind="webdataset"
    )
    assert "no zips there" in fails(tmp_path / "img", kind="zip")
    assert "got an image; give its folder" in fails(tmp_path / "img/1.jpg")
    assert "matches image files; give their folder" in fails(tmp_path / "img/*.jpg")
    assert "expects a folder, got a file" in fails(tmp_path / "data/train.tar", kind="folder")
    assert "no folder in common" in fails([str(tmp_path / "data"), "s3://bucket/x.tar"])
    assert "expected at least one path" in fails([])
    assert "expected a path, got an empty one" in fails("")
    assert "a web server lists no folders" in fails("https://host/data/")
    assert "a { without its }" in fails(tmp_path / "data/{0..9.tar")


def test_what_storage_says_passes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "a.tar")

    def deny(folder: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(StorageError, match="permission denied") as caught:
        names(tmp_path)
    assert caught.value.trouble is Trouble.DENIED


def test_web_urls_are_taken_as_they_are() -> None:
    base = "https://host:8000/d/%7Euser"
    assert names(f"{base}/{{000..002}}.tar") == ["000.tar", "001.tar", "002.tar"]
    (shard,) = list_shards(SourceConfig(path=f"{base}/a%20b.tar?sig=x/y&t=[1]*"))
    assert shard == Shard("a%20b.tar", f"{base}/a%20b.tar?sig=x/y&t=[1]*", "webdataset")
    assert source_root(SourceConfig(path=f"{base}/a.tar?sig=x/y")) == base
    two = names([f"{base}/get?id=1", f"{base}/get?id=2"], kind="parquet")
    assert two == ["get%3Fid%3D1", "get%3Fid%3D2"]
    assert names(["http://a/x.tar", "http://b/y.tar"]) == ["a/x.tar", "b/y.tar"]


def test_the_real_folders() -> None:
    data = shared_data()
    assert names(data / "photos-wds") == ["00000.tar", "00001.tar", "00002.tar"]
    assert names(data / "photos-folder") == ["photos-folder"]
    assert names(data / "edge-images") == ["derived", "exif-orientation", "pillow"]


def test_a_list_of_very_many_paths_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is looked for: ten million of them took more than a minute, of a line of 14 bytes."""
    (tmp_path / "one.txt").write_text("{0..9999999}.tar\n")
    assert "more than 1,000,000 paths" in fails(tmp_path / "one.txt")
    monkeypatch.setattr("recaption.sources.places.MOST_PATHS", 10_000)
    (tmp_path / "two.txt").write_text("{0..6999}.tar\n" * 9)
    assert "more than 10,000 paths with those before it" in fails(tmp_path / "two.txt")
    plant(tmp_path, "0007.tar")
    assert "8,999 of 9,000 files are missing" in fails(tmp_path / "{0000..8999}.tar")


@pytest.mark.parametrize("pattern", ["{0..2}.tar", "./x/../{0..2}.tar", "{0,./1,2}.tar"])
def test_paths_are_put_straight_in_whatever_order(tmp_path: Path, pattern: str) -> None:
    plant(tmp_path, "0.tar", "1.tar", "2.tar")
    (tmp_path / "a").mkdir()
    assert names(f"{tmp_path}/{pattern}") == ["0.tar", "1.tar", "2.tar"]


def test_what_lies_beside_the_shards_that_are_read_is_noted(tmp_path: Path) -> None:
    plant(tmp_path, "0.tar", "0.parquet", "x/1.parquet", "img/a.jpg", "b.zip", "c.zip")
    take_notices()
    assert names(tmp_path) == ["0.tar"]
    assert [(n.kind.partition(",")[0], n.count) for n in take_notices()] == [
        ("Parquet files beside tars", 1),
        ("folders of images beside tars", 1),
        ("zips beside tars", 2),
    ]
    assert names(tmp_path, kind="folder") == ["img"]
    assert not take_notices()
