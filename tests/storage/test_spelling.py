"""Whatever a place is called, it is one place, and its spelling stays as it came out."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from recaption import storage
from recaption.storage import StorageError
from recaption.storage.spelling import is_lost_with_job, is_same_place, one_spelling


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "link").symlink_to("d/e")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EMPTY", "")
    return str(tmp_path)


ONE = [
    "x", "./x", "x/", ".//x//", "d/../x", "d/e/../../x", "$SCRATCH/x", "${SCRATCH}/x/", "~/x",
    "{here}/x", "/{here}//x", "file://{here}/x", "file:{here}/x", "FILE://{here}/x/",
    "file://localhost{here}/x", "local://{here}/x", "file://$SCRATCH/x", "link/../../x",
]  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_all_of_these_are_one_folder(here: str, name: str) -> None:
    spelt = one_spelling(name.replace("{here}", here))
    assert spelt == f"{here}/x" == one_spelling(spelt)


@pytest.mark.parametrize(
    "name", ["s3://b/x/y", "S3://b/x/y/", "s3://b//x//y", "s3a://b/x/./y", "s3://b/z/../x/y"]
)
def test_all_of_these_are_one_url(name: str) -> None:
    assert one_spelling(name) == "s3://b/x/y"


SPELT = [
    ("link/../y", "{here}/d/y"),  # as the operating system has it
    ("*.tar", "{here}/*.tar"),
    ("s/../{0..9}.tar", "{here}/{0..9}.tar"),
    ("{/a,/b}/x", "{/a,/b}/x"),
    ("$1x", "{here}/$1x"),
    ("file://{here}/My%20set", "{here}/My set"),
    ("My%20set", "{here}/My%20set"),
    ("", ""),
    ("s3://b", "s3://b"),
    ("s3://b/", "s3://b"),
    ("http://h//x?s=a$b/", "http://h//x?s=a$b/"),
    ("HTTPS://h/x", "https://h/x"),
    ("zip://a::s3://b//c.zip", "zip://a::s3://b//c.zip"),
    ("shapeworld://seed=1,images=2", "shapeworld://seed=1,images=2"),
]


@pytest.mark.parametrize(("name", "wanted"), SPELT)
def test_what_else_there_is(here: str, name: str, wanted: str) -> None:
    assert one_spelling(name.replace("{here}", here)) == wanted.replace("{here}", here)


def test_a_patterns_wildcards_are_those_that_were_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "[2024]").mkdir()
    (tmp_path / "[2024]" / "a*").touch()
    monkeypatch.chdir(tmp_path / "[2024]")
    assert one_spelling("*.tar", is_pattern=True) == f"{tmp_path}/[[]2024]/*.tar"
    assert one_spelling("{0..9}", is_pattern=True) == f"{tmp_path}/[[]2024]/{{0..9}}"
    assert one_spelling("../*", is_pattern=True) == f"{tmp_path}/*"
    for name in ("x", "a*"):
        assert one_spelling(name, is_pattern=True) == f"{tmp_path}/[2024]/{name}"
    assert one_spelling("*.tar") == f"{tmp_path}/[2024]/*.tar"


def test_a_file_of_just_that_name_is_meant(here: str) -> None:
    (Path(here) / "$SCRATCH").mkdir()
    assert one_spelling("$SCRATCH") == f"{here}/$SCRATCH"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("$NOWHERE/x", r"\$NOWHERE is not set in the environment"),
        ("s3://${NOWHERE}/x", r"\$NOWHERE is not set"),
        ("$EMPTY/x", r"\$EMPTY is empty in the environment"),
        ("~nobody-here/x", "no such user"),
        ("a\0b", "without a NUL"),
        ("\udcff$NOWHERE", r"\?\$NOWHERE: \$NOWHERE is not set"),
    ],
)
def test_what_cannot_be_meant_is_refused(here: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one_spelling(name)


def test_links_lead_to_the_same_place(here: str) -> None:
    assert is_same_place("link", "d/e/") and not is_same_place("link", "d")
    assert is_same_place("s3://b//x/", "S3://b/x") and not is_same_place("s3://b/x", "s3://b/y")


def test_what_goes_with_a_job(tmp_path: Path) -> None:
    job = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    job.mkdir(parents=True)
    (tmp_path / "kept").symlink_to(job / "out")
    assert is_lost_with_job(f"{job}/corpus") and is_lost_with_job(f"{tmp_path}/kept")
    assert not is_lost_with_job(str(tmp_path)) and not is_lost_with_job("s3://b/x")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_write_takes_no_devices_place(tmp_path: Path, kind: str) -> None:
    target = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(target)
    else:
        socket.socket(socket.AF_UNIX).bind(str(target))
    with pytest.raises(StorageError, match=r"(?i)a device, pipe or socket, not a file"):
        storage.write_bytes(str(target), b"x")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [kind]
