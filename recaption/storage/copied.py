"""A stream that only goes forward, copied to a temporary file where it must be read from its end.

What a web server without ranges sends may have no end: the copy is limited, and never takes the
last of the disk that other readers need as well.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from recaption.storage.diagnosis import Trouble
from recaption.storage.errors import StorageError, too_long
from recaption.storage.shown import without_secrets
from recaption.text import printable

MOST_COPIED = 8 << 30  # bytes of a file whose server does not tell how long it is
KEPT_FREE = 1 << 30  # bytes of the disk
_SPOOLED = 64 << 20  # bytes that stay in memory
_PIECE = 1 << 20


@contextmanager
def seekable(stream: BinaryIO, url: str) -> Iterator[BinaryIO]:
    """Yield a stream that was opened for reading, or a copy of one that only goes forward.

    Raises StorageError where the copy has no end, or no room.
    """
    if stream.seekable():
        yield stream
        return
    told: int | None = getattr(getattr(stream, "raw", None), "total", None)
    most = MOST_COPIED if told is None else told
    with tempfile.SpooledTemporaryFile(_SPOOLED) as copy:
        copied = 0
        while piece := stream.read(_PIECE):
            copied += len(piece)
            if copied > most:
                raise too_long(url, most)
            if copied > _SPOOLED and copied % _SPOOLED < _PIECE:
                _check_room(url)
            copy.write(piece)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def _check_room(url: str) -> None:
    folder = tempfile.gettempdir()
    if shutil.disk_usage(folder).free < KEPT_FREE:
        raise StorageError(
            f"could not read {printable(without_secrets(url))}: its server sends whole files only,"
            f" and {folder} has no room for a copy. Set TMPDIR to a larger disk, or copy the file"
            " to local disk or S3 first.",
            Trouble.FULL,
        )
