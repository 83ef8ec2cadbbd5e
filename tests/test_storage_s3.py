"""Storage against a real S3 server, directly and through a proxy that breaks requests."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import random
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import Queue

import pytest

from recaption import storage
from recaption.storage import RetryPolicy, StorageError, Trouble
from tests.s3_faults import Fault, FaultProxy

pytestmark = [
    pytest.mark.s3,
    pytest.mark.skipif(
        not (os.environ.get("AWS_ENDPOINT_URL") and os.environ.get("S3_TEST_BUCKET")),
        reason="no S3 server: AWS_ENDPOINT_URL and S3_TEST_BUCKET are not set",
    ),
]

QUICK = RetryPolicy(attempts=10, first_delay_s=0.01, longest_delay_s=0.1)
ONCE = RetryPolicy(attempts=1)
BUCKET = os.environ.get("S3_TEST_BUCKET", "")


@pytest.fixture
def root() -> Iterator[str]:
    """A folder of its own in the test bucket, deleted in the end."""
    url = f"s3://{BUCKET}/test-storage/{uuid.uuid4().hex}"
    yield url
    storage.delete(file.url for file in storage.list_tree(url))


@pytest.fixture
def proxy(root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy that every request goes through from now on, faultless until told otherwise."""
    with FaultProxy(os.environ["AWS_ENDPOINT_URL"]) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL", started.url)
        monkeypatch.setenv("RECAPTION_S3_READ_TIMEOUT", "0.5")
        yield started
        started.rate = 0.0
        started.script.clear()


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


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


@pytest.mark.parametrize("doing", [storage.info, storage.read_bytes, storage.open_read])
def test_a_missing_file_is_told(root: str, doing: Callable[[str], object]) -> None:
    with pytest.raises(StorageError, match="there is no such file") as caught:
        doing(f"{root}/missing")
    assert caught.value.trouble is Trouble.MISSING


@pytest.mark.parametrize(
    "doing",
    [
        storage.info,
        storage.read_bytes,
        lambda url: storage.write_bytes(url, b"x"),
        lambda url: storage.put_if_absent(url, b"x"),
        lambda url: storage.delete([url]),
        lambda url: list(storage.list_names(url)),
    ],
)
def test_a_missing_bucket_is_told(doing: Callable[[str], object]) -> None:
    with pytest.raises(StorageError, match="no bucket 'no-such-bucket-here' at http") as caught:
        doing("s3://no-such-bucket-here/a")
    assert caught.value.trouble is Trouble.NO_BUCKET


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("AWS_SECRET_ACCESS_KEY", "secret key is wrong.*Check AWS_SECRET_ACCESS_KEY"),
        ("AWS_ACCESS_KEY_ID", "does not know the access key.*Check AWS_ACCESS_KEY_ID"),
    ],
)
def test_wrong_credentials_are_told(
    root: str, monkeypatch: pytest.MonkeyPatch, variable: str, message: str
) -> None:
    storage.write_bytes(f"{root}/a", b"x")
    with monkeypatch.context() as patch:
        patch.setenv(variable, "wrong")
        for doing in (storage.read_bytes, lambda url: storage.put_if_absent(url, b"x")):
            with pytest.raises(StorageError, match=message) as caught:
                doing(f"{root}/a")
            assert caught.value.trouble is Trouble.DENIED
            assert "\n" not in str(caught.value)
        with pytest.raises(StorageError, match=r"access denied \(HTTP status 403"):
            storage.info(f"{root}/a")


def test_no_credentials_are_told(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        with pytest.raises(StorageError, match=r"no .* credentials.*RECAPTION_S3_ANONYMOUS"):
            storage.read_bytes(f"s3://{BUCKET}/a")
        patch.setenv("RECAPTION_S3_ANONYMOUS", "1")
        with pytest.raises(StorageError, match=r"access denied|no such file"):
            storage.read_bytes(f"s3://{BUCKET}/a")
    monkeypatch.undo()


def test_an_unreachable_endpoint_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    retry = RetryPolicy(attempts=3, first_delay_s=0.01)
    with pytest.raises(
        StorageError, match=r"127.0.0.1:9 cannot be reached.*tried 3 times"
    ) as caught:
        storage.read_bytes("s3://bucket/a", retry=retry)
    assert caught.value.trouble is Trouble.UNREACHABLE


def test_a_malformed_endpoint_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    with pytest.raises(StorageError, match=r"AWS_ENDPOINT_URL is malformed.*Write http://"):
        storage.read_bytes("s3://bucket/a")


def test_works_inside_a_running_event_loop(root: str) -> None:
    async def work() -> bytes:
        storage.write_bytes(f"{root}/a", b"x")
        return await asyncio.to_thread(storage.read_bytes, f"{root}/a")

    assert asyncio.run(work()) == b"x"


# put_if_absent


def test_of_eight_threads_one_wins(root: str) -> None:
    for round_ in range(5):
        url = f"{root}/{round_}"
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda i, u=url: storage.put_if_absent(u, b"%d" % i), range(8)))
        assert sum(won) == 1
        assert storage.read_bytes(url) == b"%d" % won.index(True)


