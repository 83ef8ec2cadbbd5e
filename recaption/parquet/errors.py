"""What is wrong with a Parquet file, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from recaption.storage import StorageError
from recaption.text import printable


class DamagedFile(ValueError):
    """A Parquet file that cannot be read; the message says what was got and what was expected."""


class TooDense(Exception):
    """A batch would take more memory than it may: `rows` at once are few enough."""

    def __init__(self, rows: int) -> None:
        """Take the number of rows that a batch may have."""
        super().__init__(f"at most {rows} rows at once")
        self.rows = rows


def no_parquet(reason: str) -> DamagedFile:
    """Return the error of a file that cannot be read at all."""
    return DamagedFile(f"not a Parquet file, or a damaged or truncated one ({reason})")


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn whatever pyarrow raises into a DamagedFile; storage's own errors pass."""
    try:
        yield
    except (StorageError, DamagedFile, TooDense, AttributeError, NameError):  # the last: bugs
        raise
    except Exception as error:  # of a fuzzed file: Arrow's, ValueError, OverflowError, MemoryError
        reason = printable(str(error))[:300] or type(error).__name__
        raise no_parquet(reason) from error
