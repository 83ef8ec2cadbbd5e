"""Pl@ntNet-300K: the species of each image, from its folder, and the organ it shows.

Images lie at `images/SPLIT/SPECIES_ID/HASH.jpg` (older copies: `images_train/SPECIES_ID/...`). The
table `species` turns the id into a name; `metadata` adds the organ and whom to credit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

from recaption.config import SourceConfig
from recaption.datasets import UNKNOWN, HintReader, Table, Tables
from recaption.datasets.index import Index, Rows, open_index
from recaption.notices import note
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.text import printable

TABLES: tuple[Table, ...] = (
    Table("species", "plantnet300K_species_id_2_name.json"),
    Table("metadata", "plantnet300K_metadata.json (version 1.1 has the right one)"),
)
_VERSION = 1  # of the index
_HASH = re.compile(r"[0-9a-f]{32,64}")
_KEPT = ("species_id", "organ", "author", "license")
_ORGANS = {  # what people said the photo shows; `other` says nothing
    "leaf": "the plant's leaf",
    "flower": "the plant's flower",
    "fruit": "the plant's fruit",
    "bark": "the plant's bark",
    "habit": "the whole plant",
}

Entry = Mapping[str, object]


def sample_id(sample: Sample) -> str:
    """Return the image's hash, which is its file's name; "" for a file of another make."""
    stem = sample.stem
    return stem if _HASH.fullmatch(stem) else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints. Raises RecipeError for an odd table."""
    names = _names(tables) if "species" in tables else {}
    index: Index | None = None
    if "metadata" in tables:
        urls = [tables.path("metadata")]
        index = open_index("plantnet", _VERSION, urls, lambda: _rows(tables))
    return lambda sample: hints(sample, names, index)


def hints(sample: Sample, names: Mapping[str, str], index: Index | None) -> Hints:
    """Return species, organ and credits of an image."""
    found = index.get(printable(sample.stem)) if index else []
    entry = cast(Entry, json.loads(found[0])) if found else {}
    # The folder first: the species in the metadata of version 1.0 are partly wrong.
    folder = (sample.image_name or sample.key).rpartition("/")[0].rpartition("/")[2]
    name = names.get(folder) or names.get(_text(entry.get("species_id")), "")
    if (names and not name) or (index and not found):
        note(UNKNOWN, sample.sample_id)
    return Hints(
        class_names=(name,) if name else (),
        class_trust=Trust.HIGH,
        others=tuple(_others(entry)),
        source="plantnet",
    )


def _others(entry: Entry) -> Iterator[Hint]:
    texts = {
        HintKind.OBJECT: _ORGANS.get(_text(entry.get("organ")).lower(), ""),
        HintKind.LICENCE: _text(entry.get("license")),
        HintKind.AUTHOR: _text(entry.get("author")),
    }
    return (Hint(kind, text, Trust.HIGH) for kind, text in texts.items() if text)


def _names(tables: Tables) -> dict[str, str]:
    """Return the names by species id. Raises RecipeError."""
    table = _load(tables, "species")
    names = {key: printable(name) for key, name in table.items() if isinstance(name, str)}
    if not names:
        expected = 'names by species id, {"1355868": "Lactuca virosa L.", ...}'
        raise tables.fail("species", _describe(table), expected)
    return names


def _rows(tables: Tables) -> Rows:
    """Yield the rows of the index. Raises RecipeError."""
    table = _load(tables, "metadata")
    if not any(isinstance(item, dict) and set(_KEPT) & item.keys() for item in table.values()):
        expected = f'entries by image hash, {{"HASH": {{{", ".join(_KEPT)}, ...}}, ...}}'
        raise tables.fail("metadata", _describe(table), expected)
    for key, item in table.items():
        if isinstance(item, dict):
            yield printable(key), json.dumps({name: item.get(name) for name in _KEPT})


def _load(tables: Tables, name: str) -> dict[str, object]:
    expected = "a JSON object, as Pl@ntNet-300K version 1 has it (version 2 has other tables)"
    try:
        table = json.loads(tables.bytes_of(name).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        got = f"what is no JSON ({printable(str(error))})"
        raise tables.fail(name, got, expected) from error
    if not isinstance(table, dict):
        raise tables.fail(name, f"a JSON {type(table).__name__}", expected)
    return table


def _describe(table: Mapping[str, object]) -> str:
    first = next(iter(table.items()), None)
    return "an empty object" if first is None else f"{first[0]!r}: {str(first[1])[:80]!r}"


def _text(value: object) -> str:
    """Return text, or a whole number, as one line; of anything else nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return printable(value) if isinstance(value, str) else ""
