"""Checkpoints of a run: written whole or not at all, on local disk or S3, and which ones stay.

First the data, under a name that no other attempt uses, then a small record that names it. Readers
see records only; data without a record is what a killed run left, and is removed.

    checkpoints/000000012800-4f1c2a9b.pt     weights, averages, moments, images seen
    checkpoints/000000012800.json            the record: images, data file, metrics, recipe
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch

from recaption import storage
from recaption.config import RecipeError
from recaption.notices import note
from recaption.storage import StorageError, Trouble
from recaption.text import printable
from train.config import CheckpointConfig

FOLDER = "checkpoints"
DAMAGED = "checkpoints that cannot be read; the one before counts"
"""The kind of notice."""

_RECORD = re.compile(r"\d{12}\.json")
_DATA = re.compile(r"\d{12}-[0-9a-f]+\.pt")


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a checkpoint without reading it."""

    images: int
    data: str
    size: int
    blake2b: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    time: float = 0.0

    @property
    def name(self) -> str:
        """The record's file name."""
        return f"{self.images:012d}.json"

    @classmethod
    def from_json(cls, text: bytes) -> Record:
        """Read a record. Raises ValueError where it is none."""
        try:
            row = json.loads(text)
            made = cls(**{f.name: row[f.name] for f in fields(cls) if f.name in row})
            is_one = (
                isinstance(made.images, int)
                and isinstance(made.size, int)
                and isinstance(made.recipe, dict)
                and _DATA.fullmatch(made.data) is not None
                and all(isinstance(value, int | float) for value in made.metrics.values())
            )
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as e:
            raise ValueError(f"not the record of a checkpoint: {printable(str(e))[:200]}") from e
        if not is_one:
            raise ValueError("not the record of a checkpoint")
        return made


