"""`recaption init`: what it writes for what lies there loads, and a dry run passes on it."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption import storage
from recaption.config import Recipe, RecipeError
from recaption.recipe_file import load_recipe
from recaption.starter import Wishes, look, make_starter
from tests.command_line import recaption
from tests.corpora import jpeg, write_tar

BUCKET = os.environ.get("S3_TEST_BUCKET", "")


def folder(at: Path) -> str:
    for name in ("one", "two"):
        (at / f"{name}.jpg").write_bytes(jpeg())
        (at / f"{name}.txt").write_text(f"{name} red things")
    return str(at)


def tars(at: Path) -> str:
    told = json.dumps({"url": "http://a.b/c.jpg", "caption": "a red thing", "status": "success"})
    for shard in ("00000", "00001"):
        key = f"{shard}0000"
        write_tar(at / f"{shard}.tar", [(f"{key}.jpg", jpeg()), (f"{key}.json", told.encode())])
    return str(at / "{00000..00001}.tar")


def parquet(at: Path) -> str:
    rows = {"image": [jpeg(), jpeg()], "blip_caption": ["a red thing", "a round thing"]}
    pq.write_table(pa.table(rows), at / "train.parquet")
    return str(at / "*.parquet")


def two_images(at: Path) -> str:
    rows = {"before": [jpeg()], "after": [jpeg()], "note": ["made with a brush"]}
    pq.write_table(pa.table(rows), at / "train.parquet")
    return str(at)


def archive(at: Path) -> str:
    with zipfile.ZipFile(at / "photos.zip", "w") as file:
        file.writestr("cats/a.jpg", jpeg())
        file.writestr("dogs/b.jpg", jpeg())
    return str(at / "photos.zip")


def listed(at: Path) -> str:
    write_tar(at / "x.tar", [("a.jpg", jpeg()), ("a.cls", b"tabby cat")])
    (at / "list.txt").write_text("x.tar\n")
    return str(at / "list.txt")


MADE: list[tuple[Callable[[Path], str], str, dict[str, object]]] = [
    (folder, "2 with alt-text", {"kind": "folder", "adapter": "generic"}),
    (tars, "2 with alt-text", {"kind": "webdataset", "adapter": "web"}),
    (parquet, "2 with alt-text", {"kind": "parquet", "alt_text_column": "blip_caption"}),
    (two_images, "1 image read: nothing", {"kind": "parquet", "image_column": "before"}),
    (archive, "nothing written beside them", {"kind": "zip", "adapter": "generic"}),
    (listed, "1 with a class name", {"kind": "webdataset", "adapter": "generic"}),
]


@pytest.mark.parametrize(("make", "told", "expected"), MADE, ids=[m[0].__name__ for m in MADE])
def test_a_recipe_for_what_lies_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], str],
    told: str,
    expected: dict[str, object],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    made = recaption("init", make(tmp_path / "in"), "--model", "random:tiny")
    assert made.code == 0, made.err
    assert told in made.out
    assert made.out.splitlines()[-2:] == [
        "next      recaption preview recipe.yaml",
        "then      recaption caption recipe.yaml",
    ]
    recipe = load_recipe("recipe.yaml")
    assert {key: getattr(recipe.source, key) for key in expected} == expected
    assert recipe.corpus.path.startswith(f"{tmp_path}/out/captions-")
    dry = recaption("caption", "recipe.yaml", "--dry-run")
    assert dry.code == 0, dry.err
    assert "NOTHING" not in dry.out and "nothing written: without --dry-run" in dry.out


def starter_for(place: Path | str, **wishes: str) -> Recipe:
    import yaml

    from recaption.recipe_file import parse_recipe

    made = make_starter(str(place), "recipe.yaml", Wishes(**wishes or {"model": "random:tiny"}))
    return parse_recipe(yaml.safe_load(made.text))


def test_an_endpoint_a_corpus_and_the_line_for_editors(tmp_path: Path) -> None:
    made = make_starter(
        folder(tmp_path), "r.yaml", Wishes("some/model", "http://host:8000/v1", "s3://b/corpus")
    )
    first = made.text.splitlines()[0]
    assert Path(first.partition("$schema=")[2]).is_file()
    recipe = starter_for(tmp_path, model="some/model", url="http://host:8000/v1", corpus="s3://b/c")
    assert (recipe.engine.kind, recipe.engine.url) == ("openai", "http://host:8000/v1")
    assert recipe.corpus.path == "s3://b/c"
    result = recaption("init", tmp_path, "--url", "http://host:8000/v1", "--out", "-")
    assert result.code == 2 and "--model" in result.complaint


def test_images_are_meant_where_parquet_beside_them_holds_none(tmp_path: Path) -> None:
    folder(tmp_path)
    corpus = tmp_path / "out" / "captions"
    corpus.mkdir(parents=True)
    pq.write_table(pa.table({"caption": ["a red thing"]}), corpus / "one-00000.parquet")
    assert starter_for(tmp_path).source.kind == "folder"


def test_no_file_is_replaced_unasked(tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    out.write_text("precious")
    wanted = ["init", folder(tmp_path), "--out", out, "--model", "random:tiny"]
    refused = recaption(*wanted)
    assert refused.code == 2 and "--force" in refused.complaint
    assert out.read_text() == "precious"
    assert recaption(*wanted, "--force").code == 0
    assert load_recipe(out).source.kind == "folder"
    shown = recaption(*wanted[:3], "-", *wanted[4:])
    assert shown.code == 0 and shown.out.startswith("# yaml-language-server")
    assert "found" in shown.err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: at / "nowhere", "there is no such file or folder"),
        (lambda at: (at / "a.txt").write_text("x") and at, "neither shards nor images there"),
        (lambda at: pq.write_table(pa.table({"URL": ["x"]}), at / "a.parquet") or at, "img2datas"),
        (lambda at: (at / "a.tar").write_bytes(b"no tar") and at, "a.tar"),
    ],
)
def test_what_cannot_be_captioned_is_told_in_a_line(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    result = recaption("init", make(tmp_path), "--out", tmp_path / "r.yaml")
    assert result.code == 2 and message in result.complaint
    assert not (tmp_path / "r.yaml").exists()


def test_names_of_strangers_stay_data(tmp_path: Path) -> None:
    at = tmp_path / "a\nengine: {kind: echo} # \x1b[31m{b} $HOME"
    at.mkdir()
    (at / "x: y.jpg").write_bytes(jpeg())
    (at / "broken.jpg").write_bytes(b"")
    recipe = starter_for(at)
    assert recipe.source.path == str(at)
    assert recipe.engine.kind == "vllm"
    made = make_starter(str(at), "a b;c.yaml", Wishes("random:tiny"))
    assert "\x1b" not in made.text + "".join(made.found)
    assert "recaption caption 'a b;c.yaml'" in made.text


def test_a_look_is_bounded_whatever_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "MOST_FILES", 5)
    asked: list[str] = []

    def names(folder: str, source: object) -> object:
        for number in range(10**9):
            asked.append(folder)
            yield f"{number // 3:09d}/{number:09d}.jpg"

    (tmp_path / "000000000").mkdir()
    (tmp_path / "000000000" / "a.jpg").write_bytes(jpeg())
    monkeypatch.setattr(look, "names_below", names)
    made = make_starter(str(tmp_path), "r.yaml", Wishes("random:tiny"))
    assert len(asked) == 6
    assert "at least 2 folders of images" in made.found[0]


def test_a_place_that_is_too_large_to_find_anything_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "MOST_FILES", 5)
    for number in range(9):
        (tmp_path / f"{number}.txt").touch()
    (tmp_path / "z.jpg").write_bytes(jpeg())
    with pytest.raises(RecipeError, match=r"among the first 5 files .* name the folder"):
        make_starter(str(tmp_path), "r.yaml", Wishes())


@pytest.mark.s3
@pytest.mark.skipif(not BUCKET, reason="no S3 server: S3_TEST_BUCKET is not set")
def test_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"s3://{BUCKET}/test-init/{tmp_path.name}"
    tars(tmp_path)
    try:
        for name in ("00000.tar", "00001.tar"):
            storage.write_bytes(f"{url}/{name}", (tmp_path / name).read_bytes())
        for place in (url, f"{url}/*.tar", f"{url}/{{00000..00001}}.tar"):
            assert starter_for(place).source.adapter == "web"
            assert recaption("init", place, "--model", "random:tiny", "--force").code == 0
            assert recaption("caption", "recipe.yaml", "--dry-run").code == 0
    finally:
        storage.delete(file.url for file in storage.list_tree(url))
