"""A corpus opened to be read by a user's program: what was committed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from recaption.api.samples import CaptionedImage, captioned_images
from recaption.config import Recipe, RecipeError, nearest
from recaption.corpus.ledger import CommitRecord
from recaption.corpus.manifest import read_recipe
from recaption.corpus.reader import CorpusReader
from recaption.corpus.regions import RegionLedger
from recaption.corpus.schema import CAPTIONS
from recaption.corpus.tables import read_captions
from recaption.output import spell
from recaption.status import corpus_status

if TYPE_CHECKING:
    import pandas as pd

    from recaption.parquet.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Counts:
    """What a version of a corpus holds. `samples` = `captioned` + `rejected`, all of them images.

    `rejects` counts rejected images and rejected captions by reason.
    """

    parts: int
    samples: int
    captioned: int
    rejected: int
    captions: int
    rejects: dict[str, int]


def open_corpus(path: str | Path, version: str = "") -> Corpus:
    """Open a corpus, on disk or S3; `version` is a fingerprint or its start, if it has several.

    Raises RecipeError where there is no corpus or no such version, StorageError where it cannot be
    read.
    """
    return Corpus(path, version)


class Corpus:
    """One version of a corpus, as it was when its files were first asked for.

    A run may go on writing meanwhile: open it again to see more.
    """

    def __init__(self, path: str | Path, version: str = "") -> None:
        self._reader = CorpusReader(spell(str(path), "path"), version, "version")

    def __repr__(self) -> str:
        return f"Corpus({self.path!r}, version={self.fingerprint!r})"

    @property
    def path(self) -> str:
        """Where it is: an absolute path, or a url."""
        return self._reader.corpus

    @property
    def fingerprint(self) -> str:
        """The name of its version: a hash of all that decided its captions."""
        return self._reader.fingerprint

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that made it, without passwords and keys."""
        return read_recipe(self.path, self.fingerprint)

    @cached_property
    def files(self) -> list[str]:
        """The Parquet files of the committed captions, each a path or url; see `dataset`.

        A glob over the folder would also find what killed or running jobs have not committed.
        """
        return [self._url(one.captions_file) for one in self._records if one.captions_file]

    @cached_property
    def reject_files(self) -> list[str]:
        """The Parquet files of the rejects that stand: of a part asked again the newest."""
        newest = {(one.shard, one.index): one.rejects_file for one in self._records}
        return [self._url(name) for name in newest.values() if name]

    @cached_property
    def region_files(self) -> list[str]:
        """The Parquet files of captions of crops, which training asks for; same columns."""
        names = RegionLedger(self.path, self.fingerprint).committed_files()
        return sorted(map(self._url, names))

    def counts(self) -> Counts:
        """Add up the commit records."""
        found = corpus_status(self._reader)
        return Counts(
            parts=found.parts,
            samples=found.read,
            captioned=found.captioned,
            rejected=found.rejected,
            captions=found.captions,
            rejects=dict(found.rejects),
        )

    def dataset(self) -> Dataset:
        """Return the captions as a pyarrow.dataset: read when it is scanned, by column and filter.

        For DuckDB, Polars and others that take one; local or S3, with the settings of `recaption`.
        """
        from recaption.parquet.dataset import open_dataset

        return open_dataset(self.files, CAPTIONS)

    def arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the captions as one Arrow table, a row each, or some of its columns."""
        return read_captions(self._reader.ledger, self._records, _fields(columns))

    def rejects(self) -> pa.Table:
        """Return the rejects that stand as one Arrow table."""
        return self._reader.rejects(self._records)

    def pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the captions as a data frame, a row each, or some of its columns."""
        return self.arrow(columns).to_pandas()

    def samples(self) -> Iterator[CaptionedImage]:
        """Yield each image with its captions, hints and rejects, in the order of the shards.

        One part is held at a time. Raises StorageError where a file is damaged.
        """
        for _, records in self._reader.iter_parts():
            captions = self._reader.captions(records).to_pylist()
            yield from captioned_images(captions, self._reader.rejects(records).to_pylist())

    @cached_property
    def _records(self) -> list[CommitRecord]:
        return self._reader.records()

    def _url(self, name: str) -> str:
        return self._reader.ledger.data_url(name)


def _fields(columns: Sequence[str] | None) -> pa.Schema:
    """Return the schema of some columns, or of all. Raises RecipeError for an unknown one."""
    if columns is None:
        return CAPTIONS
    for name in columns:
        if name not in CAPTIONS.names:
            raise RecipeError(f"columns: a corpus has no {name!r}{nearest(name, CAPTIONS.names)}")
    return pa.schema([CAPTIONS.field(name) for name in columns])
