"""Reading a corpus back: committed parts only, as Arrow tables, by part or by sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from recaption.corpus.ledger import CommitRecord, Committed, Ledger
from recaption.corpus.manifest import Manifest, pick_version, read_manifest
from recaption.corpus.tables import read_captions, standing_rejects
from recaption.sample import Part


class CorpusReader:
    """One version of a corpus. What was not committed does not exist here."""

    def __init__(self, corpus: str, version: str = "", key: str = "--version") -> None:
        """Open a corpus; `version` is a fingerprint or the start of one, needed if there are two.

        `key` is how the user gives it. Raises RecipeError where there is no corpus or no such
        version.
        """
        self.corpus = corpus
        self.manifest: Manifest = read_manifest(corpus)
        self.fingerprint = pick_version(corpus, version, key)
        self.ledger = Ledger(corpus, self.fingerprint)

    def committed(self) -> Committed:
        """List the committed parts."""
        return self.ledger.committed()

    def records(self, part: Part | None = None) -> list[CommitRecord]:
        """Return the commit records of a part, or of all, replays after what they replay."""
        found = self.committed()
        if part is None:
            return list(self.ledger.records(found))
        listed = found.part(part.shard, part.index)
        return self.ledger.chain(listed, found.last_retry(listed) + 1)

    def captions(self, records: Iterable[CommitRecord] | None = None) -> pa.Table:
        """Return the captions of these commits (default: all) as one table, see CAPTIONS."""
        return read_captions(self.ledger, self._or_all(records))

    def rejects(self, records: Iterable[CommitRecord] | None = None) -> pa.Table:
        """Return the rejects that stand: a replay's take the place of its part's earlier ones."""
        return standing_rejects(self.ledger, self._or_all(records))

    def iter_parts(self) -> Iterator[tuple[Part, list[CommitRecord]]]:
        """Yield each part with its records, shard by shard, in order."""
        found = self.committed()
        records: list[CommitRecord] = []
        for record in self.ledger.records(found):
            if records and records[0].part.name != record.part.name:
                yield records[0].part, records
                records = []
            records.append(record)
        if records:
            yield records[0].part, records

    def _or_all(self, records: Iterable[CommitRecord] | None) -> Iterable[CommitRecord]:
        return self.ledger.records() if records is None else records
