"""What killed runs leave behind: data files that no commit record names, unfinished writes."""

from __future__ import annotations

from recaption import storage
from recaption.corpus.ledger import Ledger
from recaption.corpus.manifest import list_versions, read_manifest
from recaption.corpus.regions import RegionLedger


def find_garbage(corpus: str) -> list[str]:
    """Return the URLs of data files without a commit record.

    While a run is at work those of the parts it is just writing are among them.
    """
    read_manifest(corpus)
    found = [
        storage.join(corpus, name)
        for name in storage.list_names(corpus)
        if storage.is_temporary(name)
    ]
    for version in list_versions(corpus):
        ledger = Ledger(corpus, version)
        # Files first: one whose record comes while we look must not seem to have none.
        files = [
            f"{folder}/{name}"
            for folder in ("captions", "rejects")
            for name in storage.list_names(storage.join(ledger.folder, folder))
            if not storage.is_temporary(name)
        ]
        named = {f for r in ledger.records() for f in (r.captions_file, r.rejects_file)}
        found += [ledger.data_url(file) for file in files if file not in named]
        regions = RegionLedger(corpus, version)
        files_of_regions = regions.files()  # first, as above
        found += sorted(files_of_regions - regions.committed_files())
    return found


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
