"""Open Images V7: what people verified of an image, what machines guess, and where things are.

Images are named by their ImageID, 16 hex digits. The tables hold all images of a split: the large
ones are indexed once on each machine, see `openimages_tables`. A verified label with Confidence 1
is in the image, with 0 it was looked for and is not; labels of machines have fractions. A table may
be a pattern: `metadata/oidv7-*-annotations-human-imagelabels.csv`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import UNKNOWN, HintReader, Table, Tables
from recaption.datasets.index import Index
from recaption.datasets.openimages_objects import Box, describe
from recaption.datasets.openimages_tables import COLUMNS, index_table, load_classes, rows_of
from recaption.notices import note
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.text import printable

TABLES: tuple[Table, ...] = (
    Table("classes", "the class descriptions, oidv7-class-descriptions.csv"),
    Table("human_labels", "the verified labels, ...-annotations-human-imagelabels.csv"),
    Table("machine_labels", "the machine's labels, ...-annotations-machine-imagelabels.csv"),
    Table("boxes", "the boxes, ...-annotations-bbox.csv"),
    Table("images", "the images' titles and licences, ...-images-with-rotation.csv"),
)
_NEED_CLASSES = ("human_labels", "machine_labels", "boxes")
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Known:
    """The tables of a recipe, opened; an index is None where the recipe names no such table."""

    names: Mapping[str, str]
    indexes: Mapping[str, Index | None]
    min_score: float

    def rows(self, table: str, image_id: str) -> list[list[str]]:
        """Return what a table says of an image, without the id."""
        return rows_of(self.indexes[table], table, image_id) if image_id else []

    @property
    def has_tables(self) -> bool:
        """Whether the recipe names a table of images."""
        return any(self.indexes.values())

    def knows(self, image_id: str) -> bool:
        """Whether one of the tables tells something of an image."""
        return any(self.rows(table, image_id) for table in self.indexes)

    def distinct(self, labels: Iterable[str]) -> list[str]:
        """Return the names of labels, each once; a label without a name is left out."""
        return list(dict.fromkeys(filter(None, (self.names.get(label) for label in labels))))


def sample_id(sample: Sample) -> str:
    """Return the ImageID that the image's file is named by, "" for a file of another make."""
    stem = sample.stem
    return stem if _ID.fullmatch(stem) else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints. Raises RecipeError for an odd table."""
    for name in _NEED_CLASSES:
        if name in tables and "classes" not in tables:
            raise RecipeError(
                f"source.tables.{name}: got no source.tables.classes beside it, expected one: the"
                " table names classes by codes such as /m/01yrx"
            )
    names = load_classes(tables) if "classes" in tables else {}
    indexes = {name: index_table(tables, name) for name in COLUMNS}
    known = Known(names, indexes, source.min_label_score)
    return lambda sample: hints(sample, known)


def hints(sample: Sample, known: Known) -> Hints:
    """Return labels, boxes, title and credits of an image."""
    image_id = sample_id(sample)
    present, absent = _verified(known, image_id)
    title, credits = _about(known, image_id)
    objects = describe(_boxes(known, image_id))
    is_told = present or absent or title or objects or any(credits.values())
    if not is_told and known.has_tables and not known.knows(image_id):
        note(UNKNOWN, sample.sample_id)
    told = {name.casefold() for name in (*present, *absent)}
    guessed = [name for name in _guessed(known, image_id) if name.casefold() not in told]
    return Hints(
        alt_text=title,
        class_names=tuple(present),
        others=(
            *(Hint(HintKind.OBJECT, text, Trust.HIGH) for text in objects),
            *(Hint(HintKind.LABEL, name, Trust.MEDIUM) for name in guessed),
            *(Hint(HintKind.ABSENT, name, Trust.HIGH) for name in absent),
            *(Hint(kind, text, Trust.HIGH) for kind, text in credits.items() if text),
        ),
        class_trust=Trust.HIGH,
        source="openimages",
    )


def _verified(known: Known, image_id: str) -> tuple[list[str], list[str]]:
    """Return what is in the image, and what is not; what people disagree on is neither."""
    told: dict[str, set[float]] = {}
    for label, value in known.rows("human_labels", image_id):
        told.setdefault(label, set()).add(_number(value))
    present = known.distinct(label for label, values in told.items() if values == {1.0})
    absent = known.distinct(label for label, values in told.items() if values == {0.0})
    # Two classes may have one name, and then only one of them is absent.
    names = {name.casefold() for name in present}
    return present, [name for name in absent if name.casefold() not in names]


def _guessed(known: Known, image_id: str) -> list[str]:
    """Return the machine's labels that have the score, surest first."""
    scored = [(_number(value), label) for label, value in known.rows("machine_labels", image_id)]
    sure = [(score, label) for score, label in scored if score >= known.min_score]
    return known.distinct(label for _, label in sorted(sure, key=lambda pair: -pair[0]))


def _boxes(known: Known, image_id: str) -> Iterator[Box]:
    for label, *sides, is_group, is_depiction in known.rows("boxes", image_id):
        if name := known.names.get(label):
            left, right, top, bottom = map(_number, sides)
            yield Box(name, left, right, top, bottom, _is_set(is_group), _is_set(is_depiction))


def _about(known: Known, image_id: str) -> tuple[str, dict[HintKind, str]]:
    """Return title and credits."""
    rows = known.rows("images", image_id)
    title, licence, author, page = map(printable, rows[0]) if rows else ("",) * 4
    return title, {HintKind.LICENCE: licence, HintKind.AUTHOR: author, HintKind.PAGE: page}


def _is_set(flag: str) -> bool:
    """Whether a flag is 1; -1 stands for unknown."""
    return _number(flag) == 1


def _number(text: str) -> float:
    """Return a number, NaN for what is none: that is neither 0 nor 1, nor above a limit."""
    try:
        return float(text)
    except ValueError:
        return math.nan
