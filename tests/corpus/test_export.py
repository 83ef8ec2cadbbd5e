"""Exports: what training reads holds every captioned image with all its captions, unchanged."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image
from rich.console import Console

from recaption import storage
from recaption.config import RecipeError
from recaption.corpus.export.names import plain_names
from recaption.corpus.export.rows import key_of, typed
from recaption.corpus.export.run import Target, run_export
from recaption.corpus.export.selection import Selection
from recaption.corpus.reader import CorpusReader
from recaption.storage import StorageError
from tests.command_line import recaption
from tests.corpora import jpeg, replay_corpus, write_tar
from tests.corpus.build import BUCKET, caption, files_of, needs_s3, unless

FAILS = "00001/0002"
RECIPE = ("source.part_samples=3", "caption.styles=[short, dense]", "caption.per_style=2")


@pytest.fixture
def made(tmp_path: Path, photos: Path) -> CorpusReader:
    """Two shards of five images; one of them has no caption, one but one."""
    empty = (("00000/0000", "dense"), ("00001/0004", "dense"))
    answer = unless(FAILS, empty=empty)
    replay_corpus(caption(tmp_path / "corpus", photos, *RECIPE, answer=answer), answer)
    return CorpusReader(str(tmp_path / "corpus"))


def export(reader: CorpusReader, to: str, out: object, source: str = "") -> tuple[int, str]:
    target = Target(to, str(out), source)
    tally = run_export(reader, target, Selection(), Console(file=io.StringIO())).tally
    return (tally.captions, "captions") if to == "jsonl" else (tally.images, "images")


def expected(reader: CorpusReader) -> dict[str, list[dict[str, Any]]]:
    """The corpus by sample, each sample's captions in order."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in reader.captions().to_pylist():
        rows.setdefault(row["sample_id"], []).append(row)
    return {s: sorted(r, key=lambda c: (c["style"], c["slot"])) for s, r in rows.items()}


def image_of(photos: Path, sample_id: str) -> bytes:
    shard, _, key = sample_id.partition("/")
    dataset = webdataset.WebDataset(str(photos / f"{shard}.tar"), shardshuffle=False)
    return next(bytes(sample["jpg"]) for sample in dataset if sample["__key__"] == key)


def test_webdataset_is_read_back_by_webdataset(
    tmp_path: Path, made: CorpusReader, photos: Path
) -> None:
    assert export(made, "webdataset", tmp_path / "out") == (9, "images")
    tars = sorted((tmp_path / "out").iterdir())
    assert [t.name for t in tars] == [f"0000{s}-0000{p}.tar" for s in (0, 1) for p in (0, 1)]
    found = {}
    for sample in webdataset.WebDataset([str(t) for t in tars], shardshuffle=False):
        document = json.loads(sample["json"])
        found[document["sample_id"]] = document
        assert sample["jpg"] == image_of(photos, document["sample_id"])
        assert hashlib.sha256(sample["jpg"]).hexdigest() == document["image_sha256"]
        assert sample["txt"].decode() == document["captions"][0]["caption"]
        assert document["alt_text"].startswith("photo ")
    wanted = expected(made)
    assert {s: [c["caption"] for c in d["captions"]] for s, d in found.items()} == {
        s: [c["caption"] for c in rows] for s, rows in wanted.items()
    }
    assert FAILS not in found and len(found["00000/0000"]["captions"]) == 2
    one = found["00000/0001"]["captions"][3]
    assert (one["style"], one["slot"], one["region"]) == ("short", 1, "full")
    assert one["prompt"] and one["fingerprint"] == made.fingerprint


