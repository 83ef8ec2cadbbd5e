"""Of all who put one key exactly one wins, and knows it."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import Queue

import pytest

from recaption import storage
from tests.s3_faults import Fault, FaultProxy
from tests.storage.s3.build import NEEDS_S3, QUICK

pytestmark = NEEDS_S3


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
