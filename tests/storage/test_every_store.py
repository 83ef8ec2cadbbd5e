"""What holds on every store, here on those that need no server."""

from __future__ import annotations

import asyncio
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recaption import storage
from recaption.storage import StorageError, Trouble
from tests.storage.build import noise


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
