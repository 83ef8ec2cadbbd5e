"""A line per caption, with everything that the corpus knows of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from recaption.corpus.export.progress import Ticker
from recaption.corpus.export.rows import as_json, typed
from recaption.corpus.export.selection import Selection
from recaption.corpus.export.walk import Tally, choose
from recaption.corpus.joined import Rows
from recaption.corpus.reader import CorpusReader


def export_jsonl(
    reader: CorpusReader, out: BinaryIO, selection: Selection, ticker: Ticker | None = None
) -> Tally:
    """Write the captions chosen as JSON lines, part by part; return the counts.

    Order: shards, parts, then samples as in the shard, region, style, slot.
    """
    tally = Tally()
    for _, records in reader.iter_parts():
        chosen = choose(reader, records, selection, tally)
        for rows in chosen.values():
            out.write(lines(rows))
            tally.add(rows)
        if ticker:
            ticker.tick(sum(map(len, chosen.values())))
    return tally


def lines(rows: Rows) -> bytes:
    """Return rows of CAPTIONS as JSON lines in UTF-8."""
    texts: Iterable[str] = (as_json(typed(row)) for row in rows)
    return "".join(text + "\n" for text in texts).encode("utf-8", "replace")
