"""What killed runs leave behind: data files that no commit record names, unfinished writes.

Only regular files that are in the corpus themselves, under the names that a run gives them, are
ever taken for garbage: a corpus may come from a stranger, with links that lead out of it.
"""

from __future__ import annotations

import re

from recaption import storage
from recaption.corpus.ledger import Ledger
from recaption.corpus.manifest import list_versions, read_manifest
from recaption.corpus.regions import RegionLedger

_UNFINISHED = re.compile(r"(?:(?:recipes|runs|versions)/(?:.+/)?)?[^/]+")
_DATA = re.compile(r"(?:captions|rejects|regions/captions)/.+-\d{5,}\.(?:[a-z0-9-]+\.)*parquet")


def find_garbage(corpus: str) -> list[str]:
    """Return the URLs of data files without a commit record.

    While a run is at work those of the parts it is just writing are among them.
    """
    read_manifest(corpus)
    # Files first: one whose record comes while we look must not seem to have none.
    names = list(storage.list_own(corpus))
    found = [n for n in names if storage.is_temporary(n) and _UNFINISHED.fullmatch(n)]
    for version in list_versions(corpus):
        folder = f"versions/{version}/"
        below = (name.removeprefix(folder) for name in names if name.startswith(folder))
        files = [name for name in below if _DATA.fullmatch(name)]
        records = Ledger(corpus, version).records()
        named = {f for r in records for f in (r.captions_file, r.rejects_file)}
        named |= RegionLedger(corpus, version).committed_files()
        found += [folder + file for file in files if file not in named]
    return [storage.own(corpus, name) for name in found]


def remove_garbage(corpus: str) -> int:
    """Remove a corpus's garbage; return how many files. Raises StorageError while a run is live."""
    from recaption.status import read_runs

    read_manifest(corpus)
    live = read_runs(corpus)[1]
    if live:
        raise storage.StorageError(
            f"{corpus}: run {live[0]['run_id']} on {live[0]['host']} is at work; clean when it has"
            " ended, since its unfinished parts look like garbage"
        )
    garbage = find_garbage(corpus)
    storage.delete(garbage)
    return len(garbage)
