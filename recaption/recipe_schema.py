"""Recipes as JSON schemas, by which editors complete keys, show what they mean, mark mistakes.

They lie in configs/schema/, where the first line of a recipe names the one of its kind. What only
the recipe itself can check (that two keys fit together, that a path is there) is not in them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

KINDS = ("caption", "train", "study")
"""Kinds of recipes, which are the folders of configs/ and the names of the schemas."""

_OURS = Path(__file__).parent / "configs" / "schema"  # in a checkout a link, in a wheel a copy
_DIALECT = "http://json-schema.org/draft-07/schema#"  # what editors' language servers know best


def schema_file(kind: str) -> Path:
    """Return where the schema of a kind of recipes lies."""
    return _OURS / f"{kind}.json"


def schema_text(model: type[BaseModel], title: str) -> str:
    """Return the schema of a recipe as JSON."""
    plain = _without_noise(model.model_json_schema())
    return json.dumps({"$schema": _DIALECT, "title": title, **plain}, indent=1) + "\n"


def _without_noise(node: Any, *, is_names: bool = False) -> Any:
    """Leave out titles, which repeat the keys, and whole sections as defaults.

    `is_names`: the node's keys are the recipe's own, and none of the schema's words.
    """
    if isinstance(node, list):
        return [_without_noise(one) for one in node]
    if not isinstance(node, dict):
        return node
    left_out = set() if is_names else {"title", "default"} if "$ref" in node else {"title"}
    return {
        key: value
        if key in ("default", "enum", "const", "required") and not is_names
        else _without_noise(value, is_names=key in ("properties", "$defs") and not is_names)
        for key, value in node.items()
        if key not in left_out
    }