def _compete(url: str, number: int, results: Queue[tuple[int, bool]]) -> None:
    results.put((number, storage.put_if_absent(url, b"%d" % number)))


def test_of_eight_forked_processes_one_wins(root: str) -> None:
    storage.write_bytes(f"{root}/warm", b"the parent's client must not be used by its children")
    context = multiprocessing.get_context("fork")
    results: Queue[tuple[int, bool]] = context.Queue()
    workers = [context.Process(target=_compete, args=(f"{root}/key", i, results)) for i in range(8)]
    for worker in workers:
        worker.start()
    won = dict(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(10)
    assert sum(won.values()) == 1
    winner = next(number for number, has_won in won.items() if has_won)
    assert storage.read_bytes(f"{root}/key") == b"%d" % winner


def test_equal_content_of_a_rival_is_not_ours(root: str) -> None:
    assert storage.put_if_absent(f"{root}/a", b"same")
    assert not storage.put_if_absent(f"{root}/a", b"same")


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.TRUNCATE])
@pytest.mark.parametrize("is_first_on_connection", [True, False])
def test_a_lost_reply_does_not_hide_that_we_won(
    root: str, proxy: FaultProxy, fault: Fault, is_first_on_connection: bool
) -> None:
    if not is_first_on_connection:  # on a connection used before, aiohttp repeats a PUT by itself
        storage.exists(f"{root}/a")
    proxy.script.extend([("PUT", fault), ("PUT", Fault.SLOW_DOWN)])
    assert storage.put_if_absent(f"{root}/a", b"x", retry=QUICK)
    assert proxy.counts[fault] == 1
    assert proxy.counts[Fault.SLOW_DOWN] == 1
    proxy.script.append(("PUT", fault))
    assert not storage.put_if_absent(f"{root}/a", b"x", retry=QUICK)
    assert storage.read_bytes(f"{root}/a") == b"x"


def test_a_conflict_is_tried_again(root: str, proxy: FaultProxy) -> None:
    proxy.script.extend([("PUT", Fault.CONFLICT)] * 3)
    assert storage.put_if_absent(f"{root}/a", b"x", retry=QUICK)
    assert not storage.put_if_absent(f"{root}/a", b"y", retry=QUICK)


def test_a_store_without_conditional_writes(root: str, proxy: FaultProxy) -> None:
    proxy.script.append(("PUT", Fault.NOT_IMPLEMENTED))
    assert storage.put_if_absent(f"{root}/a", b"x", retry=QUICK)
    proxy.script.append(("PUT", Fault.NOT_IMPLEMENTED))
    assert not storage.put_if_absent(f"{root}/a", b"y", retry=QUICK)
    assert storage.read_bytes(f"{root}/a") == b"x"


def test_exactly_one_wins_through_faults(root: str, proxy: FaultProxy) -> None:
    proxy.rate, proxy.seed = 0.2, 1
    keys = [f"{root}/{i}" for i in range(20)]
    with ThreadPoolExecutor(8) as pool:
        claims = [
            (url, worker, pool.submit(storage.put_if_absent, url, b"%d" % worker, retry=QUICK))
            for url in keys
            for worker in range(4)
        ]
        winners = [(url, worker) for url, worker, claim in claims if claim.result()]
    proxy.rate = 0.0
    assert [url for url, _ in winners] == keys
    assert all(storage.read_bytes(url) == b"%d" % worker for url, worker in winners)
    assert proxy.counts.total() > 10


# broken requests


