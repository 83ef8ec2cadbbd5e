"""Tables with bytes changed, by key: whatever they say, nothing is raised."""

from __future__ import annotations

import csv
import io
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption.notices import take_notices
from recaption.sources.metadata import Metadata, Placed, open_table

ROWS = [{"file_name": f"d/{n}.jpg", "text": 'a "cat",\ny é', "n": n} for n in range(30)]
TOKENS = (
    *(
        b'"',
        b"'",
        b",",
        b";",
        b"\t",
        b"\n",
        b"\r",
        b"\0",
        b"[",
        b"{",
        b"}",
        b"\xff",
        b"../",
        b"://",
    ),
    *(b"\xed\xa0\x80", b"\\", b"9" * 5000, b"1e999", b"NaN", b'"file_name":', b"\\ud800"),
)


def tables() -> dict[str, bytes]:
    text, packed = io.StringIO(), io.BytesIO()
    writer = csv.DictWriter(text, list(ROWS[0]))
    writer.writeheader()
    writer.writerows(ROWS)
    pq.write_table(pa.Table.from_pylist(ROWS), packed)
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "caption": "x"}],
    }
    return {
        "metadata.csv": text.getvalue().encode(),
        "metadata.tsv": text.getvalue().replace(",", "\t").encode(),
        "metadata.jsonl": "\n".join(map(json.dumps, ROWS)).encode(),
        "captions.json": json.dumps(ROWS).encode(),
        "labels.json": json.dumps(coco).encode(),
        "metadata.parquet": packed.getvalue(),
    }


def mutated(raw: bytes, rng: random.Random) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.choice((1, 2, 8, 40))):
        at, what = rng.randrange(len(out) + 1), rng.randrange(3)
        if what == 0:
            out[at:at] = rng.choice(TOKENS)
        elif what == 1:
            del out[at : at + rng.randrange(1, 40)]
        else:
            start = rng.randrange(len(out) + 1)
            out[at:at] = out[start : start + rng.randrange(1, 200)]
    return bytes(out)


@pytest.mark.parametrize("name", list(tables()))
def test_changed_bytes(name: str) -> None:
    raw = tables()[name]
    for number in range(100):
        table = open_table(name, mutated(raw, random.Random(number)), [])
        metadata = Metadata([Placed((), table)])
        for path in ("d/1.jpg", "d/2.jpg", "a.jpg", "\ud800/x.jpg", "9.jpg", ""):
            metadata.fields(path)
        metadata.finish("d")
        metadata.finish("")
        metadata.finish_all()
        assert all("\n" not in notice.example for notice in take_notices())
