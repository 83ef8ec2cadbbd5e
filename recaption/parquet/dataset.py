"""Parquet files as one Arrow dataset, by their plain types as all that is read through this door.

pyarrow opens the files of a dataset itself, from threads of its own. So it is given a file system
on which each file's claim of Arrow's types is hidden already; a file is fetched whole, in one
request: these are the small files of a corpus's parts. What a damaged page may ask for in memory is
not watched here, as it is by `PlainFile`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.dataset as ds
from fsspec import AbstractFileSystem
from pyarrow import fs
from pyarrow.dataset import Dataset as Dataset

from recaption import storage
from recaption.parquet.errors import DamagedFile
from recaption.parquet.file import read_footer
from recaption.storage.shown import without_secrets


def open_dataset(urls: Sequence[str], schema: pa.Schema) -> Dataset:
    """Return files anywhere, whose columns are those of `schema`, as one dataset; reads nothing."""
    return ds.FileSystemDataset.from_paths(
        list(urls),
        schema=schema,
        format=ds.ParquetFileFormat(),
        filesystem=fs.PyFileSystem(_PlainFiles()),
    )


class _PlainFiles(fs.FSSpecHandler):  # type: ignore[misc]
    """Our storage as pyarrow's file system: files are opened for reading, and nothing else."""

    def __init__(self) -> None:
        super().__init__(AbstractFileSystem())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _PlainFiles)

    def __hash__(self) -> int:
        return hash(_PlainFiles)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Return a file's content, its claim of Arrow's types hidden. Raises StorageError."""
        raw = storage.read_bytes(path)
        try:
            footer = read_footer(io.BytesIO(raw))
        except DamagedFile as e:
            raise storage.StorageError(f"{without_secrets(path)}: {e}") from e
        return pa.BufferReader(b"".join((raw[: -8 - len(footer)], footer, raw[-8:])))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        """Do the same."""
        return self.open_input_file(path)