@pytest.mark.parametrize("seed", [1, 2])
def test_reads_through_faults_equal_the_original(root: str, proxy: FaultProxy, seed: int) -> None:
    data = noise(24 << 20)
    storage.write_bytes(f"{root}/a", data)
    proxy.rate, proxy.seed = 0.2, seed
    for _ in range(3):
        with storage.open_read(f"{root}/a", retry=QUICK) as file:
            parts = iter(lambda: file.read(1_000_003), b"")
            assert b"".join(parts) == data
        assert storage.read_bytes(f"{root}/a", retry=QUICK) == data
    assert proxy.counts.total() > 3


def test_a_truncated_read_goes_on_where_it_was(root: str, proxy: FaultProxy) -> None:
    data = noise(4 << 20)
    storage.write_bytes(f"{root}/a", data)
    proxy.script.extend([("GET", Fault.TRUNCATE)] * 6)
    # each attempt brings half of what is missing, so two attempts in a row are always enough
    retry = RetryPolicy(attempts=2, first_delay_s=0.01)
    assert storage.read_bytes(f"{root}/a", retry=retry) == data
    assert proxy.counts[Fault.TRUNCATE] == 6


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.INTERNAL, Fault.RESET_BEFORE, Fault.HANG])
def test_patience_ends(root: str, proxy: FaultProxy, fault: Fault) -> None:
    storage.write_bytes(f"{root}/a", b"x")
    proxy.script.extend([("GET", fault)] * 10)
    with pytest.raises(StorageError, match="tried 2 times") as caught:
        storage.read_bytes(f"{root}/a", retry=RetryPolicy(attempts=2, first_delay_s=0.01))
    assert caught.value.trouble is Trouble.UNREACHABLE
    if fault in (Fault.SLOW_DOWN, Fault.INTERNAL):
        assert len(proxy.script) == 8  # the drivers below us do not try again


def test_a_file_replaced_while_it_is_read_is_an_error(root: str, proxy: FaultProxy) -> None:
    storage.write_bytes(f"{root}/a", noise(4 << 20))
    with storage.open_read(f"{root}/a") as file:
        file.read(100)
        storage.write_bytes(f"{root}/a", noise(4 << 20)[::-1])
        with pytest.raises(StorageError, match="replaced while it was being read") as caught:
            file.read()
    assert caught.value.trouble is Trouble.CHANGED


def test_large_writes_through_faults(root: str, proxy: FaultProxy) -> None:
    data = noise(40 << 20)
    proxy.rate, proxy.seed = 0.3, 3
    for number in range(3):
        storage.write_bytes(f"{root}/{number}", data, retry=QUICK)
    proxy.rate = 0.0
    assert all(storage.read_bytes(f"{root}/{number}") == data for number in range(3))
    assert proxy.counts.total() > 3


def test_a_lost_reply_to_the_end_of_an_upload(root: str, proxy: FaultProxy) -> None:
    data = noise(9 << 20)
    # POSTs: begin the upload, end it
    proxy.script.extend([("POST", Fault.SLOW_DOWN), ("POST", Fault.RESET_BEFORE)])
    storage.write_bytes(f"{root}/a", data, retry=QUICK)
    begun = proxy.requests
    proxy.script.append(("PUT", Fault.INTERNAL))
    proxy.script.append(("POST", Fault.RESET_AFTER))
    storage.write_bytes(f"{root}/b", data, retry=QUICK)
    assert proxy.requests > begun
    assert not proxy.script
    assert storage.read_bytes(f"{root}/a") == storage.read_bytes(f"{root}/b") == data


def test_an_upload_that_fails_is_not_visible(root: str, proxy: FaultProxy) -> None:
    proxy.script.extend([("PUT", Fault.INTERNAL)])
    with pytest.raises(StorageError):
        storage.write_bytes(f"{root}/a", noise(9 << 20), retry=ONCE)
    assert list(storage.list_names(root)) == []


def test_lists_and_deletes_through_faults(root: str, proxy: FaultProxy) -> None:
    urls = [f"{root}/{i:02d}" for i in range(30)]
    for url in urls:
        storage.write_bytes(url, b"x")
    proxy.rate, proxy.seed = 0.3, 5
    for _ in range(5):
        assert [file.url for file in storage.list_tree(root, retry=QUICK)] == urls
    for url in urls:
        storage.delete([url], retry=QUICK)
    proxy.rate = 0.0
    assert list(storage.list_names(root)) == []
