"""The layout of a data set on the Hugging Face hub: `data/train-00000-of-00007.parquet`, a card."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import groupby

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import storage
from recaption.config import Recipe
from recaption.corpus.export.card import is_own_card, write_card
from recaption.corpus.export.names import check_are_ours
from recaption.corpus.export.tables import HUB, table_of
from recaption.corpus.export.walk import Walk

CARD = "README.md"
DATA = "data"
_FILE = re.compile(rf"{DATA}/train-\d{{5}}-of-\d{{5}}\.parquet")
_FILE_BYTES = 256 * 2**20
_GROUP = 100  # rows: what the hub's viewer loads at once


def export_hub(walk: Walk, out: str, recipe: Recipe) -> list[str]:
    """Write Parquet files of some 256 MiB and a data set card; return what to tell of it."""
    earlier = check_are_ours(
        out, lambda name: name.endswith(".parquet"), lambda name: bool(_FILE.fullmatch(name))
    )
    written = _write_files(walk, out)
    storage.delete(storage.join(out, name) for name in earlier if name not in written)
    if not walk.tally.images:
        return []
    place = storage.join(out, CARD)
    if storage.exists(place) and not is_own_card(storage.read_bytes(place)):
        return [f"{CARD} was written by somebody else and stays as it is"]
    storage.write_bytes(place, write_card(walk, recipe).encode("utf-8", "replace"))
    return []


def _write_files(walk: Walk, out: str) -> set[str]:
    """Write the data, each file whole or not at all; return their names."""
    parts = walk.reader.committed().count()
    count = max(1, min(parts, -(-walk.image_bytes() // _FILE_BYTES)))
    numbered = ((i * count // parts, images) for i, (_, images) in enumerate(walk.parts()))
    written: set[str] = set()
    for number, group in groupby(numbered, lambda pair: pair[0]):
        tables = (table_of(images, HUB) for _, images in group)
        data = _parquet(tables)
        if count == 1 and not walk.tally.images:
            return set()
        name = f"{DATA}/train-{number:05d}-of-{count:05d}.parquet"
        storage.write_bytes(storage.join(out, name), data)
        written.add(name)
    return written


def _parquet(tables: Iterator[pa.Table]) -> bytes:
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, HUB, compression="zstd", write_page_index=True) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=_GROUP)
    return buffer.getvalue()
