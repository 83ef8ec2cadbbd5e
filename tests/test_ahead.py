"""Working ahead of the reader: what waits is bounded in bytes and in number."""

from __future__ import annotations

import threading

import pytest

from recaption import ahead
from recaption.ahead import Ahead
from recaption.sample import Sample


def sample(ordinal: int, size: int) -> Sample:
    return Sample(f"s/{ordinal}", str(ordinal), ordinal, b"x" * size)


def test_results_come_in_order_and_few_bytes_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "MOST_BYTES", 100)
    lock, held, most = threading.Lock(), [0], [0]

    def work(sample: Sample) -> int:
        assert sample.image is not None
        with lock:
            held[0] -= len(sample.image)
        return sample.ordinal

    with Ahead(work, 2) as preparing:
        futures = []
        for ordinal, size in enumerate([10, 60, 60, 500, 1, 100, 100, 7] * 20):
            with lock:
                held[0] += size
            futures.append(preparing.submit(sample(ordinal, size)))
            most[0] = max(most[0], held[0])
        assert [future.result() for future in futures] == list(range(160))
    assert most[0] <= 100


def test_small_samples_wait_in_small_numbers() -> None:
    go = threading.Event()
    with Ahead(lambda sample: go.wait(30), 1) as preparing:
        submitted = []

        def submit_all() -> None:
            for ordinal in range(50):
                submitted.append(preparing.submit(sample(ordinal, 1)))

        feeder = threading.Thread(target=submit_all)
        feeder.start()
        feeder.join(0.2)
        assert len(submitted) < 10
        go.set()
        feeder.join(30)
        assert len(submitted) == 50


def test_what_work_raises_is_its_own_future() -> None:
    def work(sample: Sample) -> int:
        return 1 // sample.ordinal

    with Ahead(work, 1) as preparing:
        first, second = (preparing.submit(sample(ordinal, 10)) for ordinal in (0, 1))
        with pytest.raises(ZeroDivisionError):
            first.result()
        assert second.result() == 1
