"""Writes to local disk: whole or not at all, one winner, clear words where they fail."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recaption import storage
from recaption.storage import StorageError, Trouble
from tests.storage.build import files_in, noise


def _compete(url: str, number: int) -> bool:
    return storage.put_if_absent(url, b"%d" % number * 100_000)


def test_of_eight_processes_one_wins(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        for number in range(10):
            url = f"{tmp_path}/{number}"
            won = pool.starmap(_compete, [(url, i) for i in range(8)], chunksize=1)
            assert sum(won) == 1
            assert storage.read_bytes(url) == b"%d" % won.index(True) * 100_000
    assert len(files_in(tmp_path)) == 10


@pytest.mark.parametrize("doing", [storage.write_bytes, storage.put_if_absent])
def test_is_on_the_disk_before_it_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doing: Callable[[str, bytes], object]
) -> None:
    calls = []

    def record(name: str) -> None:
        real = getattr(os, name)

        def recorded(*args: object) -> None:
            is_folder = name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode)  # type: ignore[arg-type]
            calls.append("fsync of the folder" if is_folder else name)
            real(*args)

        monkeypatch.setattr(os, name, recorded)

    for name in ("fsync", "replace", "link"):
        record(name)
    doing(f"{tmp_path}/a", b"x")
    publish = "replace" if doing is storage.write_bytes else "link"
    assert calls == ["fsync", publish, "fsync of the folder"]


@pytest.mark.parametrize("doing", [storage.write_bytes, storage.put_if_absent])
def test_killed_in_the_middle_leaves_nothing_visible(
    tmp_path: Path, doing: Callable[[str, bytes], object]
) -> None:
    child = os.fork()
    if child == 0:
        die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        os.replace = os.link = die  # type: ignore[assignment]
        doing(f"{tmp_path}/a", noise(100_000))
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    left = files_in(tmp_path)
    assert len(left) == 1
    assert storage.is_temporary(left[0])
    assert storage.glob(f"{tmp_path}/*") == []
    doing(f"{tmp_path}/a", b"x")
    assert storage.read_bytes(f"{tmp_path}/a") == b"x"


def test_without_hard_links_one_wins_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: storage.put_if_absent(f"{tmp_path}/a", b"%d" % i), range(8)))
    assert sum(won) == 1
    assert storage.read_bytes(f"{tmp_path}/a") == b"%d" % won.index(True)
    assert files_in(tmp_path) == ["a"]


def test_a_lost_reply_to_link_does_not_hide_that_we_won(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_and_lose_the_reply(source: str, target: str) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_and_lose_the_reply)
    assert storage.put_if_absent(f"{tmp_path}/a", b"x")
    assert not storage.put_if_absent(f"{tmp_path}/a", b"x")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 256 KiB."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("doing", [storage.write_bytes, storage.put_if_absent])
def test_a_full_disk_is_told_and_nothing_is_left(
    small_disk: Path, doing: Callable[[str, bytes], object]
) -> None:
    storage.write_bytes(f"{small_disk}/a", b"old")
    name = "a" if doing is storage.write_bytes else "b"
    with pytest.raises(StorageError, match=r"the disk is full.*Free some space") as caught:
        doing(f"{small_disk}/{name}", noise(300_000))
    assert caught.value.trouble is Trouble.FULL
    assert storage.read_bytes(f"{small_disk}/a") == b"old"
    assert files_in(small_disk) == ["a"]


def test_a_read_only_file_system_is_told(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StorageError, match="the file system is read-only") as caught:
        storage.write_bytes(f"{small_disk}/a", b"x")
    assert caught.value.trouble is Trouble.READ_ONLY


def test_a_file_too_large_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StorageError, match="ulimit -f") as caught:
            storage.write_bytes(f"{tmp_path}/a", noise(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.trouble is Trouble.FULL
    assert files_in(tmp_path) == []


def _as_nobody(work: Callable[[], object]) -> str:
    """Run in a child process without root's rights, and return the error's text."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            work()
            os.write(write, b"no error")
        except StorageError as error:
            os.write(write, f"{error.trouble}: {error}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    text = os.read(read, 10_000).decode()
    os.close(read)
    os.close(write)
    return text


def test_missing_permission_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        secret = Path(folder, "secret")
        secret.mkdir(mode=0o700)
        (secret / "a").touch()
        os.chmod(secret, 0o700 if os.getuid() == 0 else 0)
        for work in (
            lambda: storage.read_bytes(f"{secret}/a"),
            lambda: storage.write_bytes(f"{secret}/b", b"x"),
            lambda: list(storage.list_names(folder)),
            lambda: storage.exists(f"{secret}/a"),
            lambda: storage.glob(f"{folder}/*/*"),
            lambda: storage.glob(f"{folder}/**"),
        ):
            assert "denied: could not" in _as_nobody(work)
        os.chmod(secret, 0o700)
