"""A line per caption, with everything that the corpus knows of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import pyarrow as pa

from recaption.corpus.export.rows import as_json, typed
from recaption.corpus.reader import CorpusReader


def export_jsonl(reader: CorpusReader, out: BinaryIO, tick: Callable[[int], None]) -> int:
    """Write all captions as JSON lines, part by part; return how many. `tick` is told of each part.

    Order: shards, parts, then samples as in the shard, region, style, slot.
    """
    written = 0
    for _, records in reader.iter_parts():
        table = reader.captions(records).sort_by(
            [(name, "ascending") for name in ("ordinal", "region", "style", "slot")]
        )
        out.write(lines(table))
        written += table.num_rows
        tick(table.num_rows)
    return written


def lines(table: pa.Table) -> bytes:
    """Return a table as JSON lines in UTF-8."""
    rows = (as_json(typed(row)) for row in table.to_pylist())
    return "".join(row + "\n" for row in rows).encode("utf-8", "replace")
