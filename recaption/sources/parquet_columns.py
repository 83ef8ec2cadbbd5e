"""Which columns of a Parquet file hold the image, its id, and what is told of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from recaption.config import SourceConfig, nearest
from recaption.sources.base import BrokenShard

_IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "content")
_ID_NAMES = ("key", "id", "uid", "image_id", "__key__")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are read; `id` is "" where rows are counted."""

    image: str
    id: str
    fields: tuple[str, ...]


def find_columns(schema: pa.Schema, source: SourceConfig, shard: str) -> Columns:
    """Choose image, id and field columns by the source's wishes, else by type and name."""
    image = _named(schema, source.image_column, "image_column", shard) or _find_image(schema)
    if not image:
        names = ", ".join(schema.names[:20])
        hint = "set source.image_column, or download the images first (img2dataset) if it has none"
        raise BrokenShard(f"{shard}: no column holds images (columns: {names}); {hint}")
    identity = _named(schema, source.id_column, "id_column", shard) or _find_id(schema)
    asked = {
        _named(schema, _top(schema, source.alt_text_column), "alt_text_column", shard),
        _named(schema, _top(schema, source.class_column), "class_column", shard),
    }
    times = Counter(schema.names)
    fields = [f.name for f in schema if f.name in asked or _is_small(f.type)]
    return Columns(image, identity, tuple(n for n in fields if n != image and times[n] == 1))


def _top(schema: pa.Schema, wish: str) -> str:
    """Return the column of a dotted wish such as `json.caption`."""
    return wish if wish in schema.names else wish.partition(".")[0]


def _named(schema: pa.Schema, wish: str, option: str, shard: str) -> str:
    if not wish:
        return ""
    found = [name for name in schema.names if name.lower() == wish.lower()]
    if not found:
        close = nearest(wish, schema.names)
        raise BrokenShard(
            f"{shard}: source.{option}={wish} is not among its columns{close}"
            f" (columns: {', '.join(schema.names[:20])})"
        )
    return wish if wish in found else str(found[0])


def _find_image(schema: pa.Schema) -> str:
    """Return the struct column with bytes in it, else the bytes column of the best name."""
    structs = [f.name for f in schema if pa.types.is_struct(f.type) and _holds_image(f.type)]
    plain = [f.name for f in schema if _is_bytes(f.type)]
    for names in (structs, plain):
        by_name = {name.lower(): str(name) for name in reversed(names)}
        named = next((by_name[name] for name in _IMAGE_NAMES if name in by_name), "")
        if named or len(names) == 1:
            return named or str(names[0])
    return ""


def _find_id(schema: pa.Schema) -> str:
    by_name = {f.name.lower(): f for f in reversed(list(schema))}
    for name in _ID_NAMES:
        if name in by_name and (_is_text(by_name[name].type) or _is_integer(by_name[name].type)):
            return str(by_name[name].name)
    return ""


def _holds_image(kind: pa.DataType) -> bool:
    index = kind.get_field_index("bytes")
    return index >= 0 and _is_bytes(kind.field(index).type)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if isinstance(kind, pa.BaseExtensionType):  # such as arrow.json
        kind = kind.storage_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind))


def _is_small(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_text(kind.value_type)
    is_number = _is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(is_number or _is_text(kind))
