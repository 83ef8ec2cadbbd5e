"""The files of a table: patterns, and what they are packed with."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

from recaption.datasets.table_files import ending_of, find_files, open_bytes


def test_the_files_of_a_table(tmp_path: Path) -> None:
    packers: dict[str, Callable[[bytes], bytes]] = {
        "t-0.csv": bytes,
        "t-1.csv.gz": gzip.compress,
        "t-2.CSV.BZ2": lambda text: bz2.compress(text[:2]) + bz2.compress(text[2:]),
        "t-[9].csv": bytes,
    }
    for name, pack in packers.items():
        (tmp_path / name).write_bytes(pack(b"a,b\n1,2\n"))
    assert find_files(f"{tmp_path}/t-[9].csv") == [f"{tmp_path}/t-[9].csv"]
    found = find_files(f"{tmp_path}/t-[0-2].*")
    assert [Path(url).name for url in found] == list(packers)[:3]
    for url in found:
        with open_bytes(url) as stream:
            assert stream.read() == b"a,b\n1,2\n"


def test_a_signed_address_ends_as_its_path_does() -> None:
    assert ending_of("https://host/a/T.CSV.GZ?X-Amz-Signature=1/2.txt#x") == "t.csv.gz"
    assert ending_of("/data/a?b.csv") == "a?b.csv"
