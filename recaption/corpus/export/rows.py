"""Corpus rows as exports hold them: every key always there, every value always of one type.

Readers take the types of a set from its first samples (Hugging Face's `datasets` from five): a null
or an empty list there, and the first text behind it is an error. So what is not known is an empty
text, -1 of a count and 0.0 of a log-probability, a list without names holds one empty name, and
`hints` and `verdicts` are JSON within the JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from recaption import keyed
from recaption.corpus.export.names import plain
from recaption.corpus.joined import Rows
from recaption.corpus.schema import CAPTIONS
from recaption.sample import HintKind
from recaption.text import printable, without_controls

SHARED = (
    *("sample_id", "dataset", "shard", "key", "image_name", "image_sha256"),
    *("width", "height", "alt_text", "class_names"),
)
"""The columns in which the captions of an image do not differ."""

_CREDITS = (HintKind.LICENCE, HintKind.AUTHOR, HintKind.PAGE)
_AS_TEXT = frozenset(("hints", "verdicts"))
_LONGEST_KEY = 60  # characters of an id that its key shows; a tar's names have 100


def typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of CAPTIONS without nulls, control characters and what is no number."""
    return {field.name: _value(field, _fit(row[field.name])) for field in CAPTIONS}


def document_of(captions: Rows) -> dict[str, Any]:
    """Return what is known of an image, and under `captions` of each of its captions."""
    rows = [typed(row) for row in captions]
    return {
        **{name: rows[0][name] for name in SHARED},
        "captions": [{k: v for k, v in row.items() if k not in SHARED} for row in rows],
    }


def credits_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Return licence, author and page of a caption's image, empty where not known."""
    told = {hint["kind"]: hint["text"] for hint in reversed(row["hints"] or [])}
    return {str(kind): printable(told.get(kind) or "") for kind in _CREDITS}


def as_json(value: object) -> str:
    """Return a value as JSON, in which every reader takes every number and letter."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode()


def _fit(value: Any) -> Any:
    """Return what a corpus holds as an export may hold it, whoever wrote the corpus."""
    match value:
        case str():
            return without_controls(value)
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_fit(one) for one in value]
        case dict():
            return {key: _fit(one) for key, one in value.items()}
        case _:
            return value


def key_of(sample_id: str) -> str:
    """Return the name of a sample's files in an export: unique in it, and safe on any file system.

    ASCII letters, digits, `_` and `-`; at most 81 characters; where letters' case does not count,
    too. The id itself stands in the sample's JSON.
    """
    return f"{plain(sample_id, _LONGEST_KEY)}-{keyed.hexdigest('export', sample_id, length=20)}"


def _value(field: pa.Field, value: Any) -> Any:
    if field.name in _AS_TEXT:
        return as_json(value or [])
    if pa.types.is_list(field.type):
        return list(value or [""])
    if value is not None:
        return value
    if pa.types.is_integer(field.type):
        return -1
    return 0.0 if pa.types.is_floating(field.type) else ""
