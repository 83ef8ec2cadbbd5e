"""Recipes as files: YAML plus `key=value` overrides from the command line, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from recaption.config import Recipe, RecipeError, nearest
from recaption.config_errors import explain


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a YAML recipe, apply `key=value` overrides, check it. Raises RecipeError."""
    file = Path(path)
    try:
        text = file.read_bytes()
    except OSError as e:
        raise RecipeError(_missing_recipe(file, e)) from e
    return parse_recipe(apply_overrides(parse_yaml(text, str(file)), overrides), name=str(file))


def parse_yaml(text: bytes, name: str) -> dict[str, Any]:
    """Read the sections of a recipe, unchecked; `name` is the file's. Raises RecipeError."""
    try:
        data = yaml.safe_load(text.decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise RecipeError(f"{name}: not a YAML file: {_why(e)}") from e
    if data is not None and not isinstance(data, dict):
        raise RecipeError(f"{name}: expected `section: ...` lines, got a {type(data).__name__}")
    return data or {}


def parse_recipe(data: Mapping[str, Any], name: str = "recipe") -> Recipe:
    """Check a recipe given as nested dicts. Raises RecipeError that names every wrong key."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as e:
        raise RecipeError(f"{name}: " + "; ".join(explain(e, Recipe))) from e


def apply_overrides(data: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return `data` with each `a.b=value` set; values are read as YAML."""
    result: dict[str, Any] = _plain(data)
    for override in overrides:
        key, equals, raw = override.partition("=")
        *parents, last = key.split(".")
        if not equals or not all((*parents, last)):
            raise RecipeError(f"override {override!r}: expected key=value, such as seed=1")
        try:
            value = yaml.safe_load(raw)
        except yaml.YAMLError as e:
            raise RecipeError(f"override {override!r}: not YAML: {_why(e)}") from e
        node = result
        for parent in parents:
            if node.get(parent) is None:
                node[parent] = {}
            node = node[parent]
            if not isinstance(node, dict):
                raise RecipeError(f"override {override!r}: {parent} is a value, not a section")
        node[last] = "" if value is None and raw == "" else _plain(value)
    return result


def to_yaml(recipe: Recipe) -> str:
    """Write the resolved recipe, all defaults filled in."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _plain(value: Any) -> Any:
    """Return a copy with keys as text, and as text too what YAML makes a date."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _why(error: Exception) -> str:
    """Say in one line what YAML dislikes, and where."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return " ".join(problem.split()) + (f" in line {mark.line + 1}" if mark else "")


def _missing_recipe(file: Path, error: OSError) -> str:
    known = sorted(str(p) for p in Path("configs/caption").glob("*.yaml"))
    beside = [str(file.parent / p.name) for p in _entries(file.parent)]
    hint = f"; recipes here: {', '.join(known)}" if known else ""
    what = (error.strerror or str(error)).lower()
    return f"recipe {file}: {what}{nearest(str(file), known + beside)}{hint}"


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix in {".yaml", ".yml"})
    except OSError:
        return []
