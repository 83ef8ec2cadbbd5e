"""Resuming a large corpus: a listing of names and little memory, whatever is in the records."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from recaption import storage
from recaption.corpus.ledger import Ledger
from tests.benchmarks.resume import PRINT, fill, measure, record_names, shard_name

PARTS = 2000


@pytest.mark.parametrize("per_shard", [1, 10, 7])
def test_two_thousand_finished_parts_are_skipped(tmp_path: Path, per_shard: int) -> None:
    """As the benchmark does it for 100,000: here for being right, and not absurdly slow."""
    fill(str(tmp_path), PARTS, per_shard)
    shards = -(-PARTS // per_shard)
    found = measure(str(tmp_path), shards + 3)
    unfinished = 3 + bool(PARTS % per_shard)
    assert (found["parts"], found["pending"]) == (PARTS, unfinished)
    assert found["seconds"] < 2, "2,000 take 0.02 s; 100,000 must not take over 10"
    assert found["peak_mb"] - found["before_mb"] < 50


def test_memory_grows_with_parts_by_little(tmp_path: Path) -> None:
    """100,000 parts in 500 MB leaves 5 KB each; they take less than one."""
    fill(str(tmp_path), PARTS, 1)
    ledger = Ledger(str(tmp_path), PRINT)
    ledger.committed()
    tracemalloc.start()
    committed = ledger.committed()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert committed.count() == PARTS
    assert kept < 1000 * PARTS and peak < 2000 * PARTS


def test_the_records_are_named_as_real_ones(tmp_path: Path) -> None:
    """Else the benchmark would measure something that no run meets."""
    from tests.corpus.build import record

    fill(str(tmp_path), 20, 10)
    fake = set(storage.list_names(str(tmp_path)))
    real = Ledger(str(tmp_path / "real"), PRINT)
    for part in Ledger(str(tmp_path), PRINT).committed():
        real.commit(record(part))
    assert set(storage.list_names(str(tmp_path / "real"))) == fake
    assert len(list(record_names(20, 10))) == 20 and shard_name(1234).endswith("1/00001234.tar")
