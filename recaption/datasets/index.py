"""Tables too large for memory, indexed once on disk: from a key to the rows that belong to it.

An index is an SQLite file in a cache folder ($RECAPTION_CACHE, by default ~/.cache/recaption), made
by the first process of a machine that needs it, while the others wait. Its name holds what it was
made of: path, size and version of each file, and how rows are read. Reading it costs a few
microseconds a key and next to no memory; its pages are shared between the processes.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from recaption import keyed, storage

log = logging.getLogger(__name__)

_BATCH = 50_000
Rows = Iterable[tuple[str, str]]
"""Key and value of each row; a key may come many times."""


class Index:
    """Looks rows up by key."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._pid = 0
        self._connection: sqlite3.Connection | None = None

    def get(self, key: str) -> list[str]:
        """Return the values of a key, in the order of the table; none for an unknown one."""
        rows = self._open().execute("SELECT value FROM rows WHERE key = ? ORDER BY rowid", (key,))
        return [value for (value,) in rows]

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._pid != os.getpid():
            url = f"file:{self._file}?mode=ro&immutable=1"
            self._connection = sqlite3.connect(url, uri=True, check_same_thread=False)
            self._pid = os.getpid()
        return self._connection


def open_index(name: str, version: int, urls: Sequence[str], rows: Callable[[], Rows]) -> Index:
    """Return the index called `name` of some files, making it from `rows()` if it is not there.

    Raise `version` when `rows` reads them in another way.
    """
    folder = cache_folder() / "index"
    folder.mkdir(parents=True, exist_ok=True)
    infos = [storage.info(url) for url in urls]
    made_of = json.dumps([version, *([i.url, i.size, i.version] for i in infos)])
    file = folder / f"{name}-{keyed.hexdigest('index', made_of)}.sqlite"
    if not file.exists():
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                _build(file, rows())
    return Index(file)


def cache_folder() -> Path:
    """Return the folder for what can be made again."""
    given = os.environ.get("RECAPTION_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "recaption"


def _build(file: Path, rows: Rows) -> None:
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    count = 0
    with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;"
            "CREATE TABLE rows (key TEXT, value TEXT); BEGIN;"
        )
        batch: list[tuple[str, str]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                connection.executemany("INSERT INTO rows VALUES (?, ?)", batch)
                count += len(batch)
                batch.clear()
        connection.executemany("INSERT INTO rows VALUES (?, ?)", batch)
        connection.execute("CREATE INDEX by_key ON rows (key)")
        connection.execute("COMMIT")
    log.info("%s: %d rows", file.name, count + len(batch))
    unfinished.replace(file)