class Checkpoints:
    """The checkpoints of a run's folder."""

    def __init__(self, out: str, config: CheckpointConfig | None = None) -> None:
        self._out = out
        self._folder = storage.join(out, FOLDER)
        self._config = config or CheckpointConfig()

    def records(self) -> list[Record]:
        """Return the records of checkpoints that are there whole, oldest first.

        One that is cut short or whose record is damaged is passed over and noted, as long as there
        is another. Raises RecipeError where there is none.
        """
        names = set(storage.list_own(self._out, FOLDER))
        whole: list[Record] = []
        damaged: list[str] = []
        for name in sorted(name for name in names if _RECORD.fullmatch(name)):
            try:
                record = self._read_record(name)
                if record.data in names:
                    self._check_size(record)
                    whole.append(record)
            except RecipeError as e:
                damaged.append(str(e))
        if damaged and not whole:
            raise RecipeError(damaged[-1])
        for why in damaged:
            note(DAMAGED, why)
        return whole

    def latest(self) -> Record | None:
        """Return the record of the checkpoint with the most images seen."""
        records = self.records()
        return records[-1] if records else None

    def load_latest(self) -> tuple[Record, dict[str, Any]] | None:
        """Return the last checkpoint that can be read, None where there is none yet.

        Those behind it are noted. Raises RecipeError where none can be read.
        """
        why: RecipeError | None = None
        for record in reversed(self.records()):
            try:
                return record, self.load(record)
            except RecipeError as e:
                note(DAMAGED, str(e))
                why = e
        if why is not None:
            raise why
        return None

    def save(
        self,
        state: Mapping[str, Any],
        metrics: Mapping[str, float] | None = None,
        recipe: Mapping[str, Any] | None = None,
    ) -> Record:
        """Write a checkpoint, then remove those that need not stay and what killed runs left."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        data, images = buffer.getvalue(), int(state["images"])
        record = Record(
            images=images,
            data=f"{images:012d}-{uuid.uuid4().hex[:8]}.pt",
            size=len(data),
            blake2b=_digest(data),
            metrics=dict(metrics or {}),
            recipe=dict(recipe or {}),
            time=time.time(),
        )
        storage.write_bytes(storage.join(self._folder, record.data), data)
        line = json.dumps(asdict(record), indent=1).encode()
        storage.write_bytes(storage.join(self._folder, record.name), line)
        self._remove_the_rest()
        return record

    def load(self, record: Record) -> dict[str, Any]:
        """Return the state of a checkpoint. Raises RecipeError where its data is damaged."""
        url = storage.join(self._folder, record.data)
        data = storage.read_bytes(url)
        if (len(data), _digest(data)) != (record.size, record.blake2b):
            raise RecipeError(
                f"checkpoint {url} is damaged: got {len(data):,} bytes with digest"
                f" {_digest(data)}, expected {record.size:,} with {record.blake2b}; remove its"
                " record to go on from the one before"
            )
        try:
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except Exception as e:  # it is as it was written, but by no run of this program
            words = printable(str(e))[:200]
            raise RecipeError(f"checkpoint {url} holds more than weights: {words}") from e
        if not isinstance(state, dict) or not isinstance(state.get("nets"), dict):
            raise RecipeError(f"checkpoint {url} is of another program; give another out")
        return state

    def _check_size(self, record: Record) -> None:
        """Raise RecipeError where a checkpoint is cut short."""
        url = storage.join(self._folder, record.data)
        size = storage.info(url).size
        if size not in (record.size, None):
            raise RecipeError(
                f"checkpoint {url} is damaged: it has {size:,} bytes, expected {record.size:,};"
                " remove its record, or give another out"
            )

    def _read_record(self, name: str) -> Record:
        url = storage.join(self._folder, name)
        try:
            return Record.from_json(storage.read_bytes(url))
        except StorageError:
            raise
        except ValueError as e:
            raise RecipeError(f"{url}: {e}; remove it, or give another out") from e

    def _remove_the_rest(self) -> None:
        """Delete records first, so that none is ever without its data, then unnamed data."""
        records = self.records()
        staying = stay(records, self._config)
        gone = [record.name for record in records if record not in staying]
        self._delete(gone)
        named = {record.data for record in staying}
        names = list(storage.list_own(self._out, FOLDER))
        unnamed = [name for name in names if _DATA.fullmatch(name) and name not in named]
        unfinished = [name for name in names if storage.is_temporary(name) and "/" not in name]
        self._delete(unnamed + unfinished)

    def _delete(self, names: Sequence[str]) -> None:
        storage.delete([storage.join(self._folder, name) for name in names])


def stay(records: Sequence[Record], config: CheckpointConfig) -> list[Record]:
    """Return the checkpoints that are kept: the last ones, the best one, one in so many images."""
    kept = {record.images for record in records[-config.keep :]}
    measured = [r for r in records if math.isfinite(r.metrics.get(config.best, math.inf))]
    if measured:
        kept.add(min(measured, key=lambda r: r.metrics[config.best]).images)
    if config.keep_every:
        passed: dict[int, int] = {}
        for record in records:
            passed.setdefault(record.images // config.keep_every, record.images)
        kept |= {images for mark, images in passed.items() if mark > 0}
    return [record for record in records if record.images in kept]


def find_checkpoint(place: str) -> tuple[Checkpoints, Record]:
    """Return the checkpoint that a record's path names, or the latest of a run's folder.

    Raises RecipeError where there is none.
    """
    folder, _, name = place.rstrip("/").rpartition("/")
    run = folder.removesuffix(f"/{FOLDER}") if folder != FOLDER else "."
    if not name.endswith((".json", ".pt")):
        record = Checkpoints(place).latest()
        if record is None:
            raise RecipeError(f"{place}: no checkpoint there; expected the folder of a run")
        return Checkpoints(place), record
    checkpoints = Checkpoints(run or "/")
    for record in checkpoints.records():
        if name in {record.name, record.data}:
            return checkpoints, record
    known = ", ".join(record.name for record in checkpoints.records()) or "none"
    raise RecipeError(f"{place}: no such checkpoint; there: {known}")


def is_missing(error: StorageError) -> bool:
    """Whether an error says that there is no such file."""
    return error.trouble is Trouble.MISSING


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
