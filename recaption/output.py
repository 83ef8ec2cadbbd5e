"""Where a command writes one file: to be replaced only if it is there as such a file, or `-`."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from recaption import storage
from recaption.config import RecipeError
from recaption.storage.spelling import one_spelling

STDOUT = "-"
_HEAD = 4096  # bytes that tell what a file is


def spell(place: str, option: str) -> str:
    """Return a place named by an option or argument in its one spelling. Raises RecipeError."""
    try:
        return one_spelling(place)
    except ValueError as e:
        raise RecipeError(f"{option}: {e}") from e


def file_to_write(out: str, what: str, is_such: Callable[[bytes], bool]) -> str:
    """Return the url or path of a file to write, links followed; `-` stays.

    What is there already must be empty or begin as `is_such` says `what` does. Raises RecipeError
    where it is a folder, a device, a pipe or another file.
    """
    if out == STDOUT:
        return out
    path = spell(out, "--out")
    if not storage.is_remote(path):
        path = os.path.realpath(path)
        _check_is_file(out, path, what)
    if storage.exists(path):
        with storage.open_read(path) as file:
            head = file.read(_HEAD)
        if head and not is_such(head):
            raise RecipeError(
                f"--out {out}: there is another file of that name, and no {what}; give another"
                " name, or delete it"
            )
    return path


def _check_is_file(out: str, path: str, what: str) -> None:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError:
        return  # whatever is wrong is told when it is written
    if stat.S_ISREG(mode):
        return
    kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
    raise RecipeError(f"--out {out}: got {kind}, expected the name of {what}; - writes to stdout")
