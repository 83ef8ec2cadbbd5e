"""What a shell offers where a recipe, a key=value override or a style is expected.

Run at each press of the tab key: nothing here imports more than the command line has.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel

from recaption.config import Recipe
from recaption.recipes import names

_YAML = (".yaml", ".yml")


def complete_recipe(incomplete: str) -> list[str]:
    """Return the YAML files and folders whose paths begin so, and recipes of ours by name."""
    folder, _, start = incomplete.rpartition("/")
    shown = f"{folder}/" if folder or incomplete.startswith("/") else ""
    try:
        entries = sorted(os.scandir(Path(shown).expanduser() if shown else "."), key=_name)
    except OSError:
        return []
    found = [e for e in entries if e.name.startswith(start) and (start or e.name[0] != ".")]
    files = [shown + e.name for e in found if e.name.lower().endswith(_YAML)]
    folders = [f"{shown}{e.name}/" for e in found if e.is_dir()]
    return files + folders + [name for name in names("caption") if name.startswith(incomplete)]


def complete_override(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the keys of a recipe that begin so, and behind `key=` its choices.

    Bash makes three words of `key=value` where `=` parts words, and completes the last of them.
    """
    match [*(ctx.params.get("overrides") or []), incomplete]:
        case [*_, key, ""] if choices_of(key):
            return choices_of(key)
        case [*_, key, "=", start]:
            return [choice for choice in choices_of(key) if choice.startswith(start)]
    key, equals, start = incomplete.partition("=")
    if not equals:
        return [f"{name}=" for name in keys_of(Recipe) if name.startswith(key)]
    return [f"{key}={choice}" for choice in choices_of(key) if choice.startswith(start)]


def keys_of(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield the dotted keys of a recipe."""
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section is not None:
            yield from keys_of(section, f"{above}{name}.")
        else:
            yield above + name


def choices_of(key: str) -> list[str]:
    """Return the values that a key may have, or begin with, where they are few."""
    if key == "caption.styles":
        from recaption.prompts import built_in

        return [f"[{name}]" for name in built_in() if name[0] != "_" and "." not in name]
    kind: Any = Recipe
    for name in key.split("."):
        fields = kind.model_fields if _section(kind) else {}
        if name not in fields:
            return []
        kind = fields[name].annotation
    return list(_choices(kind))


def _choices(kind: Any) -> Iterator[str]:
    origin = get_origin(kind)
    if kind is bool:
        yield from ("true", "false")
    elif origin is Literal:
        yield from map(str, get_args(kind))
    elif origin is Annotated:
        yield from _choices(get_args(kind)[0])
    elif origin in (Union, types.UnionType):
        yield from (choice for one in get_args(kind) for choice in _choices(one))


def _section(kind: Any) -> type[BaseModel] | None:
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
