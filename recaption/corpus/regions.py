"""Captions of regions: crops of captioned images, added to a version of a corpus while it is used.

    CORPUS/versions/FINGERPRINT/regions/captions/PART.UNIT.ATTEMPT.parquet
    CORPUS/versions/FINGERPRINT/regions/commits/PART/UNIT.json

A unit is what is asked of a part at once: one crop of each of its images, in the styles wanted;
its name says which. It is committed as a part is: the data file first, the record last and put if
absent, so that it is there whole or not at all and two writers cannot double it. Rows are CAPTIONS
rows whose region is not `full`; the fingerprint is the version's: same model, prompts and sampling.
"""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from recaption import storage
from recaption.corpus.ledger import in_threads, read_record
from recaption.corpus.rows import PartRows, Provenance
from recaption.corpus.schema import CAPTIONS
from recaption.corpus.sift import sifted, table_of
from recaption.corpus.tables import read_table
from recaption.parts import CaptionedPart
from recaption.sample import Part

_RECORD = re.compile(r"(?P<part>.+-\d{5,})/(?P<unit>[a-z0-9-]+)\.json")


@dataclass(frozen=True, slots=True)
class RegionRecord:
    """What a committed unit holds. `rejects` counts the captions that were left out, by reason."""

    part: str
    unit: str
    captions: int
    rejects: dict[str, int]
    captions_file: str
    fingerprint: str
    run_id: str


class RegionLedger:
    """The region captions of one version of a corpus."""

    def __init__(self, corpus: str, fingerprint: str) -> None:
        self._corpus = corpus
        self._folders = "versions", fingerprint, "regions"

    def committed(self) -> dict[str, set[str]]:
        """List the committed units of each part, by the part's name."""
        found: dict[str, set[str]] = {}
        for name in storage.list_own(self._corpus, *self._folders, "commits"):
            if match := _RECORD.fullmatch(name):
                found.setdefault(match["part"], set()).add(match["unit"])
        return found

    def of_part(self, part: Part) -> set[str]:
        """List the committed units of one part."""
        names = storage.list_own(self._corpus, *self._folders, "commits", part.name)
        return {name.removesuffix(".json") for name in names if not storage.is_temporary(name)}

    def has(self, part: Part, unit: str) -> bool:
        """Whether a unit is committed."""
        return storage.exists(self._record_url(part.name, unit))

    def commit(self, part: CaptionedPart, made_by: Provenance) -> RegionRecord:
        """Write a unit, file first; return the record that stands, ours or an earlier one's."""
        try:
            rows, table = _rows(part, made_by)
        except (ValueError, TypeError, OverflowError):  # of a value that no column holds
            rows, table = _rows(sifted(part, made_by), made_by)
        unit = part.unit
        name = f"captions/{part.part.name}.{unit}.{uuid.uuid4().hex[:12]}.parquet"
        if rows.captions:
            buffer = io.BytesIO()
            pq.write_table(table, buffer, compression="zstd")
            storage.write_bytes(self._data_url(name), buffer.getvalue())
        record = RegionRecord(
            part=part.part.name,
            unit=unit,
            captions=len(rows.captions),
            rejects=dict(sorted(rows.reasons.items())),
            captions_file=name if rows.captions else "",
            fingerprint=made_by.fingerprint,
            run_id=made_by.run_id,
        )
        data = json.dumps(asdict(record), indent=1).encode()
        if storage.put_if_absent(self._record_url(record.part, unit), data):
            return record
        with suppress(storage.StorageError):  # what stays is garbage, and the unit is committed
            storage.delete([self._data_url(name)] if rows.captions else [])
        return self.read(part.part, unit)

    def read(self, part: Part, unit: str) -> RegionRecord:
        """Read a unit's record. Raises StorageError, also where it is damaged."""
        return self._read(part.name, unit)

    def captions(self, part: Part, units: Iterable[str], schema: pa.Schema = CAPTIONS) -> pa.Table:
        """Return the captions of a part's units as one table: the columns of CAPTIONS, or some."""
        records = [self.read(part, unit) for unit in sorted(units)]
        files = [record.captions_file for record in records if record.captions_file]
        tables = [read_table(self._data_url(name), schema) for name in files]
        return pa.concat_tables(tables) if tables else schema.empty_table()

    def committed_files(self) -> set[str]:
        """Return the names of the data files that a record names, below the version's folder."""
        pairs = [(part, unit) for part, units in self.committed().items() for unit in units]
        records = in_threads(lambda pair: self._read(*pair), pairs)
        return {f"regions/{r.captions_file}" for r in records if r.captions_file}

    def _read(self, part: str, unit: str) -> RegionRecord:
        return read_record(self._record_url(part, unit), RegionRecord)

    def _record_url(self, part: str, unit: str) -> str:
        return storage.own(self._corpus, *self._folders, "commits", part, f"{unit}.json")

    def _data_url(self, name: str) -> str:
        return storage.own(self._corpus, *self._folders, name)


def _rows(part: CaptionedPart, made_by: Provenance) -> tuple[PartRows, pa.Table]:
    rows = PartRows(part, made_by)
    return rows, table_of(rows.captions, CAPTIONS)
