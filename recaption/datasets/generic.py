"""Hints from data sets of no particular make: sidecar texts, JSON keys, columns, folder names.

Looked at in this order, the first that says something counts:

- alt-text: `source.alt_text_column`; the `.txt` beside the image; a column or JSON key named
  caption, captions, alt_text, alt-text, text, texts, alt, title, description (in any case); of a
  list the first that says something
- class names: `source.class_column`; the `.cls` beside the image; a column or JSON key named
  class_name, class, label_name, category, category_name, label; the folder's name where
  `source.class_from_folder` is set

A number is never a class name: it means something only with the data set's own table. Where a
Parquet file has that, the reader has added the name to the number's column as `COLUMN_name`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from recaption.config import SourceConfig
from recaption.datasets import HintReader, Table, Tables
from recaption.sample import Hints, Sample
from recaption.text import decode_text, lines_of, printable

_ALT_TEXT = (
    *("caption", "captions", "alt_text", "alt-text", "text", "texts", "alt", "title"),
    "description",
)
_CLASS = ("class_name", "class", "label_name", "category", "category_name", "label")

Fields = Mapping[str, object]

TABLES: tuple[Table, ...] = ()


def sample_id(sample: Sample) -> str:
    """Return "": the shard and the key are all there is."""
    return ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints."""
    return lambda sample: hints(sample, source)


def hints(sample: Sample, source: SourceConfig) -> Hints:
    """Return what the sample's surroundings say of its image."""
    return Hints(_alt_text(sample.fields, source), class_names(sample, source))


def _alt_text(fields: Fields, source: SourceConfig) -> str:
    if source.alt_text_column:
        return _first(_texts(look_up(fields, source.alt_text_column)))
    found = _first(_texts(fields.get("txt")))
    return found or _first(text for value in _named(fields, _ALT_TEXT) for text in _texts(value))


def class_names(sample: Sample, source: SourceConfig) -> tuple[str, ...]:
    """Return what the sample's surroundings call the thing in its image."""
    if source.class_column:
        found = _names(look_up(sample.fields, source.class_column))
        return found or _names(look_up(sample.fields, f"{source.class_column}_name"))
    found = _names(sample.fields.get("cls"))
    for value in _named(sample.fields, _CLASS):
        found = found or _names(value)
    if not found and source.class_from_folder:
        folder = sample.image_name.rpartition("/")[0].rpartition("/")[2]
        found = _names(folder.strip(".").replace("_", " "))
    return found


def look_up(fields: Fields, path: str) -> object:
    """Return what a dotted path leads to, in the fields or within "json"; None if nothing.

    Names are compared exactly, then in any case; a name may itself hold dots (`url.txt`). Text
    that is JSON is looked into.
    """
    found = _descend(fields, path)
    return _descend(fields.get("json"), path) if found is None else found


def _descend(value: object, path: str) -> object:
    if not path:
        return value
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        value = _parse(value)
    if not isinstance(value, Mapping):
        return None
    by_name = {str(name).lower(): name for name in reversed(list(value))}
    for name, rest in _splits(path):
        key = name if name in value else by_name.get(name.lower())
        if key is not None:
            found = _descend(value[key], rest)
            if found is not None:
                return found
    return None


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Yield ("a.b.c", ""), ("a.b", "c"), ("a", "b.c")."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        yield ".".join(parts[:end]), ".".join(parts[end:])


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _named(fields: Fields, names: tuple[str, ...]) -> Iterator[object]:
    """Yield the values of the names, in their order, from the columns and from the JSON."""
    json_fields = fields.get("json")
    if isinstance(json_fields, str) and json_fields.lstrip()[:1] == "{":
        json_fields = _parse(json_fields)
    places = [fields, json_fields] if isinstance(json_fields, Mapping) else [fields]
    lowered = [{str(n).lower(): v for n, v in reversed(list(p.items()))} for p in places]
    for name in names:
        for place in lowered:
            if name in place:
                yield place[name]


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in a value, white space made single; of numbers and the rest none."""
    if isinstance(value, bytes):
        value = decode_text(value)
    if isinstance(value, str):
        text = printable(value.replace("\0", "").removeprefix("\ufeff"))
        if text:
            yield text
    elif isinstance(value, (list, tuple)):
        for item in value:
            if isinstance(item, (str, bytes)):
                yield from _texts(item)
            elif isinstance(item, Mapping):  # [{"caption": "a cat", "score": 0.3}, ...]
                yield from _texts(_first(_plain_texts(item)))


def _plain_texts(item: Mapping[object, object]) -> Iterator[str]:
    """Yield the texts of one of several captions, which has its text beside other things."""
    lowered = {str(name).lower(): value for name, value in reversed(list(item.items()))}
    for name in (*_ALT_TEXT, "raw"):
        value = lowered.get(name)
        if isinstance(value, (str, bytes)):
            yield from _texts(value)


def _first(texts: Iterator[str]) -> str:
    return next(texts, "")


def _names(value: object) -> tuple[str, ...]:
    """Return the class names in a value, a text's lines each one, each once and no numbers."""
    if isinstance(value, bytes):
        value = decode_text(value)
    if isinstance(value, str):
        value = list(lines_of(value))
    found = (text for text in _texts(value) if not _is_number(text))
    return tuple(dict.fromkeys(found))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
