"""Tables too large for memory, indexed once on disk: from a key to the rows that belong to it.

An index is an SQLite file in a cache folder ($RECAPTION_CACHE, by default ~/.cache/recaption), made
by the first process of a machine that needs it, while the others wait. Its name holds what it was
made of: path, size and version of each file, and how rows are read. It gets that name only when it
is whole and on the disk, so that what a killed process leaves is never taken for one. Reading it
costs some ten microseconds a key and next to no memory; its pages are shared between the processes.

Rows that come near each other under one key, as most tables have them, are kept as one: with eight
rows a key the file is a third as large. A table sorted by key (WITHOUT ROWID) was tried: where rows
come in no order it answers 2 to 3 times as fast, but takes half again as long to make, and room for
three copies; in the tables' own order nothing is gained.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import cast

from recaption import keyed, storage

log = logging.getLogger(__name__)

_FORMAT = 2  # of the file
_BATCH = 20_000  # rows within which those of one key are brought together
_PAGES_KIB = 16_384  # memory for pages, and for each run of the sort
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
        query = "SELECT value FROM rows WHERE key = ? ORDER BY rowid"
        try:
            packed = self._open().execute(query, (key,)).fetchall()
        except UnicodeEncodeError:  # half a character: no table has such a key
            return []
        return [value for (one,) in packed for value in _unpack(one)]

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._pid != os.getpid():
            url = f"{self._file.absolute().as_uri()}?mode=ro&immutable=1"
            self._connection = sqlite3.connect(url, uri=True, check_same_thread=False)
            self._pid = os.getpid()
        return self._connection


def open_index(name: str, version: int, urls: Sequence[str], rows: Callable[[], Rows]) -> Index:
    """Return the index called `name` of some files, making it from `rows()` if it is not there.

    Raise `version` when `rows` reads them in another way. Raises ValueError where there is no room.
    """
    infos = [storage.info(url) for url in urls]
    made_of = json.dumps([_FORMAT, version, *([i.url, i.size, i.version] for i in infos)])
    file = cache_folder() / "index" / f"{name}-{keyed.hexdigest('index', made_of)}.sqlite"
    if not file.exists():
        with _alone(file):
            if not file.exists():
                _make(file, rows)
    return Index(file)


def cache_folder() -> Path:
    """Return the folder for what can be made again."""
    given = os.environ.get("RECAPTION_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "recaption"


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold the lock of an index, waiting for it; a process that dies lets it go."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_suffix(".lock").open("w")
    except OSError as error:
        raise _no_place(file, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another process makes it, waiting", file.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(file: Path, rows: Callable[[], Rows]) -> None:
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    try:
        count = _build(unfinished, rows())
        _flush(unfinished)
        unfinished.replace(file)
        _flush(file.parent)
    except sqlite3.OperationalError as error:
        raise _no_place(file, error) from error
    finally:
        unfinished.unlink(missing_ok=True)
    log.info("%s: %d rows, %.0f MiB", file.name, count, file.stat().st_size / 2**20)


def _build(file: Path, rows: Rows) -> int:
    """Write the rows into a new file, all in one transaction; return how many there were."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(
            f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-{_PAGES_KIB};"
            "CREATE TABLE rows (key TEXT, value); BEGIN;"
        )
        rest, count = iter(rows), 0
        while batch := list(islice(rest, _BATCH)):
            connection.executemany("INSERT INTO rows VALUES (?, ?)", _packed(batch))
            count += len(batch)
        connection.execute("CREATE INDEX by_key ON rows (key)")  # sorts outside of memory
        connection.execute("COMMIT")
    return count


def _packed(batch: Rows) -> Iterator[tuple[str, str | bytes]]:
    """Yield each key once: one value as text, several as bytes, which hold a JSON list."""
    by_key: dict[str, list[str]] = {}
    for key, value in batch:
        by_key.setdefault(key, []).append(value)
    for key, values in by_key.items():
        yield key, values[0] if len(values) == 1 else json.dumps(values).encode()


def _unpack(packed: str | bytes) -> list[str]:
    return [packed] if isinstance(packed, str) else cast(list[str], json.loads(packed))


def _flush(path: Path) -> None:
    """Have a file's content, or a folder's names, outlive a power cut."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _no_place(file: Path, error: Exception) -> ValueError:
    return ValueError(
        f"the index {file.name} cannot be made in {file.parent}: {error}; expected a folder that"
        " can be written to, with room for about the size of the table, and half of that in"
        " $SQLITE_TMPDIR (/var/tmp): free some, or set RECAPTION_CACHE to another folder"
    )
