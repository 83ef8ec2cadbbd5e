"""Checks `engine.args` against vLLM's EngineArgs by reading its source: importing takes seconds.

Where vLLM is not installed (a laptop that submits to a cluster) nothing is known, and nothing
said: the engine's own process checks again.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from recaption.config import EngineConfig, RecipeError, nearest

_SIMPLE = {"int": int, "float": (int, float), "bool": bool, "str": str, "list": list, "dict": dict}
_ARGUMENTS = ("EngineArgs", "AsyncEngineArgs")
_OURS = ("model", "revision")


def check_arguments(config: EngineConfig) -> None:
    """Check names, and types where they are plain. Raises RecipeError."""
    known = _fields()
    for name, value in config.args.items() if known else ():
        if name in _OURS:
            raise RecipeError(f"engine.args.{name}: set engine.{name} instead")
        if name not in known:
            raise RecipeError(
                f"engine.args.{name}: vLLM has no such argument{nearest(name, known)}"
            )
        wanted = known[name]
        if wanted and value is not None and not any(_is_a(value, one) for one in wanted):
            raise RecipeError(f"engine.args.{name}: expected {' or '.join(wanted)}, got {value!r}")


@cache
def _fields() -> dict[str, tuple[str, ...]]:
    """The arguments' names, with their types where all of them are plain; empty: not known."""
    try:
        found = importlib.util.find_spec("vllm")
        folders = found.submodule_search_locations if found else None
        if not folders:
            return {}
        tree = ast.parse((Path(folders[0]) / "engine" / "arg_utils.py").read_text())
    except (OSError, ValueError, SyntaxError):
        return {}
    return {
        line.target.id: _types(line.annotation)
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name in _ARGUMENTS
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }


def _types(annotation: ast.expr) -> tuple[str, ...]:
    """Return the plain types that an annotation allows; () where one of them is not plain."""
    names = []
    for one in _members(annotation):
        base = one.value if isinstance(one, ast.Subscript) else one
        if isinstance(base, ast.Constant) and base.value is None:
            continue
        if not isinstance(base, ast.Name) or base.id not in _SIMPLE:
            return ()
        names.append(base.id)
    return tuple(names)


def _members(annotation: ast.expr) -> list[ast.expr]:
    if isinstance(annotation, ast.BinOp):
        return _members(annotation.left) + _members(annotation.right)
    return [annotation]


def _is_a(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "bool"
    return isinstance(value, _SIMPLE[name])  # type: ignore[arg-type]
