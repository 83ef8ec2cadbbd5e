"""Names of class labels that Hugging Face writes into a Parquet file, beside the columns.

The footer's key `huggingface` has, as JSON, info.features.COLUMN of the type ClassLabel with its
`names`; a label is its name's place among them. (huggingface/datasets, features/features.py)
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from recaption.parquet.values import is_list
from recaption.text import printable

_KEY = b"huggingface"
_SUFFIX = "_name"
_FIRST = ("label", "class", "category", "fine_label", "labels", "classes", "categories")
_LIMIT = 8 << 20  # bytes of the key's value


@dataclass(frozen=True, slots=True)
class LabelNames:
    """The names of each column's labels, in order; `first` is the column that says most."""

    by_column: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    first: str = ""

    @property
    def columns(self) -> Collection[str]:
        """The columns with names."""
        return self.by_column.keys()

    def named(self, fields: dict[str, object]) -> dict[str, object]:
        """Return a row's fields with the names of its labels added, as COLUMN_name.

        Those of the first column are `label_name` too, which all adapters look for.
        """
        for column, names in self.by_column.items():
            found = _names(fields.get(column), names)
            if found:
                fields.setdefault(f"{column}{_SUFFIX}", found if len(found) > 1 else found[0])
                if column == self.first:
                    fields.setdefault(f"label{_SUFFIX}", fields[f"{column}{_SUFFIX}"])
        return fields


def read_label_names(metadata: Mapping[bytes, bytes], schema: pa.Schema) -> LabelNames:
    """Return the names that a file has for its labels; none for what is laid out otherwise."""
    raw = metadata.get(_KEY, b"")
    try:
        features = json.loads(raw)["info"]["features"] if len(raw) <= _LIMIT else {}
    except (ValueError, RecursionError, KeyError, TypeError):
        return LabelNames()
    if not isinstance(features, dict):
        return LabelNames()
    of_labels = {f.name for f in schema if _is_label(f.type)}
    pairs = ((str(name), _class_names(feature)) for name, feature in features.items())
    found = {name: names for name, names in pairs if names and name in of_labels}
    by_name = {name.lower(): name for name in reversed(list(found))}
    first = next((by_name[name] for name in _FIRST if name in by_name), "")
    return LabelNames(found, first or (next(iter(found)) if len(found) == 1 else ""))


def _is_label(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind.value_type if is_list(kind) else kind))


def _class_names(feature: object) -> tuple[str, ...]:
    """Return the names of a ClassLabel, or of a list of them, however it is written."""
    for _ in range(3):
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        elif isinstance(feature, dict) and isinstance(feature.get("names"), list):
            names = feature["names"]
            return tuple(printable(name) if isinstance(name, str) else "" for name in names)
        elif isinstance(feature, dict):
            feature = feature.get("feature")
    return ()


def _names(value: object, names: tuple[str, ...]) -> list[str]:
    """Return the names of a label, or of several; -1 is of an image that has none."""
    labels = value if isinstance(value, list) else [value]
    places = [n for n in labels if isinstance(n, int) and not isinstance(n, bool)]
    return [names[n] for n in places if 0 <= n < len(names) and names[n]]
