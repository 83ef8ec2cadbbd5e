"""Bad input, as users have it: one clear line, the right exit code, and the rest is captioned.

Exit code 2 is the user's input, found before anything runs; 1 is a run in which something was
lost, with a line for each part of it; after the shard was mended the same command ends with 0.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from recaption.corpus.reader import CorpusReader
from tests.command_line import Result, recaption
from tests.corpora import jpeg, write_tar
from tests.corpus.build import data_files, needs_s3, write_photos

IMAGES = 7
PARTS_OF = 3


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three good shards of seven images each."""
    return write_photos(tmp_path / "photos", shards=3, images=IMAGES)


def commits_of(corpus: Path) -> list[Path]:
    return list(corpus.glob("versions/*/commits/*.json"))


def write_recipe(tmp_path: Path, **sections: dict[str, Any]) -> Path:
    recipe: dict[str, Any] = {
        "source": {"path": str(tmp_path / "photos"), "part_samples": PARTS_OF},
        "engine": {"kind": "echo"},
        "corpus": {"path": str(tmp_path / "corpus")},
    }
    for name, section in sections.items():
        recipe[name] = recipe.get(name, {}) | section
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    return file


# What is found before Ray starts.

WRONG = [
    (["source.path={tmp}/photo"], "{tmp}/photo: there is no such file or folder, did you mean pho"),
    (["source.path={tmp}/photos/*.zip"], "photos/*.zip: nothing matches it"),
    (["source.path={tmp}/phtos/*.tar"], "phtos/*.tar: nothing matches it, did you mean photos?"),
    (["source.path={tmp}/photos/{00000..00009}.tar"], "7 of 10 files are missing, the first is "),
    (["source.path={tmp}/photos/00000.tr"], "there is no such file or folder, did you mean 00000."),
    (["source.path={tmp}/empty"], "neither shards nor images there (it is empty)"),
    (["source.path={tmp}/texts"], "neither shards nor images there (it holds 1 .md)"),
    (["source.path={tmp}/none.txt"], "none.txt"),
    (["source.path={tmp}/photos", "source.kind=parquet"], "no Parquet files there"),
    (["source.path={tmp}/photos", "source.root=/elsewhere"], "is not below source.root /elsewhere"),
    (
        ["engine.kind=vllm", "engine.model={tmp}/model"],
        "no such folder {tmp}/model; expected a che",
    ),
    (["engine.kind=vllm", "engine.model={tmp}/empty"], "has no config.json: not a checkpoint"),
    (["caption.stiles=[short]"], "caption.stiles: no such key, did you mean styles?"),
    (["corpus.path={tmp}/texts/README.md"], "README.md"),
    (["corpus.path=/proc/nowhere"], "could not "),
    (["corpus.path=s4://bucket/x"], "s4"),
]


@pytest.mark.parametrize(("overrides", "message"), WRONG)
def test_wrong_input_is_one_line_and_exit_code_2(
    tmp_path: Path, photos: Path, overrides: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "README.md").write_text("hello")
    filled = [override.replace("{tmp}", str(tmp_path)) for override in overrides]
    result = recaption("caption", write_recipe(tmp_path), *filled)
    assert result.code == 2
    assert message.replace("{tmp}", str(tmp_path)) in result.complaint
    assert not (tmp_path / "corpus").exists()


@pytest.mark.s3
@needs_s3
@pytest.mark.parametrize("key", ["source.path", "corpus.path"])
def test_a_bucket_that_does_not_exist(tmp_path: Path, photos: Path, key: str) -> None:
    result = recaption("caption", write_recipe(tmp_path), f"{key}=s3://no-such-bucket-7/x")
    assert result.code == 2
    assert "no-such-bucket-7" in result.complaint and "bucket" in result.complaint


