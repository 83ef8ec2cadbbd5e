"""Names of files: joined, told apart, matched by patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from recaption import storage
from recaption.storage.paths import matches


def test_join() -> None:
    assert storage.join("s3://b/", "a", "b/c/") == "s3://b/a/b/c"
    assert storage.join("/data/", "a") == "/data/a"
    assert storage.join("/data", "", "a") == "/data/a"
    assert storage.join("memory://", "a") == "memory://a"
    for name in ("../a", "a/../../b", "/etc/passwd"):
        with pytest.raises(ValueError, match="expected one that stays below"):
            storage.join("/data", name)


def test_relative() -> None:
    assert storage.relative("s3://b/a/c", "s3://b/a/") == "c"
    assert storage.relative("file:///data/a/c", "/data") == "a/c"
    assert storage.relative("/data//a/./c", "/data/") == "a/c"
    assert storage.relative("/data", "/data") == ""
    for url in ("s3://b/ab", "s3://c/a/b", "/b/a/c"):
        with pytest.raises(ValueError, match="expected something below"):
            storage.relative(url, "s3://b/a")


def test_is_remote() -> None:
    assert all(map(storage.is_remote, ("s3://b/k", "https://h/p", "memory://a", "GS://b")))
    assert not any(map(storage.is_remote, ("/a", "a/b", "file:///a", "local:///a")))


def test_a_home_folder_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    storage.write_bytes("~/a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("name", "pattern", "is_match"),
    [
        ("a.tar", "*.tar", True),
        ("d/a.tar", "*.tar", False),
        ("d/a.tar", "*/*.tar", True),
        ("a.tar", "**/*.tar", True),
        ("d/e/a.tar", "**/*.tar", True),
        ("d/e/a.tar", "d/**", True),
        (".a.tar", "*.tar", False),
        (".a.tar", ".*.tar", True),
        (".d/a.tar", "**/*.tar", False),
        ("a1", "a[0-9]", True),
        ("ab", "a?", True),
        ("A", "a", False),
        ("a", "a/*", False),
    ],
)
def test_patterns(name: str, pattern: str, is_match: bool) -> None:
    assert matches(name, pattern) is is_match
