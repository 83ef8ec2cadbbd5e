"""Open Images V7: what people verified of an image, what machines guess, and where things are.

Images are named by their ImageID, 16 hex digits. The tables hold all images of a split and have
gigabytes: each is indexed once. A label with Confidence 1 is in the image, with 0 it was looked for
and is not; labels of machines have fractions.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import HintReader, Table, Tables
from recaption.datasets.index import Index, open_index
from recaption.datasets.table_files import read_columns, values_of
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.sources.base import decode_text, printable

TABLES: tuple[Table, ...] = (
    Table("classes", "the class descriptions, oidv7-class-descriptions.csv"),
    Table("human_labels", "the verified image labels, ...-annotations-human-imagelabels.csv"),
    Table("machine_labels", "the machine's labels, ...-annotations-machine-imagelabels.csv"),
    Table("boxes", "the boxes, ...-annotations-bbox.csv"),
    Table("images", "the images' titles and licences, ...-images-with-rotation.csv"),
)

_NEED_CLASSES = ("human_labels", "machine_labels", "boxes")
_LABEL_COLUMNS = ("ImageID", "LabelName", "Confidence")
_BOX_COLUMNS = (
    *("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"),
    *("IsGroupOf", "IsDepiction"),
)
_IMAGE_COLUMNS = ("ImageID", "Title", "License", "Author", "OriginalLandingURL")
_ID = re.compile(r"[0-9a-f]{16}")
_VERSION = 1
_MOST_OBJECTS = 12
_MIDDLE = (0.37, 0.63)


def sample_id(sample: Sample) -> str:
    """Return the ImageID that the image's file is named by."""
    stem = PurePosixPath(sample.image_name or sample.key).name.partition(".")[0].lower()
    return stem if _ID.fullmatch(stem) else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints; makes the indexes that are not there."""
    for name in _NEED_CLASSES:
        if name in tables and "classes" not in tables:
            raise RecipeError(
                f"source.tables.{name} names classes by codes such as /m/01yrx:"
                " source.tables.classes is needed too"
            )
    reader = _Reader(
        names=_class_names(tables) if "classes" in tables else {},
        human=_index(tables, "human_labels", _LABEL_COLUMNS),
        machine=_index(tables, "machine_labels", _LABEL_COLUMNS),
        boxes=_index(tables, "boxes", _BOX_COLUMNS),
        images=_index(tables, "images", _IMAGE_COLUMNS),
        min_score=source.min_label_score,
    )
    return reader.hints


def _class_names(tables: Tables) -> dict[str, str]:
    """Return display names by label; the table has a header or none."""
    rows = list(csv.reader(decode_text(tables.bytes_of("classes")).splitlines()))
    if rows and [cell.strip() for cell in rows[0]] == ["LabelName", "DisplayName"]:
        rows = rows[1:]
    for row in rows:
        if len(row) != 2 or not row[0].startswith(("/m/", "/g/")):
            raise tables.fail("classes", f"the row {','.join(row)[:80]!r}", "/m/CODE,NAME")
    return {label: printable(name) for label, name in rows}


def _index(tables: Tables, name: str, columns: tuple[str, ...]) -> Index | None:
    if name not in tables:
        return None
    url = tables.path(name)
    try:
        return open_index(f"openimages-{name}", _VERSION, [url], lambda: read_columns(url, columns))
    except ValueError as e:
        raise RecipeError(f"source.tables.{name}: {e}") from e


@dataclass(frozen=True, slots=True)
class _Reader:
    """The tables of a recipe, opened."""

    names: dict[str, str]
    human: Index | None
    machine: Index | None
    boxes: Index | None
    images: Index | None
    min_score: float

    def hints(self, sample: Sample) -> Hints:
        """Return what the tables know of an image."""
        key = sample_id(sample) or sample.sample_id
        present, absent = self._verified(key)
        title, credits = self._about(key)
        others = [Hint(HintKind.ABSENT, name, Trust.HIGH) for name in absent]
        others += [Hint(HintKind.OBJECT, text, Trust.HIGH) for text in self._objects(key)]
        others += [
            Hint(HintKind.LABEL, name, Trust.MEDIUM) for name in self._guessed(key, present, absent)
        ]
        return Hints(title, tuple(present), (*others, *credits), Trust.HIGH, "openimages")

    def _rows(self, index: Index | None, key: str) -> list[list[str]]:
        return [values_of(row) for row in index.get(key)] if index is not None else []

    def _verified(self, key: str) -> tuple[list[str], list[str]]:
        """Return what is in the image, and what was looked for and is not."""
        labels = {label: _number(conf) for label, conf in self._rows(self.human, key)}
        present = [self._name(label) for label, conf in labels.items() if conf == 1]
        absent = [self._name(label) for label, conf in labels.items() if conf == 0]
        return _distinct(present), _distinct(absent)

    def _guessed(self, key: str, present: list[str], absent: list[str]) -> list[str]:
        """Return the machine's labels above the limit, surest first, that nobody verified."""
        scored = [(_number(conf), label) for label, conf in self._rows(self.machine, key)]
        sure = sorted((-score, label) for score, label in scored if score >= self.min_score)
        known = {*present, *absent}
        names = _distinct(self._name(label) for _, label in sure)
        return [name for name in names if name not in known]

    def _objects(self, key: str) -> list[str]:
        """Return counts and places: `3 x Dog`, `Dog at the left`, `a group of birds`."""
        single: dict[str, list[list[str]]] = {}
        told: list[str] = []
        for label, *box, is_group, is_depiction in self._rows(self.boxes, key):
            name = self._name(label)
            if is_group == "1":
                told.append(f"a group of {name} {_place(box)}".strip())
            elif is_depiction == "1":
                told.append(f"a picture of a {name} {_place(box)}".strip())
            elif name:
                single.setdefault(name, []).append(box)
        for name, found in single.items():
            many, one = f"{len(found)} x {name}", f"{name} {_place(found[0])}".strip()
            told.append(many if len(found) > 1 else one)
        return _distinct(told)[:_MOST_OBJECTS]

    def _about(self, key: str) -> tuple[str, list[Hint]]:
        rows = self._rows(self.images, key)
        if not rows:
            return "", []
        title, licence, author, page = (printable(value) for value in rows[0])
        found = ((HintKind.LICENCE, licence), (HintKind.AUTHOR, author), (HintKind.PAGE, page))
        return title, [Hint(kind, text, Trust.HIGH) for kind, text in found if text]

    def _name(self, label: str) -> str:
        return self.names.get(label, "")


def _place(box: list[str]) -> str:
    """Return where the middle of a box is: `at the top left`; empty for one that fills much."""
    x0, x1, y0, y1 = (_number(value) for value in box)
    if not (0 <= x0 < x1 <= 1.001 and 0 <= y0 < y1 <= 1.001):
        return ""
    if (x1 - x0) * (y1 - y0) > 0.5:
        return ""
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    row = "top" if y < _MIDDLE[0] else "bottom" if y > _MIDDLE[1] else ""
    column = "left" if x < _MIDDLE[0] else "right" if x > _MIDDLE[1] else ""
    side = " ".join(part for part in (row, column) if part)
    return f"at the {side}" if side else "in the middle"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def _distinct(names: Iterator[str] | list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name]
