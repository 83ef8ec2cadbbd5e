"""Files of a corpus that say what no run writes: damaged, or made to break a reader."""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from typing import Any, NoReturn, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from recaption import storage
from recaption.config import RecipeError
from recaption.storage.shown import without_secrets
from recaption.text import printable

log = logging.getLogger(__name__)

_LARGEST = 64 << 20  # bytes of a JSON file

T = TypeVar("T")


def read_json(url: str) -> dict[str, Any]:
    """Read a JSON file of a corpus. Raises StorageError, also where it is no mapping."""
    raw = storage.read_bytes(url, most=_LARGEST)
    try:
        data = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        raise damaged(url, e) from e
    if not isinstance(data, dict):
        raise damaged(url, f"a {type(data).__name__}, expected a mapping")
    return data


def read_as(url: str, kind: type[T]) -> T:
    """Read a JSON file into a dataclass, all of whose keys and types must fit; no number below 0.

    Raises StorageError.
    """
    data = read_json(url)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    try:
        if unknown := data.keys() - known:
            raise ValueError(f"unknown key {min(unknown)}")
        if any(isinstance(value, int | float) and value < 0 for value in data.values()):
            raise ValueError("a number below 0")
        found: T = _adapter(cast(Hashable, kind)).validate_python(data)
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise damaged(url, f"{where}: {first['msg']}" if where else first["msg"]) from e
    except ValueError as e:
        raise damaged(url, e) from e
    return found


def damaged(url: str, why: object) -> storage.StorageError:
    """Return the error of a file of a corpus that cannot be what a run wrote."""
    told = "nested too deeply" if isinstance(why, RecursionError) else printable(str(why))[:300]
    return storage.StorageError(
        f"damaged corpus file {printable(without_secrets(url))}: {told}; it is not as a run of this"
        " program writes it: restore it, or leave this corpus alone if it is a stranger's"
    )


@contextmanager
def whole(corpus: str) -> Iterator[None]:
    """Turn whatever a corpus's content makes a reader raise into one line that names the corpus."""
    try:
        yield
    except (storage.StorageError, RecipeError):
        raise
    except Exception as e:
        log.debug("a corpus cannot be read", exc_info=True)
        raise damaged(corpus, f"{type(e).__name__}: {e}") from e


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
