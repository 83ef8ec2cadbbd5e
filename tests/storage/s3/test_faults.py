"""Reads and writes through a proxy that breaks requests."""

from __future__ import annotations

import pytest

from recaption import storage
from recaption.storage import RetryPolicy, StorageError, Trouble
from tests.s3_faults import Fault, FaultProxy
from tests.storage.build import noise
from tests.storage.s3.build import NEEDS_S3, ONCE, QUICK

pytestmark = NEEDS_S3


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
