"""Which columns of a Parquet file hold the image, its id, and what is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from recaption import notices
from recaption.config import SourceConfig, nearest
from recaption.parquet.values import is_bytes, is_list, is_text
from recaption.sources.base import BrokenShard
from recaption.sources.image_text import is_packed_text, say_text
from recaption.text import printable

_IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "content")
_ID_NAMES = ("key", "id", "uid", "image_id", "__key__")
_LEAST_IMAGE = 64  # bytes of fixed size, below which they are a hash
_MOST_FIELDS = 1000  # columns read besides the image; a row makes as many values

Peek = Callable[[str], str]
"""Returns the first text of a column that is text, "" if it has none."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are read; `id` is "" where rows are counted.

    `part` is the number of the image's bytes where its column is a struct, `path` of their path.
    """

    image: str
    id: str
    fields: tuple[str, ...]
    part: int = -1
    path: int = -1


def find_columns(
    schema: pa.Schema,
    source: SourceConfig,
    shard: str,
    peek: Peek,
    labels: Collection[str] = (),
) -> Columns:
    """Choose image, id and field columns by the source's wishes, else by type and name.

    `labels` are columns whose numbers have names. Raises BrokenShard.
    """
    wish = _named(schema, source.image_column, "image_column", shard)
    image = wish or _find_image(schema, shard, peek)
    kind = schema.field(image).type if schema.names.count(image) == 1 else pa.null()
    _check_image(image, kind, shard, peek)
    identity = _named(schema, source.id_column, "id_column", shard) or _find_id(schema)
    asked = {
        _named(schema, _top(schema, source.alt_text_column), "alt_text_column", shard),
        _named(schema, _top(schema, source.class_column), "class_column", shard),
        *labels,
    }
    times = Counter(schema.names)
    found = [f.name for f in schema if f.name in asked or _is_small(f.type)]
    fields = _bounded([name for name in found if name != image and times[name] == 1], asked, shard)
    if pa.types.is_struct(kind):
        return Columns(image, identity, fields, _bytes_in(kind), kind.get_field_index("path"))
    return Columns(image, identity, fields)


def _bounded(names: Sequence[str], asked: Collection[str], shard: str) -> tuple[str, ...]:
    if len(names) <= _MOST_FIELDS:
        return tuple(names)
    notices.note("columns left out, of tables with thousands", shard, len(names) - _MOST_FIELDS)
    return tuple(sorted(names, key=lambda name: name not in asked)[:_MOST_FIELDS])


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
            f" (columns: {_listed(schema.names)})"
        )
    return wish if wish in found else str(found[0])


def _find_image(schema: pa.Schema, shard: str, peek: Peek) -> str:
    """Return the struct column with bytes in it, else the bytes column of the best name.

    Else a column of text that is packed bytes. Raises BrokenShard where there is none, or several.
    """
    structs, plain = _structs(schema), _plain(schema)
    for names in (structs, plain):
        by_name = {name.lower(): str(name) for name in reversed(names)}
        named = next((by_name[name] for name in _IMAGE_NAMES if name in by_name), "")
        if named or len(names) == 1:
            return named or str(names[0])
    texts = {f.name.lower(): f.name for f in reversed(list(schema)) if is_text(f.type)}
    likely = [texts[name] for name in _IMAGE_NAMES if name in texts]
    packed = next((name for name in likely if is_packed_text(peek(name))), "")
    if not structs and not plain and packed:
        return str(packed)
    raise BrokenShard(f"{shard}: {_say_none(schema, structs or plain, likely, peek)}")


def image_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that may hold images by their type, the likeliest first."""
    return _structs(schema) or _plain(schema)


def _structs(schema: pa.Schema) -> list[str]:
    return [f.name for f in schema if pa.types.is_struct(f.type) and _bytes_in(f.type) >= 0]


def _plain(schema: pa.Schema) -> list[str]:
    return [f.name for f in schema if _may_be_image(f.type)]


def _say_none(schema: pa.Schema, several: Sequence[str], texts: Sequence[str], peek: Peek) -> str:
    """Say why no column was chosen: there are several, or what comes nearest is none."""
    if several:
        names = _listed(several)
        return f"several columns hold images: {names}; set source.image_column to one of them"
    lists = [f for f in schema if is_list(f.type) and _holds_images(f.type.value_type)]
    if lists:
        return _say_list(lists[0].name)
    if texts:
        return _say_not_bytes(texts[0], pa.string(), peek)
    return (
        f"no column holds images (columns: {_listed(schema.names)}); set source.image_column, or"
        " download the images first (img2dataset) if it has none"
    )


def _check_image(name: str, kind: pa.DataType, shard: str, peek: Peek) -> None:
    """Check that the image's column can hold one. Raises BrokenShard."""
    is_packed = is_text(kind) and is_packed_text(peek(name))
    if is_bytes(kind) or is_packed or (pa.types.is_struct(kind) and _bytes_in(kind) >= 0):
        return
    if pa.types.is_null(kind):
        raise BrokenShard(f"{shard}: column {printable(name)} is empty, or there more than once")
    if is_list(kind) and _holds_images(kind.value_type):
        raise BrokenShard(f"{shard}: {_say_list(name)}")
    raise BrokenShard(f"{shard}: {_say_not_bytes(name, kind, peek)}")


def _say_list(name: str) -> str:
    return f"{printable(name)} is a list of images; expected one a row: write the images as rows"


def _say_not_bytes(name: str, kind: pa.DataType, peek: Peek) -> str:
    shown = printable(name)
    if is_text(kind):
        return f"column {shown} {say_text(peek(name))}"
    is_number = _is_integer(kind) or pa.types.is_floating(kind)
    what = "a number" if is_number or pa.types.is_decimal(kind) else "not bytes"
    return (
        f"column {shown} is {what} ({printable(str(kind))[:80]}), expected the image's bytes:"
        " set source.image_column to the column that has them"
    )


def _listed(names: Sequence[str]) -> str:
    return printable(", ".join(names[:20]))[:600] or "none"


def _find_id(schema: pa.Schema) -> str:
    by_name = {f.name.lower(): f for f in reversed(list(schema))}
    for name in _ID_NAMES:
        if name in by_name and (is_text(by_name[name].type) or _is_integer(by_name[name].type)):
            return str(by_name[name].name)
    return ""


def _bytes_in(kind: pa.DataType) -> int:
    """Return which field of a struct has the bytes: `bytes`, or the only one there is; -1: none."""
    index = int(kind.get_field_index("bytes"))
    if index >= 0 and is_bytes(kind.field(index).type):
        return index
    found = [n for n in range(kind.num_fields) if _may_be_image(kind.field(n).type)]
    return found[0] if len(found) == 1 else -1


def _may_be_image(kind: pa.DataType) -> bool:
    """Say whether a type is bytes enough for an image."""
    is_short = pa.types.is_fixed_size_binary(kind) and kind.byte_width < _LEAST_IMAGE
    return is_bytes(kind) and not is_short


def _holds_images(kind: pa.DataType) -> bool:
    return _may_be_image(kind) or (pa.types.is_struct(kind) and _bytes_in(kind) >= 0)


def _is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind))


def _is_small(kind: pa.DataType) -> bool:
    if is_list(kind):
        return is_text(kind.value_type)
    is_number = _is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(is_number or is_text(kind))
