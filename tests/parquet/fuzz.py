"""Parquet files with bytes changed, by key: `python -m tests.parquet.fuzz SECONDS [SEED] [GIB]`.

Nothing but a BrokenShard may come of one, in bounded time and memory; pyarrow itself may crash,
which the file named at the end's exit code shows. Run in a process of its own.
"""

from __future__ import annotations

import faulthandler
import io
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recaption.config import SourceConfig
from recaption.parquet import DamagedFile, read_table
from recaption.sample import Shard
from recaption.sources import BrokenShard
from recaption.sources.parquet import read_samples

_SLOW_S = 20.0


def seeds() -> list[bytes]:
    """Return small files of every kind of type, encoding, compression and version."""
    noise = random.Random(0).randbytes
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "image": pa.array([{"bytes": noise(40), "path": f"{n}.jpg"} for n in range(40)], struct),
        "id": [f"id{n}" for n in range(40)],
        "caption": ["a cat", None, "two dogs", "a cat"] * 10,
        "tags": [["a", "b"], [], None, ["c"]] * 10,
        "label": [1, 2, None, 3] * 10,
        "score": [0.5, None] * 20,
        "flag": [True, False] * 20,
        "deep": [[{"a": [1, 2], "b": "x"}]] * 40,
        "map": pa.array([[("a", 1)]] * 40, pa.map_(pa.string(), pa.int32())),
        "fixed": pa.array([b"12345678"] * 40, pa.binary(8)),
        "when": pa.array([1] * 40, pa.timestamp("us")),
    }
    table = pa.table(columns)
    options: list[dict[str, Any]] = [
        {},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"compression": "none", "use_dictionary": False, "data_page_size": 64},
        {"compression": "gzip", "row_group_size": 7, "write_page_checksum": True},
        {
            "compression": "none",
            "use_dictionary": False,
            "column_encoding": {"id": "DELTA_BYTE_ARRAY", "label": "DELTA_BINARY_PACKED"},
        },
        {"compression": "snappy", "use_byte_stream_split": ["score"], "use_dictionary": ["id"]},
    ]
    return [_written(table, **chosen) for chosen in options]


def _written(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return the file with some bytes changed, most of the time in its footer or its headers."""
    out = bytearray(data)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        low, high = rng.choice(((footer, len(out) - 8), (4, footer), (0, len(out))))
        at = rng.randrange(max(0, min(low, len(out) - 1)), max(1, min(high, len(out))))
        what = rng.randrange(5)
        if what == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif what == 2:
            out[at : at + 4] = rng.choice((b"\xff\xff\xff\xff\x0f", b"\0" * 4, b"\xfe\xff\xff\xff"))
        elif what == 3:
            size = rng.randrange(1, 64)
            start = rng.randrange(len(out))
            out[at : at + size] = out[start : start + size]
        else:
            del out[at : at + rng.randrange(1, 16)]
    return bytes(out)


def outcomes(path: Path, seed: int) -> Iterator[str]:
    """Yield what each reader said of a file: `read`, or the kind of its error."""
    shard = Shard("s.parquet", str(path), "parquet")
    source = SourceConfig(path=str(path), alt_text_column=random.Random(seed).choice(("", "deep")))
    try:
        count = sum(1 for _ in read_samples(shard, source, lambda n: n % 3 != 0))
        yield "read" if count else "empty"
    except BrokenShard as error:
        assert "\n" not in str(error), error
        yield "broken"
    try:
        read_table(str(path), pa.schema([("id", pa.string()), ("tags", pa.list_(pa.string()))]))
        yield "table"
    except DamagedFile as error:
        assert "\n" not in str(error), error
        yield "damaged"


def main(seconds: float, seed: int, gib: int) -> None:
    """Try files until the time is over; what fails names its number, and makes its file."""
    resource.setrlimit(resource.RLIMIT_AS, (gib << 30, gib << 30))
    faulthandler.enable()
    files, counts, end, number = seeds(), Counter[str](), time.monotonic() + seconds, seed
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            path = Path(folder, "s.parquet")
            path.write_bytes(mutated(files[number % len(files)], random.Random(number)))
            Path(tempfile.gettempdir(), f"fuzz-parquet-{seed}").write_text(str(number))
            start = time.monotonic()
            counts.update(outcomes(path, number))
            assert time.monotonic() - start < _SLOW_S, f"file {number} took too long"
            number += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{number - seed} files, {dict(counts)}, at most {peak} MiB")


if __name__ == "__main__":
    main(float(sys.argv[1]), *map(int, (sys.argv[2:] + ["0", "8"][len(sys.argv[2:]) :])))
