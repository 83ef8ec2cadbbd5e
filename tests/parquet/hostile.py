"""Parquet files of strangers: extension types that bring code, and bytes that ask for memory."""

from __future__ import annotations

import base64
import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PLACES = ("column", "struct", "list", "map", "dictionary", "deep")
"""Where in a column's type the extension type may stand."""


class Touch:
    """What unpickles into a file that was not there: the proof that code ran."""

    def __init__(self, marker: Path) -> None:
        self._marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._marker,)


def pickled(marker: Path) -> bytes:
    """Return a pickle that makes a folder of this name."""
    return pickle.dumps(Touch(marker))


def extension_types() -> dict[str, pa.DataType]:
    """Return every extension type that a process has which works with Ray Data."""
    import pandas.core.arrays.arrow.extension_types as pandas_types
    from ray.data._internal.object_extensions.arrow import ArrowPythonObjectType
    from ray.data._internal.tensor_extensions import arrow as tensors

    return {
        "pickled": ArrowPythonObjectType(),
        "tensor": tensors.ArrowTensorType((2,), pa.int64()),
        "tensor_v2": tensors.ArrowTensorTypeV2((2,), pa.int64()),
        "variable_tensor": tensors.ArrowVariableShapedTensorType(pa.int64(), 1),
        "period": pandas_types.ArrowPeriodType("D"),
        "interval": pandas_types.ArrowIntervalType(pa.int64(), "left"),
        "json": pa.json_(pa.string()),
        "uuid": pa.uuid(),
        "fixed_shape_tensor": pa.fixed_shape_tensor(pa.int64(), (2,)),
        "bool8": pa.bool8(),
        "opaque": pa.opaque(pa.binary(), "type", "vendor"),
    }


def storage_value(kind: pa.DataType, raw: bytes) -> Any:
    """Return a value of a storage type, `raw` where it can hold it."""
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return raw
    if pa.types.is_fixed_size_binary(kind):
        return bytes(kind.byte_width)
    if pa.types.is_string(kind):
        return "{}"
    if pa.types.is_struct(kind):
        fields = (kind.field(n) for n in range(kind.num_fields))
        return {field.name: storage_value(field.type, raw) for field in fields}
    if pa.types.is_nested(kind):
        return [1, 2]
    return 1


def nested(kind: pa.DataType, place: str) -> pa.DataType:
    """Return a type that has the given one somewhere in it."""
    return {
        "column": kind,
        "struct": pa.struct([("bytes", pa.binary()), ("path", kind)]),
        "list": pa.list_(kind),
        "map": pa.map_(pa.string(), kind),
        "dictionary": pa.dictionary(pa.int32(), kind),
        "deep": pa.list_(pa.struct([("a", pa.struct([("b", pa.list_(kind))]))])),
    }[place]


def nested_value(value: Any, place: str, image: bytes) -> Any:
    """Return a value of `nested`."""
    return {
        "column": value,
        "struct": {"bytes": image, "path": value},
        "list": [value],
        "map": [("a", value)],
        "dictionary": value,
        "deep": [{"a": {"b": [value]}}],
    }[place]


def write_claiming(
    table: pa.Table, types: dict[str, pa.DataType], metadata: dict[bytes, bytes] | None = None
) -> bytes:
    """Return a Parquet file whose Arrow schema claims other types than its columns have.

    So a file is made of what pyarrow does not write, and of what no library would.
    """
    fields = [
        pa.field(name, types.get(name, table.schema.field(name).type))
        for name in table.schema.names
    ]
    claimed = base64.b64encode(pa.schema(fields).serialize().to_pybytes())
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, table.schema.remove_metadata(), store_schema=False) as writer:
        writer.write_table(table.replace_schema_metadata(None))
        writer.add_key_value_metadata({b"ARROW:schema": claimed, **(metadata or {})})
    return buffer.getvalue()


def hostile_column(kind: pa.DataType, place: str, raw: bytes, image: bytes) -> pa.Array:
    """Return one row's storage for `nested(kind, place)`."""
    stored = kind.storage_type
    place_of = "column" if place == "dictionary" else place
    value = nested_value(storage_value(stored, raw), place, image)
    return pa.array([value], nested(stored, place_of))


def with_footer(data: bytes, footer: bytes) -> bytes:
    """Return a Parquet file with another footer."""
    length = struct.unpack("<I", data[-8:-4])[0]
    return data[: -8 - length] + footer + struct.pack("<I", len(footer)) + b"PAR1"