@pytest.fixture
def without_root_rights() -> list[str]:
    """What to put before a command so that file modes hold for it, even if we are root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("running as root without setpriv: file modes mean nothing")
    rights = "-dac_override,-dac_read_search"
    command = ["setpriv", f"--inh-caps={rights}", f"--bounding-set={rights}"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("setpriv may not drop rights here")
    return command


@pytest.mark.parametrize("where", ["photos", "above", "recipe.yaml", "corpus", "templates"])
def test_no_permission(
    tmp_path: Path, photos: Path, without_root_rights: list[str], where: str
) -> None:
    """A folder of another user, a disk mounted for reading: named, before anything starts."""
    (tmp_path / "above" / "photos").mkdir(parents=True)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "x.j2").write_text("x")
    recipe = write_recipe(tmp_path)
    overrides = {
        "above": [f"source.path={tmp_path}/above/photos"],
        "templates": [f"caption.templates={tmp_path}/templates", "caption.styles=[x]"],
    }
    locked = tmp_path / where
    locked.chmod(0o555 if where == "corpus" else 0)
    command = [sys.executable, "-m", "recaption", "caption", str(recipe)]
    try:
        command = [*without_root_rights, *command, *overrides.get(where, [])]
        run = subprocess.run(command, capture_output=True, text=True)
    finally:
        locked.chmod(0o755)
    assert run.returncode == 2, run.stderr
    complaint = Result(run.returncode, run.stdout, run.stderr).complaint
    assert "ermission denied" in complaint and str(locked) in complaint


# What only a run can find.


@contextlib.contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a file system of that size in memory."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def summary_of(corpus: Path) -> dict[str, Any]:
    """Return the summary of the last run."""
    files = sorted(f for f in (corpus / "runs").glob("*.json") if ".live." not in f.name)
    found: dict[str, Any] = json.loads(files[-1].read_text())
    return found


def failures(result: Result) -> dict[str, str]:
    """Return what the end of a run says of its failed parts, by part."""
    assert "Traceback" not in result.out + result.err
    lines = [line.strip() for line in result.out.splitlines() if line.strip().startswith("FAILED")]
    told = [line.removeprefix("FAILED").strip().partition(": ") for line in lines]
    return {part: why for part, _, why in told}


def captioned(corpus: Path) -> dict[str, int]:
    """Return how many samples of each shard have captions. Fails on a doubled caption."""
    rows = CorpusReader(str(corpus)).captions().to_pylist()
    keys = {(row["sample_id"], row["style"], row["slot"]) for row in rows}
    assert len(keys) == len(rows) == 2 * len({key[0] for key in keys})
    found: dict[str, int] = {}
    for shard, _ in {(row["shard"], row["sample_id"]) for row in rows}:
        found[shard] = found.get(shard, 0) + 1
    return found


def broken_tar(path: Path, break_at: int, how: str) -> bytes:
    """Write a shard of seven images and break it before image `break_at`; return it whole."""
    write_tar(path, [(f"{i}.jpg", jpeg(size=(16 + i, 16))) for i in range(IMAGES)])
    whole = path.read_bytes()
    header = whole.index(f"{break_at}.jpg".encode())
    if how == "truncated":
        path.write_bytes(whole[: header + 700])
    else:
        path.write_bytes(whole[:header] + b"\xff" * 512 + whole[header + 512 :])
    return whole


@pytest.mark.slow
def test_broken_shards_fail_alone_and_are_finished_once_mended(
    tmp_path: Path, photos: Path, ray_session: None
) -> None:
    """Empty, cut short, with a broken header in the middle, no tar at all: beside three good."""
    (photos / "empty.tar").write_bytes(b"")
    (photos / "no.tar").write_bytes(b"<html>404</html>" * 1000)
    whole = {
        "cut.tar": broken_tar(photos / "cut.tar", 4, "truncated"),
        "head.tar": broken_tar(photos / "head.tar", 6, "header"),
    }
    recipe, corpus = write_recipe(tmp_path), tmp_path / "corpus"
    result = recaption("caption", recipe)
    assert result.code == 1 and result.err == ""
    expected = {
        "cut.tar-00001": "cut.tar: truncated within 4.jpg, ",
        "empty.tar-00000": "empty.tar: the file is empty (0 bytes)",
        "head.tar-00001": "head.tar: the checksum of a header is wrong, at byte ",
        "no.tar-00000": "no.tar: not a tar file but an HTML or XML page",
    }
    told = failures(result)
    assert told.keys() == expected.keys()
    assert [part for part in told if not told[part].startswith(expected[part])] == []
    summary = summary_of(corpus)
    assert summary["failed_parts"] == told
    good = dict.fromkeys(("00000.tar", "00001.tar", "00002.tar"), IMAGES)
    assert captioned(corpus) == good | {"cut.tar": 3, "head.tar": 3}, "what is surely whole"
    assert (summary["state"], summary["shards"], summary["parts"]) == ("incomplete", 7, 9 + 1 + 1)
    assert summary["read"] == summary["captioned"] == 27 and summary["rejected"] == 0
    assert (summary["captions"], summary["passes"]) == (54, 1), "a broken shard is not tried again"

    again = recaption("caption", recipe)
    assert again.code == 1 and failures(again) == told, "and it stays so until it is mended"

    for name, data in whole.items():
        (photos / name).write_bytes(data)
    write_tar(photos / "empty.tar", [("a.jpg", jpeg())])
    (photos / "no.tar").unlink()
    mended = recaption("caption", recipe)
    assert mended.code == 0 and failures(mended) == {}
    assert captioned(corpus) == good | {"cut.tar": 7, "head.tar": 7, "empty.tar": 1}
    summary = summary_of(corpus)
    assert (summary["state"], summary["parts"], summary["parts_before"]) == ("complete", 5, 11)
    assert summary["read"] == 4 + 4 + 1
    assert "shards    6 of 6 done" in recaption("status", corpus).out


@pytest.mark.slow
def test_bad_samples_are_rejects_with_their_reason(
    tmp_path: Path, photos: Path, ray_session: None
) -> None:
    """None of them fails its part, let alone the run: exit code 0."""
    good = jpeg(size=(32, 32))
    members = [
        ("good.jpg", good),
        ("page.jpg", b"<html>404 not found</html>"),
        ("nothing.jpg", b""),
        ("cut.jpg", good[: len(good) // 2]),
        ("twice.jpg", good),
        ("between.jpg", jpeg(size=(20, 20))),
        ("twice.jpg", jpeg("green", "red")),
        ("alone.txt", b"a text without an image"),
        ("sub/../../../etc/passwd.jpg", jpeg(size=(24, 24))),
        ("png.jpg", jpeg(size=(28, 28))),
    ]
    write_tar(photos / "mixed.tar", members)
    corpus = tmp_path / "corpus"
    result = recaption("caption", write_recipe(tmp_path))
    assert result.code == 0 and failures(result) == {}
    rejects = {r["sample_id"]: r["reason"] for r in CorpusReader(str(corpus)).rejects().to_pylist()}
    assert rejects == {
        "mixed/page": "not_an_image",
        "mixed/nothing": "empty_file",
        "mixed/cut": "truncated",
        "mixed/twice#6": "duplicate_key",
        "mixed/alone": "no_image",
    }
    assert captioned(corpus)["mixed.tar"] == 5
    summary = summary_of(corpus)
    assert (summary["read"], summary["captioned"], summary["rejected"]) == (31, 26, 5)
    assert sum(summary["rejects"].values()) == 5
    assert "31 read = 26 captioned + 5 rejected (duplicate_key 1, empty_file 1, no_i" in result.out
    outside = [name for name in data_files(tmp_path) if not name.startswith("corpus/versions/")]
    assert outside == []

    strict = recaption("caption", write_recipe(tmp_path, run={"reject_limit": 0.1}))
    assert strict.code == 1 and "the run before rejected more" in strict.out
    other = {"path": str(tmp_path / "corpus2")}
    over = recaption("caption", write_recipe(tmp_path, run={"reject_limit": 0.1}, corpus=other))
    assert over.code == 1
    assert "rejected 5 of 31 samples (16.1%), more than run.reject_limit allows" in over.out


@pytest.mark.slow
def test_a_shard_that_lost_its_end_is_finished_as_it_is_now(
    tmp_path: Path, photos: Path, ray_session: None
) -> None:
    """Mended by leaving out what was broken, so that it now ends where a part ended before."""
    broken_tar(photos / "cut.tar", 3, "truncated")
    recipe = write_recipe(tmp_path)
    assert recaption("caption", recipe).code == 1
    write_tar(photos / "cut.tar", [(f"{i}.jpg", jpeg(size=(16 + i, 16))) for i in range(3)])
    mended = recaption("caption", recipe)
    assert failures(mended) == {} and mended.code == 0
    assert captioned(tmp_path / "corpus")["cut.tar"] == 3


@pytest.mark.slow
def test_a_full_disk_ends_the_run_at_once_with_its_reason(
    tmp_path: Path, ray_session: None
) -> None:
    """Captioning on would lose all of it; freed of space, the same command goes on."""
    for shard in range(4):
        texts = [os.urandom(900).hex().encode() for _ in range(9)]
        members = [
            m
            for i, text in enumerate(texts)
            for m in ((f"{i}.jpg", jpeg(size=(16, 16))), (f"{i}.txt", text))
        ]
        write_tar(tmp_path / "photos" / f"{shard}.tar", members)
    recipe, corpus = write_recipe(tmp_path), tmp_path / "corpus"
    corpus.mkdir()
    with disk(corpus, "96k"):
        result = recaption("caption", recipe)
        assert result.code == 1
        assert result.complaint.startswith(f"could not write {corpus}/versions/")
        assert result.complaint.endswith(
            "the disk is full. Free some space, or choose another path."
        )
        subprocess.run(["mount", "-o", "remount,size=10m", str(corpus)], check=True)
        after = recaption("caption", recipe)
        assert after.code == 0 and failures(after) == {}
        # a worker of the first run may commit one part more after the run has told and ended
        runs = Counter(json.loads(f.read_text())["run_id"] for f in commits_of(corpus))
        summary = summary_of(corpus)
        first, second = summary["parts_before"], summary["parts"]
        assert sorted(runs.values()) == sorted((first, second)) and first + second == 12
        assert captioned(corpus) == {f"{shard}.tar": 9 for shard in range(4)}


def test_a_disk_that_is_full_from_the_start(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    with disk(corpus, "4k"):
        result = recaption("caption", write_recipe(tmp_path))
        assert result.code == 2 and "the disk is full" in result.complaint
        assert str(corpus) in result.complaint


@pytest.mark.slow
def test_an_engine_that_does_not_boot_says_why_and_ends_with_1(
    tmp_path: Path, photos: Path, ray_session: None
) -> None:
    engine = {"args": {"boot_fails": "out of\nmemory [cuda]"}, "boot_attempts": 1}
    result = recaption("caption", write_recipe(tmp_path, engine=engine))
    assert result.code == 1 and "out of memory [cuda]" in result.complaint
