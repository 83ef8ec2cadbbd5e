"""A rendered set's label: a file that says how its folder was made, so that no two sets mix."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from recaption import storage
from recaption.config import RecipeError
from recaption.engines.scope import RENDERED_LABEL as NAME
from recaption.shapeworld.sets.rendered_set import RenderedSet

_YOUNGER = {"most_things": 0, "only_large": False}
"""What labels of before did not tell."""


def put_label(out: str, rendered: RenderedSet, layout: str) -> None:
    """Write the label of a set into its folder, which shows that the folder can be written.

    A folder that holds the same set, or fewer shards of it, is continued. Raises StorageError, and
    RecipeError where the folder holds another set.
    """
    url = storage.join(out, NAME)
    wanted = asdict(rendered) | {"layout": layout}
    found = _read(url)
    if found and _differing(found, wanted):
        raise RecipeError(
            f"{out}: holds a set with {_shown(found, _differing(found, wanted))}, expected"
            f" {_shown(wanted, _differing(found, wanted))}; take another --out, or delete it"
        )
    storage.write_bytes(url, json.dumps(wanted, indent=1).encode())


def _read(url: str) -> dict[str, Any]:
    if not storage.exists(url):
        return {}
    try:
        return _YOUNGER | dict(json.loads(storage.read_bytes(url)))
    except (storage.StorageError, RecipeError):
        raise
    except (ValueError, TypeError) as e:
        raise RecipeError(f"{url}: got {e}, expected the label of a rendered set; delete it") from e


def _differing(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return what two sets differ in, so that files of both would be left in the folder."""
    names = [name for name in wanted if found.get(name) != wanted[name]]
    has_grown = found.get("shards", 0) <= wanted["shards"]
    return [name for name in names if name != "shards" or not has_grown]


def _shown(row: dict[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name}={row.get(name)}" for name in names)