def test_parquet_is_read_back(tmp_path: Path, made: CorpusReader, photos: Path) -> None:
    assert export(made, "parquet", tmp_path / "out") == (9, "images")
    rows = pq.read_table(tmp_path / "out").to_pylist()
    wanted = expected(made)
    assert {r["sample_id"]: r["captions"] for r in rows} == {
        s: [c["caption"] for c in captions] for s, captions in wanted.items()
    }
    for row in rows:
        assert row["image"]["bytes"] == image_of(photos, row["sample_id"])
        assert row["image"]["path"].endswith(".jpg")
        assert row["alt_text"] == wanted[row["sample_id"]][0]["alt_text"]
        assert json.loads(row["provenance"])["captions"][0]["model"] == "echo"


def test_jsonl_has_a_line_per_caption_with_all_that_is_known(
    tmp_path: Path, made: CorpusReader
) -> None:
    assert export(made, "jsonl", tmp_path / "deep" / "out.jsonl") == (32, "captions")
    lines = (tmp_path / "deep" / "out.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    needed = {"sample_id", "shard", "style", "slot", "region", "caption", "alt_text"}
    assert needed <= set(rows[0])
    key = ("sample_id", "style", "slot")
    assert sorted(rows, key=lambda r: [r[k] for k in key]) == sorted(
        map(typed, made.captions().to_pylist()), key=lambda r: [r[k] for k in key]
    )
    order = [
        (r["shard"], r["part"], r["ordinal"], r["region"], r["style"], r["slot"]) for r in rows
    ]
    assert order == sorted(order)
    assert [f.name for f in (tmp_path / "deep").iterdir()] == ["out.jsonl"], "nothing half-written"


def test_exporting_again_gives_the_same_bytes(tmp_path: Path, made: CorpusReader) -> None:
    for to in ("webdataset", "parquet"):
        for run in ("one", "two"):
            export(made, to, tmp_path / to / run)
        one, two = (tmp_path / to / run for run in ("one", "two"))
        assert {f: (one / f).read_bytes() for f in files_of(one)} == {
            f: (two / f).read_bytes() for f in files_of(two)
        }


@pytest.mark.s3
@needs_s3
@pytest.mark.parametrize("to", ["webdataset", "parquet", "jsonl"])
def test_the_same_to_s3(tmp_path: Path, made: CorpusReader, to: str) -> None:
    name = "out.jsonl" if to == "jsonl" else "out"
    url = f"s3://{BUCKET}/test-export/{tmp_path.name}/{name}"
    try:
        assert export(made, to, url) == export(made, to, tmp_path / name)
        if to == "jsonl":
            assert storage.read_bytes(url) == (tmp_path / name).read_bytes()
        else:
            assert files_of(url) == files_of(tmp_path / name)
            for file in files_of(url):
                remote, local = storage.join(url, file), tmp_path / name / file
                assert storage.read_bytes(remote) == local.read_bytes()
    finally:
        storage.delete(file.url for file in storage.list_tree(url.rpartition("/")[0]))


def test_shards_of_like_names_do_not_overwrite_each_other(tmp_path: Path) -> None:
    """Folders become part of the file's name: `a/b.tar` and `a_b.tar` must stay two files."""
    for i, name in enumerate(["a/b.tar", "a_b.tar", "a b.tar", "ü.tar", "ö.tar", "c.tar"]):
        write_tar(tmp_path / "photos" / name, [(f"{i}.jpg", jpeg(size=(8 + i, 8)))])
    caption(tmp_path / "corpus", tmp_path / "photos")
    reader = CorpusReader(str(tmp_path / "corpus"))
    for to in ("webdataset", "parquet"):
        assert export(reader, to, tmp_path / to)[0] == 6
        names = files_of(tmp_path / to)
        assert len(names) == 6 and all("/" not in name for name in names)
    assert "c-00000.parquet" in names
    assert set(pq.read_table(tmp_path / "parquet")["sample_id"].to_pylist()) == set(
        expected(reader)
    )


def test_images_that_moved_are_found_by_source(
    tmp_path: Path, made: CorpusReader, photos: Path
) -> None:
    photos.rename(tmp_path / "moved")
    with pytest.raises((RecipeError, StorageError), match="no such file or folder"):
        export(made, "parquet", tmp_path / "out")
    for i, place in enumerate((tmp_path / "moved", tmp_path / "moved" / "*.tar")):
        assert export(made, "parquet", tmp_path / f"out{i}", str(place)) == (9, "images")


CHANGES = [
    ("another image", "00001/0000 is not the image that was captioned"),
    ("another key", "2 captioned samples are not in the shard any more, such as 00001/0000"),
    ("cut short", "truncated"),
    ("gone", r"no such shard below .* give the images' place \(export: --source"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
@pytest.mark.parametrize("to", ["webdataset", "parquet"])
def test_a_shard_that_changed_is_an_error(
    tmp_path: Path, made: CorpusReader, photos: Path, to: str, change: str, message: str
) -> None:
    """Captions beside the wrong images would spoil a training set without a trace."""
    shard, white = photos / "00001.tar", jpeg("white", "white", (16, 16))
    if change == "gone":
        shard.unlink()
    elif change == "cut short":
        shard.write_bytes(shard.read_bytes()[:2000])
    else:
        key = "x" if change == "another key" else ""
        write_tar(shard, [(f"{key}{j:04d}.jpg", white) for j in range(5)])
    with pytest.raises(StorageError, match=message) as error:
        export(made, to, tmp_path / "out")
    assert "00001.tar" in str(error.value) and "\n" not in str(error.value)
    assert export(made, "jsonl", tmp_path / "out.jsonl")[0] == 32, "which needs no images"


def test_the_command_says_what_it_wrote(tmp_path: Path, made: CorpusReader) -> None:
    result = recaption("export", made.corpus, "--to", "jsonl", "--out", tmp_path / "[b]out.jsonl")
    assert result.code == 0
    assert result.out.splitlines() == [
        f"exported 32 captions -> {tmp_path}/[b]out.jsonl",
        "left out: images without a caption 1",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--to", "webdatset", "--out", "x"],
            "expected webdataset, parquet, jsonl, folder, imagefolder, hub, lance, got 'webdatset'",
        ),
        (["--to", "webdatset", "--out", "x"], "did you mean webdataset?"),
        (["--to", "jsonl", "--out", "{tmp}"], "--out {tmp}: got a folder, expected the name of"),
        (["--to", "webdataset", "--out", "-"], "jsonl goes to stdout"),
        (["--to", "jsonl", "--out", "/dev/null"], "--out /dev/null: got a device, pipe or socket"),
        (["--to", "jsonl", "--out", "{tmp}/pipe"], "got a device, pipe or socket, expected the na"),
        (
            ["--to", "jsonl", "--out", "{tmp}/photos/00000.tar"],
            "there is another file of that na",
        ),
        (["--to", "jsonl", "--out", "/proc/none/x"], "could not write /proc/none/x"),
        (
            ["--to", "webdataset", "--out", "{tmp}/photos"],
            "{tmp}/photos: holds 00000.tar, which ",
        ),
        (
            ["--to", "webdataset", "--out", "$NOWHERE/x"],
            "--out: $NOWHERE/x: $NOWHERE is not set",
        ),
        (["--to", "jsonl", "--out", "{tmp}/photos/00000.tar/x"], "could not write {tmp}/photos/00"),
        (["--to", "parquet", "--out", "{tmp}/photos/00000.tar"], "could not list {tmp}/photos/000"),
        (["--to", "parquet", "--out", "x", "--source", "/none"], "/none: there is no such file"),
        (["--to", "parquet", "--out", "x", "--version", "zz"], "no version 'zz'"),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path, made: CorpusReader, options: list[str], message: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    filled = [option.replace("{tmp}", str(tmp_path)) for option in options]
    result = recaption("export", made.corpus, *filled)
    assert result.code == 2 and message.replace("{tmp}", str(tmp_path)) in result.complaint


def members(folder: Path) -> list[str]:
    return [name for tar in sorted(folder.glob("*.tar")) for name in tarfile.open(tar).getnames()]


def test_names_are_unique_over_all_tars(tmp_path: Path, made: CorpusReader) -> None:
    """Untarred into one folder, as for kohya's scripts, none takes another's place."""
    export(made, "webdataset", tmp_path / "out")
    names = members(tmp_path / "out")
    assert len(names) == len({name.lower() for name in names}) == 3 * 9
    keys = {name.partition(".")[0] for name in names}
    assert keys == {key_of(sample_id) for sample_id in expected(made)}
    paths = [r["image"]["path"] for r in pq.read_table(_parquet(tmp_path, made)).to_pylist()]
    assert {path.partition(".")[0] for path in paths} == keys


def _parquet(tmp_path: Path, reader: CorpusReader) -> Path:
    export(reader, "parquet", tmp_path / "parquet")
    return tmp_path / "parquet"


IDS = [
    "a/b", "a_b", "a b", "A/B", "a/b#1", "a/b.c", "a/b.d", "ü/ö", "ä/ö", "..", ".", "", "/", "-x",
    "con", "a/" + "x" * 600, "a/" + "x" * 601, "a\\b", "a\u202eb", "\ud800",
]  # fmt: skip


def test_a_key_is_safe_and_tells_ids_apart() -> None:
    keys = [key_of(one) for one in IDS]
    assert len({key.lower() for key in keys}) == len(IDS)
    for key in keys:
        assert key.isascii() and key.replace("-", "").replace("_", "").isalnum(), key
        assert len(key) <= 81 and not key.startswith(("-", "_"))


def test_file_names_differ_in_more_than_case() -> None:
    shards = ["A.tar", "a.tar", "b/c.tar", "b_c.tar", "x" * 400 + ".tar", "é.tar", "è.tar", "d.tar"]
    names = plain_names(shards)
    assert len({name.lower() for name in names.values()}) == len(shards)
    assert names["d.tar"] == "d" and max(map(len, names.values())) < 140


@pytest.fixture
def sparse(tmp_path: Path) -> CorpusReader:
    """Of three shards the first has no caption; what is known of images comes late."""
    for i in range(3):
        members = [(f"{j}.jpg", jpeg(size=(16 + 3 * i + j, 16))) for j in range(3)]
        if i == 2:
            members.insert(2, ("1.json", b'{"class_name": "cat"}'))
            members.append(("2.txt", b"an alt-text"))
        write_tar(tmp_path / "photos" / f"{i:05d}.tar", members)
    refused = [f"00000/{j}" for j in range(3)]
    named = "source.class_column=class_name"
    caption(tmp_path / "corpus", tmp_path / "photos", named, answer=unless(*refused))
    return CorpusReader(str(tmp_path / "corpus"))


def test_a_part_without_captions_makes_no_file(tmp_path: Path, sparse: CorpusReader) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "00000-00000.tar").write_bytes(bytes(10_240))  # of an earlier version
    assert export(sparse, "webdataset", out) == (6, "images")
    assert export(sparse, "parquet", out) == (6, "images")
    assert files_of(out) == [f"0000{i}-00000.{to}" for i in (1, 2) for to in ("parquet", "tar")]
    for tar in out.glob("*.tar"):
        assert len(list(webdataset.WebDataset([str(tar)], shardshuffle=False))) == 3


@pytest.mark.parametrize("to", ["webdataset", "parquet", "jsonl"])
def test_nothing_to_export_is_a_failure(tmp_path: Path, to: str) -> None:
    write_tar(tmp_path / "photos" / "0.tar", [("0.jpg", jpeg())])
    caption(tmp_path / "corpus", tmp_path / "photos", answer=unless("0/0"))
    result = recaption("export", tmp_path / "corpus", "--to", to, "--out", tmp_path / "out")
    assert result.code == 1 and "no caption was exported" in result.complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", ["webdataset", "parquet", "jsonl"])
def test_hugging_face_loads_it_whatever_comes_first(
    tmp_path: Path, sparse: CorpusReader, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reader takes the types of a WebDataset's JSON from the first five samples."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    out = tmp_path / ("out.jsonl" if to == "jsonl" else "out")
    count = export(sparse, to, out)[0]
    kind, files = ("json", [str(out)]) if to == "jsonl" else (to, sorted(map(str, out.iterdir())))
    loaded = datasets.load_dataset(kind, data_files=files, cache_dir=str(tmp_path / "cache"))
    rows = list(loaded["train"])
    assert len(rows) == count == (12 if to == "jsonl" else 6)
    known = [row["json"] for row in rows] if to == "webdataset" else rows
    assert {row["alt_text"] or "" for row in known} == {"", "an alt-text"}
    names = {tuple(n for n in row["class_names"] or () if n) for row in known}
    assert names == {(), ("cat",)}


def test_images_of_several_formats_have_one_name(tmp_path: Path) -> None:
    """Hugging Face refuses a WebDataset whose samples do not have the same parts."""
    picture = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(picture, "PNG")
    write_tar(tmp_path / "p" / "0.tar", [("a.png", picture.getvalue())])
    caption(tmp_path / "png", tmp_path / "p")
    export(CorpusReader(str(tmp_path / "png")), "webdataset", tmp_path / "one")
    assert {name.rpartition(".")[2] for name in members(tmp_path / "one")} == {"png", "txt", "json"}
    write_tar(tmp_path / "p" / "1.tar", [("b.jpg", jpeg())])
    caption(tmp_path / "both", tmp_path / "p")
    export(CorpusReader(str(tmp_path / "both")), "webdataset", tmp_path / "two")
    assert {name.rpartition(".")[2] for name in members(tmp_path / "two")} == {"jpg", "txt", "json"}


def test_jsonl_to_stdout_and_nothing_else(tmp_path: Path, made: CorpusReader) -> None:
    command = [sys.executable, "-m", "recaption", "export", made.corpus, "--to", "jsonl"]
    run = subprocess.run([*command, "--out", "-"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr.startswith("exported 32 captions -> -\n")
    assert len([json.loads(line) for line in run.stdout.splitlines()]) == 32
    shell = " ".join(map(shlex.quote, [*command, "--out", "-"])) + " | head -c 10"
    cut = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert "Traceback" not in cut.stderr


def test_an_earlier_export_is_replaced_and_a_link_stays(tmp_path: Path, made: CorpusReader) -> None:
    (tmp_path / "link").symlink_to("real.jsonl")
    for _ in range(2):
        assert export(made, "jsonl", tmp_path / "link")[0] == 32
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real.jsonl").stat().st_size > 0
    (tmp_path / "empty").touch()
    assert export(made, "jsonl", tmp_path / "empty")[0] == 32


def test_a_damaged_data_file_is_named(tmp_path: Path, made: CorpusReader) -> None:
    file = next(Path(made.corpus).rglob("captions/*.parquet"))
    file.write_bytes(file.read_bytes()[:-20])
    for command in (["export", "--to", "jsonl", "--out", str(tmp_path / "x")], ["report"]):
        result = recaption(command[0], made.corpus, *command[1:])
        assert result.code == 2 and file.name in result.complaint
        assert "truncated or damaged" in result.complaint


def test_a_report_takes_no_other_files_place(tmp_path: Path, made: CorpusReader) -> None:
    page = tmp_path / "page.html"
    assert recaption("report", made.corpus, "--out", page).code == 0
    assert recaption("report", made.corpus, "--out", page).code == 0, "an earlier one is replaced"
    (tmp_path / "mine.html").write_text("<!doctype html><title>mine</title>")
    for out in ("/dev/null", tmp_path / "mine.html"):
        result = recaption("report", made.corpus, "--out", out)
        assert result.code == 2 and f"--out {out}: " in result.complaint
