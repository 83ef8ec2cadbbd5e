"""Recipes as files: YAML plus `key=value` overrides from the command line, checked."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from recaption.config import STORED, Recipe, RecipeError
from recaption.config_errors import explain
from recaption.recipe_yaml import RecipeYamlError, field_of, read_value, read_yaml, write_yaml
from recaption.recipes import find_recipe, missing_recipe
from recaption.storage.shown import settings_without_secrets

_LARGEST = 4 * 2**20  # bytes
_SHOWN = 200  # characters of an override
_SHELL = (
    "where the shell made several words of one (it does with *, ? or {a,b} in it, and at a space),"
    " put quotes around it"
)

_KINDS = {
    "caption": ({"source", "engine", "corpus"}, "caption recipe", "recaption caption RECIPE"),
    "train": ({"data", "images", "out", "model"}, "training recipe", "python -m train RECIPE"),
    "compare": ({"base", "arms", "metric"}, "comparison", "python -m train compare FILE"),
}
"""By name: keys that tell the kind of a recipe, what it is called, and the command it is for."""


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe, by name or path, apply `key=value` overrides, check it. Raises RecipeError."""
    file = find_recipe(path, "caption")
    text = read_recipe_file(file, "caption")
    data = parse_yaml(text, str(file))
    check_kind(data, "caption", str(file))
    return parse_recipe(apply_overrides(data, overrides), name=str(file))


def read_recipe_file(file: Path, kind: str) -> bytes:
    """Read a recipe, if it may be one by its size. Raises RecipeError."""
    try:
        with file.open("rb") as f:
            text = f.read(_LARGEST + 1)
    except OSError as e:
        raise missing_recipe(file, kind, e) from e
    if len(text) > _LARGEST:
        raise RecipeError(f"{file}: larger than {_LARGEST >> 20} MiB: not a recipe")
    return text


def parse_yaml(text: bytes, name: str, model: type[BaseModel] = Recipe) -> dict[str, Any]:
    """Read the sections of a recipe of this kind, unchecked; `name` is the file's.

    Raises RecipeError.
    """
    is_utf16 = text[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        data = read_yaml(text.decode("utf-16" if is_utf16 else "utf-8-sig"), model)
    except RecipeYamlError as e:
        is_wrong = " is given twice" in str(e)
        raise RecipeError(f"{name}: {'' if is_wrong else 'not a YAML file: '}{e}") from e
    except UnicodeDecodeError as e:
        raise RecipeError(f"{name}: not a YAML file: {e}") from e
    if data is not None and not isinstance(data, dict):
        raise RecipeError(f"{name}: expected `section: ...` lines, got a {type(data).__name__}")
    return data or {}


def check_kind(data: Mapping[str, Any], wanted: str, name: str) -> None:
    """Raise RecipeError where a recipe is of another kind: caption, train or compare."""
    told = {kind: len(keys & data.keys()) for kind, (keys, _, _) in _KINDS.items()}
    best = max(told, key=lambda kind: told[kind])
    if told[wanted] == 0 and told[best] > 1:
        _, what, command = _KINDS[best]
        raise RecipeError(
            f"{name}: a {what}, expected a {_KINDS[wanted][1]}; it is for `{command}`"
        )


def parse_recipe(data: Mapping[str, Any], name: str = "recipe", is_stored: bool = False) -> Recipe:
    """Check a recipe given as nested dicts. Raises RecipeError that names every wrong key.

    `is_stored`: it was resolved when it was written, so that no variable is looked up again.
    """
    try:
        return Recipe.model_validate(data, context=STORED if is_stored else None)
    except ValidationError as e:
        raise RecipeError(f"{name}: " + "; ".join(explain(e, Recipe))) from e


def apply_overrides(
    data: Mapping[str, Any], overrides: Iterable[str], model: type[BaseModel] = Recipe
) -> dict[str, Any]:
    """Return `data` with each `a.b=value` set, read by the type that `model` gives the key.

    Text is taken as it stands, lists and sections are YAML. Raises RecipeError, also for a key
    that is given twice.
    """
    given = [(override, *_split(override)) for override in overrides]
    _check_given_once([(key, raw) for _, key, raw in given])
    result: dict[str, Any] = _plain(data)
    for override, key, raw in given:
        *parents, last = key.split(".")
        node, kind = result, model
        for parent in parents:
            if node.get(parent) is None:
                node[parent] = {}
            node, kind = node[parent], field_of(kind, parent)
            if not isinstance(node, dict):
                raise RecipeError(f"override {_cut(override)}: {parent} is a value, not a section")
        try:
            node[last] = read_value(raw, field_of(kind, last))
        except RecipeYamlError as e:
            raise RecipeError(f"override {_cut(override)}: not YAML: {e}") from e
    return result


def in_layers(*layers: Iterable[str]) -> list[str]:
    """Return overrides of which a later layer's take the place of an earlier one's.

    Raises RecipeError for a key that one layer gives twice.
    """
    found: dict[str, str] = {}
    for layer in layers:
        given = [(override, *_split(override)) for override in layer]
        _check_given_once([(key, raw) for _, key, raw in given])
        for override, key, _ in given:
            found.pop(key, None)  # behind what it may be a part of
            found[key] = override
    return list(found.values())


def to_yaml(recipe: BaseModel) -> str:
    """Write the resolved recipe, all defaults filled in, without passwords, tokens, signatures."""
    return write_yaml(settings_without_secrets(recipe.model_dump(mode="json")))


def _split(override: str) -> tuple[str, str]:
    """Split an override into key and value."""
    key, equals, raw = override.partition("=")
    if not equals or not all(key.split(".")):
        hint = f"; {_SHELL}" if override and not equals else ""
        raise RecipeError(f"override {_cut(override)}: expected key=value, such as seed=1{hint}")
    return key, raw


def _check_given_once(given: list[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    for key, raw in given:
        inner = next((one for one in first if one.startswith(f"{key}.")), None)
        if inner is not None:
            raise RecipeError(
                f"{key} is given behind {inner}, which it would undo; turn them round"
            )
        if key in first:
            values = [value for one, value in given if one == key]
            raise RecipeError(
                f"{key} is given {'twice' if len(values) == 2 else f'{len(values):,} times'}, first"
                f" as {_cut(values[0])}, last as {_cut(values[-1])}: give it once; {_SHELL}, as in"
                f" '{key}=...'"
            )
        first[key] = raw


def _cut(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _plain(value: Any) -> Any:
    """Return a copy with keys as text, and as text too what is of no type of JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)
