"""What a small Parquet file may take of memory: pages, dictionaries, lists, rows, footers."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption.parquet import DamagedFile, PlainFile, read_table
from recaption.parquet.thrift import NotThrift, read_page_header
from recaption.parquet.watch import BUDGET
from tests.parquet.hostile import with_footer

MIB = 1 << 20


def file_of(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **{"compression": "zstd", **options})
    return buffer.getvalue()


def repeated(value: bytes, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows), pa.array([value]))


def batches(data: bytes, rows: int = 16) -> list[pa.RecordBatch]:
    file = PlainFile(io.BytesIO(data))
    return list(file.batches(file.schema.names, rows))


def test_a_page_that_unpacks_too_far_is_refused() -> None:
    data = file_of(pa.table({"image": repeated(bytes(66 * MIB), 20)}))
    assert len(data) < 5000
    with pytest.raises(DamagedFile, match=r"column image unpacks from [\d,]+ to 69,206,020 bytes"):
        batches(data)
    data = file_of(pa.table({"image": [bytes(66 * MIB)]}), use_dictionary=False)
    with pytest.raises(DamagedFile, match="made to fill the memory"):
        batches(data)


def test_a_batch_is_made_of_fewer_rows_where_they_are_large() -> None:
    data = file_of(pa.table({"image": repeated(bytes(60 * MIB), 7), "n": list(range(7))}))
    file = PlainFile(io.BytesIO(data))
    numbers: list[int] = []
    for batch in file.batches(["image", "n"], 16):
        assert batch.nbytes <= BUDGET
        numbers += batch["n"].to_pylist()
    assert numbers == list(range(7))


def test_and_where_the_footer_says_they_are_small() -> None:
    """The page counts, not the footer: it is read again, from the row it came to."""
    values = [os.urandom(9 * MIB) for _ in range(6)]
    data = file_of(pa.table({"image": values * 8, "n": list(range(48))}), data_page_size=1)
    claimed = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0).total_uncompressed_size
    length = int.from_bytes(data[-8:-4], "little")
    old = data[-8 - length : -8]
    lying = with_footer(data, old.replace(_varint(2 * claimed), _varint(2)))
    file = PlainFile(io.BytesIO(lying))
    numbers: list[int] = []
    for batch in file.batches(["image", "n"], 16):
        assert batch.nbytes <= BUDGET
        numbers += batch["n"].to_pylist()
    assert numbers == list(range(48))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def test_values_that_share_their_beginning() -> None:
    data = file_of(
        pa.table({"image": [bytes(60 * MIB)] * 6}),
        use_dictionary=False,
        column_encoding={"image": "DELTA_BYTE_ARRAY"},
    )
    assert len(data) < 10_000
    assert all(batch.nbytes <= BUDGET for batch in batches(data))


def test_a_list_without_end() -> None:
    count = 17_000_000
    values = pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), pa.nulls(count, pa.bool_()))
    data = file_of(pa.table({"image": [b"i"], "tags": values}))
    assert len(data) < 10_000
    with pytest.raises(DamagedFile, match=r"tags\.list\.element has more than [\d,]+ values"):
        batches(data)


def test_rows_that_cannot_be_there() -> None:
    data = file_of(pa.table({"image": pa.nulls(3_000_000, pa.binary())}))
    with pytest.raises(DamagedFile, match=r"claims 3,000,000 rows in [\d,]+ bytes"):
        PlainFile(io.BytesIO(data))


def test_types_too_deep_in_each_other() -> None:
    kind: pa.DataType = pa.int64()
    for _ in range(100):
        kind = pa.struct([("a", kind)])
    data = file_of(pa.table({"image": [b"i"], "deep": pa.nulls(1, kind)}))
    with pytest.raises(DamagedFile):
        PlainFile(io.BytesIO(data))


def test_a_footer_of_many_megabytes() -> None:
    data = file_of(pa.table({"image": [b"i"]}).replace_schema_metadata({"a": "x" * 25 * MIB}))
    with pytest.raises(DamagedFile, match="footer has"):
        PlainFile(io.BytesIO(data))


def test_a_small_table_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_bytes(file_of(pa.table({"caption": repeated(b"c" * MIB, 5000)})))
    assert path.stat().st_size < 20_000
    with pytest.raises(DamagedFile, match="unpack into more than"):
        read_table(str(path), pa.schema([("caption", pa.string())]))


def test_wide_rows_and_many_pages_are_read() -> None:
    """What real files have: pages of many images, one image a page, columns by the hundred."""
    images = [os.urandom(200_000) for _ in range(50)]
    for options in ({}, {"data_page_size": 1}, {"use_dictionary": False, "compression": "none"}):
        table = pa.table({"image": images, **{f"c{n}": list(range(50)) for n in range(200)}})
        got = batches(file_of(table, row_group_size=20, **options))
        assert [value for batch in got for value in batch["image"].to_pylist()] == images


_CHILD = """
import io, resource, sys
from recaption.parquet import DamagedFile, PlainFile
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
file = PlainFile(io.BytesIO(sys.stdin.buffer.read()))
rows = sum(batch.num_rows for batch in file.batches(file.schema.names, 16))
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_the_memory_it_takes() -> None:
    """Measured from outside, in MiB: it was 4.8 GB for 20 rows of 100 MB."""
    data = file_of(pa.table({"image": repeated(bytes(60 * MIB), 12)}))
    run = subprocess.run(
        [sys.executable, "-c", _CHILD], input=data, capture_output=True, check=True, timeout=60
    )
    rows, taken = map(int, run.stdout.split())
    assert rows == 12 and taken < 900


@pytest.mark.parametrize(
    "raw",
    [
        b"\x15\x00\x15\x01\x15\x01\x00",
        b"\x1b" * 40,
        b"\x19\xfc\xff\xff\xff\x7f",
        b"\x15" + b"\xff" * 20,
    ],
)
def test_what_is_no_header(raw: bytes) -> None:
    with pytest.raises(NotThrift):
        read_page_header(raw)


def test_a_header_that_goes_on_behind() -> None:
    whole = b"\x15\x00\x15\x14\x15\x14\x2c\x15\x02\x15\x00\x00\x00"
    header = read_page_header(whole)
    assert header is not None
    assert (header.length, header.unpacked, header.values) == (len(whole), 10, 1)
    assert all(read_page_header(whole[:end]) is None for end in range(len(whole)))


def test_a_page_that_claims_more_than_its_column_has() -> None:
    """pyarrow makes room for what a page claims before it reads it."""
    data = bytearray(file_of(pa.table({"image": [b"i" * 40]}), compression="none"))
    at = data.index(b"\x15", 4)  # the first header: type, size unpacked, size packed
    header = read_page_header(bytes(data[at : at + 64]))
    assert header is not None
    huge = b"\xfe\xff\xff\xff\x0f"
    packed = _varint(2 * header.packed)
    where = data.index(packed, at + 4)
    data[where : where + len(packed)] = huge
    with pytest.raises(DamagedFile):
        batches(bytes(data))
