"""What a process of the engine's own said of why it died: its error is in no exception of ours.

vLLM's engine core is a child that writes into our standard output and error; in a worker of Ray
these are files. What was written since the boot began is searched for the last error.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from recaption.text import printable

_TAIL = 256 * 1024  # bytes that are searched
_ERROR = re.compile(r"(?:^|\s)((?:\w+\.)*\w*(?:Error|Exception|Interrupt)): (\S.*)$", re.M)
_NOTHING_NEW = re.compile(r"initialization failed|EngineDeadError|root cause|[Ss]ee stack trace")


class BootLog:
    """Remembers where the log stood when it was made."""

    def __init__(self) -> None:
        self._starts = {path: path.stat().st_size for path in _files()}

    def cause(self) -> str:
        """Return the last error that was written since, in one line; empty if there is none."""
        for path, start in self._starts.items():
            found = [
                f"{kind.rpartition('.')[2]}: {what}"
                for kind, what in _ERROR.findall(_read(path, start))
                if not _NOTHING_NEW.search(what)
            ]
            if found:
                return printable(found[-1])
        return ""


def _files() -> list[Path]:
    """The files behind standard error and output, where they are files and can be read."""
    paths = []
    for fd in (2, 1):
        try:
            path = Path(f"/proc/self/fd/{fd}").readlink()
            if path.is_file() and os.access(path, os.R_OK):
                paths.append(path)
        except OSError:  # no /proc here, or it was closed
            continue
    return list(dict.fromkeys(paths))


def _read(path: Path, start: int) -> str:
    try:
        with path.open("rb") as f:
            end = f.seek(0, os.SEEK_END)
            f.seek(max(start, end - _TAIL))
            return f.read().decode("utf-8", "replace")
    except OSError:
        return ""
