"""Storage on local disk, in memory and over HTTP, and what it says when things go wrong."""

from __future__ import annotations

import asyncio
import errno
import io
import logging
import multiprocessing
import os
import pickle
import random
import resource
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recaption import storage
from recaption.storage import RetryPolicy, StorageError, Trouble
from recaption.storage.errors import HttpStatusError
from recaption.storage.paths import matches
from recaption.storage.retry import is_transient, retried, retried_here

QUICK = RetryPolicy(attempts=4, first_delay_s=0.001, longest_delay_s=0.002)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def files_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture(params=["path", "file", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder that does not exist yet, on each store that needs no server."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/a"
    return f"{tmp_path}/a" if request.param == "path" else f"file://{tmp_path}/a"


# names


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


# every store


def test_what_is_written_is_read(root: str) -> None:
    url = storage.join(root, "b/c d.bin")
    for data in (noise(3_000_000), b"", b"new"):
        storage.write_bytes(url, data)
        assert storage.read_bytes(url) == data
        assert storage.info(url).size == len(data)
        with storage.open_read(url) as file:
            assert file.read() == data
    assert storage.exists(url)
    assert storage.exists(root)
    storage.delete([url, url + "-missing"])
    assert not storage.exists(url)


def test_put_if_absent(root: str) -> None:
    url = storage.join(root, "b/c")
    assert storage.put_if_absent(url, b"first")
    assert not storage.put_if_absent(url, b"second")
    assert not storage.put_if_absent(url, b"first")
    assert storage.read_bytes(url) == b"first"
    assert list(storage.list_names(root)) == ["b/c"]


def test_of_eight_threads_one_wins(root: str) -> None:
    for number in range(20):
        url = storage.join(root, str(number))
        barrier = threading.Barrier(8)

        def claim(i: int, url: str = url, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return storage.put_if_absent(url, b"%d" % i * 1000)

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(claim, range(8)))
        assert sum(won) == 1
        assert storage.read_bytes(url) == b"%d" % won.index(True) * 1000
    assert sorted(storage.list_names(root)) == sorted(map(str, range(20)))


def test_lists_in_the_order_of_names(root: str) -> None:
    names = ["B", "a-b", "a/b/c", "a/z", "b"]
    for name in reversed(names):
        storage.write_bytes(storage.join(root, name), name.encode())
    assert list(storage.list_names(root)) == names
    assert [f.url for f in storage.list_tree(root)] == [storage.join(root, n) for n in names]
    assert [f.size for f in storage.list_tree(root)] == list(map(len, names))
    assert list(storage.list_names(storage.join(root, "a"))) == ["b/c", "z"]
    assert list(storage.list_names(storage.join(root, "nothing"))) == []
    assert list(storage.list_tree(storage.join(root, "nothing"))) == []


def test_glob(root: str) -> None:
    for name in ("t-0.tar", "t-1.tar", "d/t-2.tar", "d/e/t-3.tar", ".t-4.tar"):
        storage.write_bytes(storage.join(root, name), b"x")

    def names(pattern: str) -> list[str]:
        return [storage.relative(f.url, root) for f in storage.glob(storage.join(root, pattern))]

    assert names("*.tar") == ["t-0.tar", "t-1.tar"]
    assert names("*/t-?.tar") == ["d/t-2.tar"]
    assert names("**/*.tar") == ["d/e/t-3.tar", "d/t-2.tar", "t-0.tar", "t-1.tar"]
    assert names("t-0.tar") == ["t-0.tar"]
    assert names("t-9.tar") == []


@pytest.mark.parametrize("doing", [storage.info, storage.read_bytes, storage.open_read])
def test_a_missing_file_is_told(root: str, doing: Callable[[str], object]) -> None:
    url = storage.join(root, "missing")
    with pytest.raises(StorageError, match="there is no such file") as caught:
        doing(url)
    assert caught.value.trouble is Trouble.MISSING
    assert url in str(caught.value)


def test_versions_tell_contents_apart(root: str) -> None:
    if root.startswith("memory"):
        pytest.skip("the memory store has no versions")
    storage.write_bytes(root, b"1")
    first = storage.info(root).version
    storage.write_bytes(root, b"2")
    assert storage.info(root).version != first


def test_one_url_inside_another(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("d/a.txt", b"hello")
    url = f"zip://d/a.txt::file://{tmp_path}/z.zip"
    assert storage.is_remote(url)
    assert storage.read_bytes(url) == b"hello"
    with storage.open_read(url) as file:
        assert file.read() == b"hello"


def test_works_inside_a_running_event_loop(root: str) -> None:
    async def work() -> bytes:
        storage.write_bytes(root, b"x")
        with storage.open_read(root) as file:
            return file.read()

    assert asyncio.run(work()) == b"x"


# local disk


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


# HTTP


@dataclass
class Web:
    """A web server with one file, `data`, and the ways in which it may misbehave."""

    data: bytes = noise(3_000_000)
    has_ranges: bool = True
    has_length: bool = True
    etag: str = '"1"'
    break_after: list[int] = field(default_factory=list)  # bytes, of the next answers
    statuses: list[int] = field(default_factory=list)  # of the next answers
    ranges: list[str | None] = field(default_factory=list)  # as asked for
    url: str = ""


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.ranges.append(asked)
            status = state.statuses.pop(0) if state.statuses else 200
            if self.path not in ("/file.bin", "/file%20name?sig=a%2Fb"):
                status = 404
            if status != 200:
                self.send_error(status)
                return
            body, size = state.data, len(state.data)
            if asked and state.has_ranges:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                body = body[int(first) : int(last) + 1 if last else size]
                status = 206 if body else 416
            self.send_response(status)
            self.send_header("ETag", state.etag)
            if status == 206:
                end = int(first) + len(body) - 1
                self.send_header("Content-Range", f"bytes {first}-{end}/{size}")
            if status == 416:
                self.send_header("Content-Range", f"bytes */{size}")
            if state.has_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            limit = state.break_after.pop(0) if state.break_after else len(body)
            self.wfile.write(body[:limit])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/file.bin"
    yield state
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_reads_from_a_web_server(web: Web, has_ranges: bool, size: int) -> None:
    web.has_ranges, web.data = has_ranges, noise(size)
    assert storage.read_bytes(web.url) == web.data
    with storage.open_read(web.url) as file:
        assert file.read() == web.data
    assert storage.info(web.url) == storage.FileInfo(web.url, size, '"1"')
    assert storage.exists(web.url)
    assert not storage.exists(web.url + "-missing")


def test_a_broken_read_goes_on_where_it_was(web: Web) -> None:
    web.break_after = [100_000, 1, 100_000]
    with storage.open_read(web.url, retry=QUICK) as file:
        assert file.read() == web.data
    assert web.ranges[:3] == ["bytes=0-262143", "bytes=100000-262143", "bytes=100001-262143"]
    web.ranges.clear()
    web.break_after = [100_000]
    assert storage.read_bytes(web.url, retry=QUICK) == web.data
    assert web.ranges == ["bytes=0-", "bytes=100000-"]


def test_a_file_replaced_while_it_is_read_is_an_error(web: Web) -> None:
    with storage.open_read(web.url, retry=QUICK) as file:
        file.read(10)
        web.etag = '"2"'
        with pytest.raises(StorageError, match="replaced while it was being read"):
            file.read()


def test_a_server_without_ranges_is_asked_again_only_at_the_start(web: Web) -> None:
    web.has_ranges = False
    web.break_after = [3_000_000, 0]  # the first answer is that to the ranged request
    with storage.open_read(web.url, retry=QUICK) as file:
        assert file.read() == web.data
    web.break_after = [3_000_000, 1_000_000]
    with storage.open_read(web.url, retry=QUICK) as file:
        assert not file.seekable()
        with pytest.raises(StorageError, match="cannot resume") as caught:
            file.read()
    assert caught.value.trouble is Trouble.UNREACHABLE
    web.break_after = [3_000_000, 1_000_000]
    assert storage.read_bytes(web.url, retry=QUICK) == web.data


def test_a_server_that_tells_no_length(web: Web) -> None:
    web.has_ranges = web.has_length = False
    assert storage.read_bytes(web.url) == web.data
    assert storage.info(web.url).size is None
    with storage.open_read(web.url) as file:
        assert file.read() == web.data


def test_passing_errors_of_a_web_server_are_tried_again(web: Web) -> None:
    web.statuses = [503, 429, 500]
    assert storage.read_bytes(web.url, retry=QUICK) == web.data
    web.statuses = [503] * 4
    with pytest.raises(StorageError, match=r"127.0.0.1:\d+ cannot serve it now.*tried 4 times"):
        storage.read_bytes(web.url, retry=QUICK)


@pytest.mark.parametrize(
    ("status", "trouble"), [(404, Trouble.MISSING), (403, Trouble.DENIED), (410, Trouble.MISSING)]
)
def test_lasting_errors_of_a_web_server_are_told_at_once(
    web: Web, status: int, trouble: Trouble
) -> None:
    for doing in (storage.info, storage.read_bytes, storage.open_read):
        web.statuses = [status]
        web.ranges.clear()
        with pytest.raises(StorageError) as caught:
            doing(web.url)
        assert caught.value.trouble is trouble
        assert len(web.ranges) == 1


def test_signed_urls_stay_as_they_are_and_out_of_messages(web: Web) -> None:
    url = web.url.replace("file.bin", "file%20name?sig=a%2Fb")
    assert storage.read_bytes(url) == web.data
    web.statuses = [403]
    with pytest.raises(StorageError) as caught:
        storage.read_bytes(url)
    assert "sig" not in str(caught.value)
    assert "user:secret" not in str(storage.explain(OSError(), "https://user:secret@h/a", "read"))


def test_a_web_server_cannot_be_written_to(web: Web) -> None:
    for doing in (
        lambda: storage.write_bytes(web.url, b"x"),
        lambda: storage.put_if_absent(web.url, b"x"),
        lambda: storage.delete([web.url]),
    ):
        with pytest.raises(StorageError, match="this kind of store cannot do that"):
            doing()


def test_a_page_of_links_is_listed(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar", "c.txt"):
        (tmp_path / name).write_bytes(b"x")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    assert list(storage.list_names(url)) == ["a.tar", "b.tar", "c.txt"]
    assert [f.url for f in storage.glob(f"{url}/*.tar")] == [f"{url}/a.tar", f"{url}/b.tar"]
    server.shutdown()
    server.server_close()


def test_streams_can_seek(web: Web) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(10):
            archive.writestr(str(i), noise(400_000 + i))
    web.data = buffer.getvalue()
    with storage.open_read(web.url) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("7") == noise(400_007)
        assert archive.testzip() is None
        file.seek(-10, io.SEEK_END)
        assert file.read(100) == web.data[-10:]


def test_a_closed_reader_drops_what_is_on_its_way(web: Web) -> None:
    file = storage.open_read(web.url)
    file.read(1_000_000)
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


# retries and messages


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=6, first_delay_s=1, longest_delay_s=4)
    error = ConnectionResetError("reset")
    waits = [policy.pause(i, error, "read a") for i in range(1, 6)]
    for wait, longest in zip(waits, [1, 2, 4, 4, 4], strict=True):
        assert longest / 2 <= wait <= longest
    with pytest.raises(ConnectionResetError) as caught:
        policy.pause(6, error, "read a")
    assert caught.value.__notes__ == ["tried 6 times"]


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_delay_s": 30}, {"first_delay_s": -1}])
def test_a_policy_checks_itself(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected attempts >= 1"):
        RetryPolicy(**wrong)


def test_retries_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    failures = [ConnectionResetError("reset"), TimeoutError("slow"), HttpStatusError(503, "Busy")]

    def attempt() -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    with caplog.at_level(logging.INFO, "recaption"):
        assert retried_here(attempt, QUICK, "read a") == "done"
    assert [r.levelname for r in caplog.records] == ["INFO", "INFO", "WARNING"]
    assert "attempt 1 of 4 to read a failed (ConnectionResetError: reset)" in caplog.text


def test_bugs_are_not_tried_again() -> None:
    calls = []

    async def attempt() -> None:
        calls.append(1)
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        asyncio.run(retried(attempt, QUICK, "read a"))
    assert len(calls) == 1


def s3_error(status: int, code: str) -> Exception:
    error = Exception(f"An error occurred ({code})")
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error.response = response  # type: ignore[attr-defined]
    return error


def raised_from(cause: BaseException) -> OSError:
    error = OSError("translated")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "is_passing"),
    [
        (ConnectionResetError(), True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (OSError(errno.ENETUNREACH, "network is unreachable"), True),
        (HttpStatusError(503, ""), True),
        (HttpStatusError(429, ""), True),
        (HttpStatusError(404, ""), False),
        (HttpStatusError(501, ""), False),
        (s3_error(503, "SlowDown"), True),
        (s3_error(400, "RequestTimeout"), True),
        (s3_error(409, "ConditionalRequestConflict"), True),
        (s3_error(412, "PreconditionFailed"), False),
        (s3_error(403, "AccessDenied"), False),
        (s3_error(404, "NoSuchBucket"), False),
        (raised_from(s3_error(503, "SlowDown")), True),
        (OSError(errno.ENOSPC, "full"), False),
        (FileNotFoundError(), False),
        (ssl.SSLCertVerificationError("self-signed"), False),
        (ValueError("bug"), False),
        (StorageError("explained already"), False),
    ],
)
def test_what_passes_by_itself(error: Exception, is_passing: bool) -> None:
    assert is_transient(error) is is_passing


@pytest.mark.parametrize(
    ("error", "trouble", "words"),
    [
        (OSError(errno.ENOENT, ""), Trouble.MISSING, "no such file"),
        (FileNotFoundError("no errno"), Trouble.MISSING, "no such file"),
        (OSError(errno.EACCES, ""), Trouble.DENIED, "permission denied"),
        (OSError(errno.EPERM, ""), Trouble.DENIED, "lsattr"),
        (OSError(errno.ENOSPC, ""), Trouble.FULL, "the disk is full"),
        (OSError(errno.EDQUOT, ""), Trouble.FULL, "quota"),
        (OSError(errno.EROFS, ""), Trouble.READ_ONLY, "read-only"),
        (s3_error(403, "InvalidAccessKeyId"), Trouble.DENIED, "AWS_ACCESS_KEY_ID"),
        (s3_error(403, "SignatureDoesNotMatch"), Trouble.DENIED, "AWS_SECRET_ACCESS_KEY"),
        (s3_error(403, "AccessDenied"), Trouble.DENIED, "HTTP status 403 AccessDenied"),
        (s3_error(403, "RequestTimeTooSkewed"), Trouble.DENIED, "clock"),
        (s3_error(404, "NoSuchBucket"), Trouble.NO_BUCKET, "there is no bucket 'b'"),
        (s3_error(404, "NoSuchKey"), Trouble.MISSING, "no such file"),
        (s3_error(301, "PermanentRedirect"), Trouble.OTHER, "AWS_REGION"),
        (s3_error(503, "SlowDown"), Trouble.UNREACHABLE, "cannot serve it now"),
        (s3_error(507, ""), Trouble.FULL, "the store is full"),
        (s3_error(400, "InvalidArgument"), Trouble.OTHER, "InvalidArgument"),
        (HttpStatusError(404, "Not Found"), Trouble.MISSING, "HTTP status 404"),
        (ConnectionRefusedError(), Trouble.UNREACHABLE, "cannot be reached"),
        (
            ConnectionResetError("a\nb"),
            Trouble.UNREACHABLE,
            "broke off (ConnectionResetError: a b)",
        ),
        (ssl.SSLCertVerificationError("x"), Trouble.UNREACHABLE, "certificate is not trusted"),
        (ImportError("no s3fs"), Trouble.NO_DRIVER, "pip install s3fs"),
        (OSError("strange"), Trouble.OTHER, "OSError: strange"),
    ],
)
def test_messages(error: Exception, trouble: Trouble, words: str) -> None:
    told = storage.explain(error, "s3://b/k", "write")
    assert told.trouble is trouble
    assert str(told).startswith("could not write s3://b/k: ")
    assert words in str(told)
    assert str(told).endswith(".")
    assert "\n" not in str(told)


@pytest.mark.parametrize("url", ["http://host:port/a", "https:///a", "http://[::1/a"])
def test_a_malformed_url_is_told(url: str) -> None:
    with pytest.raises(StorageError, match="malformed"):
        storage.read_bytes(url, retry=QUICK)


def test_an_unknown_scheme_is_told() -> None:
    with pytest.raises(StorageError, match=r"scheme s4://. Did you mean s3://") as caught:
        storage.read_bytes("s4://bucket/a")
    assert caught.value.trouble is Trouble.UNKNOWN_SCHEME
    with pytest.raises(StorageError, match=r"Choose one of .*s3"):
        list(storage.list_names("zzzzzz://bucket/a"))


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(StorageError, match="Run: pip install gcsfs") as caught:
        storage.read_bytes("gs://bucket/a")
    assert caught.value.trouble is Trouble.NO_DRIVER
    code = """if True:
        import sys
        sys.modules["s3fs"] = None
        from recaption import storage
        try:
            storage.read_bytes("s3://b/k")
        except storage.StorageError as error:
            print(error)"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Run: pip install s3fs" in told.stdout


def test_errors_travel_between_processes() -> None:
    error = storage.explain(OSError(errno.ENOSPC, ""), "/a", "write")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.trouble) == (str(error), Trouble.FULL)
    assert pickle.loads(pickle.dumps(HttpStatusError(503, "Busy"))).status == 503


def test_import_is_light() -> None:
    code = (
        "import recaption.storage, sys;"
        "print(*{'ray', 'torch', 's3fs', 'fsspec', 'botocore', 'aiohttp'} & sys.modules.keys())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == ""
