"""Files on a real S3 server: written, read, listed, deleted."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from recaption import storage
from tests.corpus.build import BUCKET
from tests.storage.build import noise
from tests.storage.s3.build import NEEDS_S3

pytestmark = NEEDS_S3


@pytest.mark.parametrize("size", [0, 1, 300_000, (8 << 20) + 1, 20 << 20])
def test_what_is_written_is_read(root: str, size: int) -> None:
    url, data = f"{root}/a b/ü%20+.bin", noise(size)
    storage.write_bytes(url, data)
    assert storage.read_bytes(url) == data
    assert storage.info(url).size == size
    with storage.open_read(url) as file:
        assert file.read() == data
    storage.write_bytes(url, b"new")
    assert storage.read_bytes(url) == b"new"


def test_lists_in_the_order_of_names_and_only_below(root: str) -> None:
    for name in ("b", "a/z", "a-b", "a/b/c", "B"):
        storage.write_bytes(f"{root}/x/{name}", name.encode())
    storage.write_bytes(f"{root}/xy", b"beside")
    assert list(storage.list_names(f"{root}/x/")) == ["B", "a-b", "a/b/c", "a/z", "b"]
    assert next(f.url for f in storage.list_tree(f"{root}/x")) == f"{root}/x/B"
    assert [f.size for f in storage.list_tree(f"{root}/x")] == [1, 3, 5, 3, 1]
    assert list(storage.list_names(f"{root}/nothing")) == []


def test_lists_page_by_page(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recaption.storage.s3._LIST_AT_ONCE", 3)
    monkeypatch.setattr("recaption.storage.s3._DELETE_AT_ONCE", 3)
    names = [f"{i:02d} +ü&<" for i in range(10)]
    for name in names:
        storage.write_bytes(f"{root}/{name}", b"x")
    assert list(storage.list_names(root)) == names
    storage.delete(f"{root}/{name}" for name in names[:7])
    assert list(storage.list_names(root)) == names[7:]


@pytest.mark.slow
def test_lists_3000_keys_and_never_from_a_cache(root: str) -> None:
    names = [f"{i:04d}.json" for i in range(3000)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.put_if_absent(f"{root}/{name}", b"x"), names))
    started = time.monotonic()
    assert list(storage.list_names(root)) == names
    assert time.monotonic() - started < 5
    storage.delete(f"{root}/{name}" for name in names[:2500])
    assert list(storage.list_names(root)) == names[2500:]


def test_glob(root: str) -> None:
    for name in ("t-0.tar", "t-1.tar", "t-1.txt", "d/t-2.tar", "d/e/t-3.tar", ".t-4.tar"):
        storage.write_bytes(f"{root}/{name}", b"x")

    def names(pattern: str) -> list[str]:
        return [storage.relative(f.url, root) for f in storage.glob(f"{root}/{pattern}")]

    assert names("*.tar") == ["t-0.tar", "t-1.tar"]
    assert names("t-[1-9].*") == ["t-1.tar", "t-1.txt"]
    assert names("*/*.tar") == ["d/t-2.tar"]
    assert names("**/*.tar") == ["d/e/t-3.tar", "d/t-2.tar", "t-0.tar", "t-1.tar"]
    assert names("t-0.tar") == ["t-0.tar"]
    assert names("t-9.tar") == []


def test_exists_and_info(root: str) -> None:
    storage.write_bytes(f"{root}/folder/file", b"12345")
    assert storage.exists(f"{root}/folder/file")
    assert storage.exists(f"{root}/folder")
    assert storage.exists(f"{root}/folder/")
    assert storage.exists(f"s3://{BUCKET}")
    assert not storage.exists(f"{root}/fol")
    assert not storage.exists("s3://no-such-bucket-here/x")
    first = storage.info(f"{root}/folder/file")
    storage.write_bytes(f"{root}/folder/file", b"54321")
    assert storage.info(f"{root}/folder/file").version != first.version != ""


def test_delete_ignores_what_is_missing(root: str) -> None:
    storage.write_bytes(f"{root}/a", b"x")
    storage.delete([f"{root}/a", f"{root}/b"])
    storage.delete([])
    assert not storage.exists(f"{root}/a")


def test_streams_can_seek(root: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(10):
            archive.writestr(str(i), noise(400_000 + i))
    storage.write_bytes(f"{root}/z.zip", buffer.getvalue())
    with storage.open_read(f"{root}/z.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.read("5") == noise(400_005)


def test_works_inside_a_running_event_loop(root: str) -> None:
    async def work() -> bytes:
        storage.write_bytes(f"{root}/a", b"x")
        return await asyncio.to_thread(storage.read_bytes, f"{root}/a")

    assert asyncio.run(work()) == b"x"
