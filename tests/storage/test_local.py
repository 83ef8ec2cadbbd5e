"""Local disk: folders, links, large listings."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from recaption import storage
from recaption.storage import StorageError, Trouble


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    for doing in (storage.info, storage.read_bytes):
        with pytest.raises(StorageError, match="it is a folder") as caught:
            doing(str(tmp_path))
        assert caught.value.trouble is Trouble.NOT_A_FILE
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a part of its path is a file"):
        list(storage.list_names(str(tmp_path / "file")))


def test_patterns_below_here_and_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.tar").touch()
    (tmp_path / "b.tar").touch()
    monkeypatch.chdir(tmp_path)
    assert [f.url for f in storage.glob("*.tar")] == ["b.tar"]
    assert [f.url for f in storage.glob("*/*.tar")] == ["d/a.tar"]
    assert [f.url for f in storage.glob("**/*.tar")] == ["b.tar", "d/a.tar"]
    assert storage.glob("/et[c]/pass[w]d") == [storage.info("/etc/passwd")]
    assert storage.glob("nowhere/*") == storage.glob("nowhere/**") == []


def test_links_are_followed_and_cycles_are_not(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"x")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "a/b")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert list(storage.list_names(str(tmp_path))) == ["a/b/file", "dangling", "link/file"]
    assert len(list(storage.list_tree(str(tmp_path)))) == 2


def test_lists_100_000_names_in_under_two_seconds(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for i in range(100_000):
        os.mknod(f"part-{i:06d}.json", dir_fd=folder)
    os.close(folder)
    started = time.monotonic()
    count = sum(1 for _ in storage.list_names(str(tmp_path)))
    took = time.monotonic() - started
    shutil.rmtree(tmp_path)
    assert count == 100_000
    assert took < 2
