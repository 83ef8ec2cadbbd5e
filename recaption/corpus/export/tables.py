"""Images with their captions as Arrow tables, for Parquet, the hub and Lance."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from recaption.corpus.export.rows import as_json, credits_of, document_of, key_of
from recaption.corpus.export.walk import Chosen

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_COMMON = [
    ("sample_id", pa.string()),
    ("image", _IMAGE),
    ("text", pa.string()),  # the first caption
    ("captions", pa.list_(pa.string())),
    ("alt_text", pa.string()),
    ("class_names", pa.list_(pa.string())),
]
_PUBLISHED = [
    *_COMMON,
    ("styles", pa.list_(pa.string())),  # of the captions
    ("width", pa.int32()),  # pixels, upright
    ("height", pa.int32()),
    ("licence", pa.string()),
    ("author", pa.string()),
    ("page", pa.string()),
]
_NAMES = {pa.string(): "string", pa.int32(): "int32", pa.binary(): "binary"}


def _with_features(columns: list[tuple[str, pa.DataType]]) -> pa.Schema:
    """Return a schema that tells Hugging Face's `datasets` which column is an image."""
    features = {name: _feature(kind) for name, kind in columns}
    return pa.schema(columns, {"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if kind == _IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):  # what releases before 4 call a List
        return {"feature": _feature(kind.value_type), "_type": "Sequence"}
    return {"dtype": _NAMES[kind], "_type": "Value"}


PARQUET = _with_features([*_COMMON, ("provenance", pa.string())])
"""`provenance` is JSON: all captions with all columns."""

HUB = _with_features(_PUBLISHED)
LANCE = pa.schema(
    [(name, pa.large_binary() if name == "image" else kind) for name, kind in _PUBLISHED],
    {"recaption.export": "lance"},
)


def table_of(images: list[Chosen], schema: pa.Schema) -> pa.Table:
    """Return images as a table of one of the schemas above."""
    is_plain = schema.field("image").type != _IMAGE
    rows = [_row(one, "provenance" in schema.names) for one in images]
    if is_plain:
        rows = [row | {"image": row["image"]["bytes"]} for row in rows]
    return pa.Table.from_pylist(rows, schema=schema)


def described(one: Chosen) -> dict[str, Any]:
    """Return what published sets tell of an image besides its pixels."""
    return _described(one, document_of(one.captions))


def _described(one: Chosen, document: dict[str, Any]) -> dict[str, Any]:
    captions = document["captions"]
    return {
        "text": captions[0]["caption"],
        "captions": [row["caption"] for row in captions],
        "styles": [row["style"] for row in captions],
        **{name: document[name] for name in ("alt_text", "class_names", "width", "height")},
        **credits_of(one.captions[0]),
        "sample_id": document["sample_id"],
    }


def _row(one: Chosen, has_provenance: bool) -> dict[str, Any]:
    document = document_of(one.captions)
    row = _described(one, document)
    row["class_names"] = one.captions[0]["class_names"] and row["class_names"]
    row["image"] = {"bytes": one.image, "path": f"{key_of(one.sample_id)}.{one.suffix}"}
    if has_provenance:
        row["provenance"] = as_json(document)
    return row
