"""Tables indexed on disk: built once, whole or not at all, found by what they were made of."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recaption.datasets import index as index_module
from recaption.datasets.index import cache_folder, open_index

ROWS = [("a", "1"), ("b", "2"), ("a", "3"), ("ä", "4"), ("", "5")]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "index"


@pytest.fixture
def table(tmp_path: Path) -> str:
    file = tmp_path / "table.csv"
    file.write_text("the table")
    return str(file)


def refuse() -> Iterator[tuple[str, str]]:
    raise AssertionError("it is there already")
    yield


def test_a_key_has_its_rows_in_their_order(table: str) -> None:
    index = open_index("t", 1, [table], lambda: ROWS)
    found = {key: index.get(key) for key in ("a", "b", "ä", "", "c")}
    assert found == {"a": ["1", "3"], "b": ["2"], "ä": ["4"], "": ["5"], "c": []}


def test_it_is_made_once_for_what_it_is_made_of(table: str) -> None:
    open_index("t", 1, [table], lambda: ROWS)
    assert open_index("t", 1, [table], refuse).get("b") == ["2"]
    made = []

    def again() -> list[tuple[str, str]]:
        made.append(1)
        return [("b", "new")]

    assert open_index("t", 2, [table], again).get("b") == ["new"], "rows are read in another way"
    Path(table).write_text("another table")
    assert open_index("t", 1, [table], again).get("b") == ["new"], "the file has changed"
    assert len(made) == 2


def test_a_table_that_breaks_leaves_no_index(table: str, cache: Path) -> None:
    def broken() -> Iterator[tuple[str, str]]:
        yield from ROWS
        raise ValueError("line 6 is odd")

    with pytest.raises(ValueError, match="line 6"):
        open_index("t", 1, [table], broken)
    assert not list(cache.glob("*.sqlite"))
    assert open_index("t", 1, [table], lambda: ROWS).get("b") == ["2"]


BUILDER = """
import os, sys, time
from recaption.datasets.index import open_index
def rows():
    with open(sys.argv[2], "a") as log:
        log.write("built\\n")
    time.sleep(0.5)
    if sys.argv[3] == "die":
        os.kill(os.getpid(), 9)
    yield "a", "1"
print(open_index("t", 1, [sys.argv[1]], rows).get("a"))
"""


def builder(table: str, log: Path, how: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILDER, table, str(log), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_of_many_processes_one_builds_and_the_others_wait(table: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    running = [builder(table, log) for _ in range(3)]
    assert [one.communicate(timeout=60)[0] for one in running] == ["['1']\n"] * 3
    assert log.read_text() == "built\n"


def test_a_killed_builder_leaves_nothing_that_is_taken_for_an_index(
    table: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    assert builder(table, log, "die").wait(60) == -9
    assert builder(table, log).communicate(timeout=60)[0] == "['1']\n"
    assert log.read_text() == "built\nbuilt\n"
    assert cache_folder() == tmp_path / "cache"


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_rows_of_a_key_are_packed_and_come_out_as_they_were(
    table: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_BATCH", batch)
    values = ["1", '["x"]', "", "é\n", "1"]
    rows = [pair for value in values for pair in (("k", value), (f"other {value}", "0"))]
    index = open_index("t", 1, [table], lambda: rows)
    assert index.get("k") == values and index.get("other 1") == ["0", "0"]
    assert index.get("K") == index.get("half \ud800") == []


def test_no_rows_are_an_index_too(table: str) -> None:
    assert open_index("t", 1, [table], list).get("a") == []


def test_a_folder_with_signs_that_mean_something_in_a_url(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "a cache?#%41"))
    assert open_index("t", 1, [table], lambda: ROWS).get("b") == ["2"]


def test_a_forked_process_reads_through_a_connection_of_its_own(table: str) -> None:
    index = open_index("t", 1, [table], lambda: ROWS)
    assert index.get("b") == ["2"]
    if (child := os.fork()) == 0:
        os._exit(0 if index.get("b") == ["2"] and index._pid == os.getpid() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_full_disk_is_told_and_nothing_is_left(table: str, cache: Path) -> None:
    def full() -> Iterator[tuple[str, str]]:
        yield from ROWS
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(ValueError, match=r"disk is full; expected .* set RECAPTION_CACHE"):
        open_index("t", 1, [table], full)
    assert [file.suffix for file in cache.iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_made(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "file"))
    with pytest.raises(ValueError, match="set RECAPTION_CACHE to another folder"):
        open_index("t", 1, [table], lambda: ROWS)


DIES_LATE = """
import os, sys
from recaption.datasets.index import open_index
def rows():
    yield from (("a", "half") for _ in range(50_000))
    os.kill(os.getpid(), 9)
open_index("t", 1, [sys.argv[1]], rows)
"""


def test_rows_that_a_killed_builder_had_written_are_gone(table: str, cache: Path) -> None:
    assert subprocess.run([sys.executable, "-c", DIES_LATE, table], timeout=60).returncode == -9
    assert sorted(file.suffix for file in cache.iterdir()) == [".lock", ".new"]
    assert open_index("t", 1, [table], lambda: ROWS).get("a") == ["1", "3"]
    assert sorted(file.suffix for file in cache.iterdir()) == [".lock", ".sqlite"]
