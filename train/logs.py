"""The log of a run: a line of JSON and TensorBoard scalars for each report, by images seen."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from recaption import storage
from recaption.storage import StorageError
from train.checkpoints import is_missing
from train.events import Events

LINES = "log.jsonl"
EVENTS = "events"


class RunLog:
    """Writes below a run's folder; for one that is remote, below a local one that is uploaded.

    A run that resumes at a checkpoint does some steps again: the lines and points behind it are
    dropped.
    """

    def __init__(self, out: str, images: int) -> None:
        self._out = out
        self._is_remote = storage.is_remote(out)
        self._scratch = tempfile.TemporaryDirectory() if self._is_remote else None
        self._folder = Path(self._scratch.name if self._scratch else out).expanduser()
        kept = [json.dumps(row) for row in read_rows(out) if row["images"] <= images]
        lines = storage.join(str(self._folder), LINES)
        storage.write_bytes(lines, "".join(f"{line}\n" for line in kept).encode())
        self._lines = Path(lines).open("a", encoding="utf-8")  # noqa: SIM115
        self._events = Events(str(self._folder / EVENTS), images)

    def write(self, images: int, values: Mapping[str, float], is_trained: bool = True) -> None:
        """Add values at a number of images seen: of training, or else of an evaluation."""
        row = {"images": images, **{name: round(value, 8) for name, value in values.items()}}
        self._lines.write(json.dumps(row) + "\n")
        self._lines.flush()
        self._events.write(images, values, is_trained)

    def grid(self, images: int, picture: Image.Image) -> None:
        """Show TensorBoard a grid of samples."""
        self._events.grid(images, picture)

    def texts(self, images: int, recipe: str, prompts: Sequence[str]) -> None:
        """Show TensorBoard the recipe, as YAML, and the prompts of the grid."""
        self._events.texts(images, recipe, prompts)

    def save(self) -> None:
        """Make what was written durable: flush it, and upload it where the run is remote."""
        self._lines.flush()
        self._events.flush()
        if not self._is_remote:
            return
        for path in sorted(p for p in self._folder.rglob("*") if p.is_file()):
            name = path.relative_to(self._folder).as_posix()
            storage.write_bytes(storage.join(self._out, name), path.read_bytes())

    def close(self) -> None:
        """Close the files."""
        self._lines.close()
        self._events.close()
        if self._scratch is not None:
            self._scratch.cleanup()


def read_lines(out: str) -> list[str]:
    """Return the whole lines of a run's log; the last one may have been cut by a kill."""
    try:
        text = storage.read_bytes(storage.join(out, LINES)).decode(errors="replace")
    except StorageError as e:
        if is_missing(e):
            return []
        raise
    return [line for line in text.split("\n")[:-1] if line]


def read_rows(out: str) -> list[dict[str, Any]]:
    """Return the rows of a run's log, but for what is none: a disk, or a stranger, wrote it."""
    rows = []
    for line in read_lines(out):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("images"), int):
            rows.append(row)
    return rows
