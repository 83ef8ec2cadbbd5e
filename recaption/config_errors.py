"""What is wrong with a recipe, for its user: the key, what was expected, what may be meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return ', did you mean X?' for the choice nearest to `name`, or ''."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f", did you mean {close[0]}?" if close else ""


def explain(error: ValidationError, root: type[BaseModel]) -> Iterator[str]:
    """Yield a line per wrong key; of a key with alternatives, what each of them expects."""
    by_key: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for one in error.errors(include_url=False):
        by_key.setdefault(_keys_of(dict(one)), []).append(dict(one))
    for keys, errors in by_key.items():
        key = ".".join(keys)
        if any(other[: len(keys)] == keys and other != keys for other in by_key):
            continue  # a list with a wrong item: the item's line tells
        if len(errors) == 1:
            yield _explain(keys, errors[0], root)
        else:
            expected = dict.fromkeys(_expected(one) for one in errors)
            yield f"{key}: expected {' or '.join(expected)}, got {_shown(errors[0]['input'])}"


_SHOWN = 120  # characters of a wrong value
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "some text",
    "list_type": "a list",
    "too_short": "at least one",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "key: value lines",
    "model_type": "a section of key: value lines",
}
"""What pydantic's kinds of errors say of the value expected."""


def _expected(error: dict[str, Any]) -> str:
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"]).replace("'", "")
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return _EXPECTED.get(error["type"], message)


def _explain(where: tuple[str, ...], error: dict[str, Any], root: type[BaseModel]) -> str:
    key = ".".join(where)
    kind, got = error["type"], error.get("input")
    if kind == "extra_forbidden":
        section, dot, name = where[-1].partition(".")
        if dot and len(where) == 1 and section in _sections(root):
            return f"{key}: in a file write it as `{section}:` with `{name}:` below it"
        keys = sorted(_section(root, where[:-1]))
        close = _elsewhere(root, where[-1]) or nearest(where[-1], keys)
        return f"{_shown_key(key)}: no such key{close} (keys: {', '.join(keys)})"
    if kind == "missing":
        return f"{key}: missing; give it in the recipe or as {_first_key(root, key)}=VALUE"
    if kind == "value_error":
        message = _expected(error)
        return message if key in {"recipe", *_sections(root)} else f"{key}: {message}"
    close = ""
    if kind == "literal_error":
        close = nearest(str(got), _expected(error).replace(" or ", ", ").split(", "))
    elif kind == "string_type" and isinstance(got, int | float):
        close = "; put it in quotes to mean text"
    return f"{key}: expected {_expected(error)}, got {_shown(got)}{close}"


def _elsewhere(root: type[BaseModel], name: str) -> str:
    """Return ', did you mean SECTION.name?' for a key that another section has."""
    found = [section for section, model in _sections(root).items() if name in model.model_fields]
    return f", did you mean {found[0]}.{name}?" if len(found) == 1 else ""


def _first_key(root: type[BaseModel], key: str) -> str:
    """Return the key itself, or of a section one that it cannot do without."""
    section = _sections(root).get(key)
    if section is None:
        return key
    needed = [name for name, field in section.model_fields.items() if field.is_required()]
    return f"{key}.{needed[0] if needed else 'model'}"


def _sections(root: type[BaseModel]) -> dict[str, type[BaseModel]]:
    types = {name: field.annotation for name, field in root.model_fields.items()}
    return {n: t for n, t in types.items() if isinstance(t, type) and issubclass(t, BaseModel)}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _shown_key(key: str) -> str:
    return key if len(key) <= _SHOWN else f"{key[:_SHOWN]}…"


def _keys_of(error: dict[str, Any]) -> tuple[str, ...]:
    """Return the keys that lead to what is wrong."""
    *path, last = error["loc"] or ("recipe",)
    ends = [] if _is_branch(last) and error["type"] != "extra_forbidden" else [last]
    return tuple(str(part) for part in (*filter(lambda p: not _is_branch(p), path), *ends))


def _is_branch(part: object) -> bool:
    """Pydantic names the branch of a union in the location: not a part of the key."""
    text = str(part)
    return text in {"str", "int", "float"} or text.startswith("constrained-") or "[" in text


def _section(root: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    """Return the keys of the section that a path of keys leads to."""
    model: Any = root
    for name in path:
        model = model.model_fields[name].annotation
    return list(model.model_fields)
