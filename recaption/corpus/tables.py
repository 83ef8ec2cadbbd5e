"""The data files of parts as Arrow tables, and which of their rejects stand."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import storage
from recaption.corpus.ledger import CommitRecord, Ledger
from recaption.corpus.schema import CAPTIONS, REJECTS
from recaption.text import printable

_SAMPLE_ID = pa.schema([CAPTIONS.field("sample_id")])


def read_captions(
    ledger: Ledger, records: Iterable[CommitRecord], schema: pa.Schema = CAPTIONS
) -> pa.Table:
    """Return the captions of these commits as one table: the columns of CAPTIONS, or some."""
    return _read(ledger, (r.captions_file for r in records), schema)


def captioned_samples(ledger: Ledger, records: Iterable[CommitRecord]) -> set[str]:
    """Return the ids of the samples that have a caption in these commits."""
    table = _read(ledger, (r.captions_file for r in records), _SAMPLE_ID)
    return set(table["sample_id"].to_pylist())


def standing_rejects(ledger: Ledger, records: Iterable[CommitRecord]) -> pa.Table:
    """Return the rejects that stand: a replay's take the place of its part's earlier ones.

    Of each part, `records` hold at least the newest one, and that last.
    """
    newest = {(r.shard, r.index): r.rejects_file for r in records}
    return _read(ledger, newest.values(), REJECTS)


def _read(ledger: Ledger, files: Iterable[str], schema: pa.Schema) -> pa.Table:
    """Read the columns of `schema` from data files; the file named '' is one without rows."""
    tables = [read_table(ledger.data_url(name), schema) for name in files if name]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def read_table(url: str, schema: pa.Schema) -> pa.Table:
    """Read the columns of `schema` from a data file. Raises StorageError where it is damaged."""
    file = pa.BufferReader(storage.read_bytes(url))
    try:
        # Not `read_table`, which goes through Arrow's datasets: twice as slow for small files,
        # whose columns threads only make slower.
        table = pq.ParquetFile(file).read(columns=schema.names, use_threads=False)
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, OSError, KeyError) as e:
        raise storage.StorageError(
            f"{url}: a data file of the corpus that is truncated or damaged"
            f" ({printable(str(e))[:200]}); restore it, or delete its commit record in commits/ and"
            " run again, which captions its part anew"
        ) from e
