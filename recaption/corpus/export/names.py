"""Names of files in an export, made of names that strangers chose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

from recaption import keyed, storage
from recaption.config import RecipeError
from recaption.sources.ids import shard_suffix

KEY = r"[A-Za-z0-9][A-Za-z0-9_-]*-[0-9a-f]{20}"
"""What `rows.key_of` returns."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 120  # characters; file systems allow 255 bytes


def plain(name: str, longest: int) -> str:
    """Return a name of ASCII letters, digits, `_` and `-` alone; `sample` where none is left."""
    return _UNSAFE.sub("_", name)[:longest].strip("_-") or "sample"


def check_are_ours(
    out: str, may_matter: Callable[[str], bool], is_ours: Callable[[str], bool]
) -> list[str]:
    """Return the files below `out` that a reader of the export would take for its own.

    Raises RecipeError where one is not of such an export: it would be read as a part of it.
    """
    if not storage.exists(out):
        return []
    there = [name for name in storage.list_names(out) if may_matter(name)]
    for name in there:
        if not is_ours(name):
            raise RecipeError(
                f"{out}: holds {name}, which is not of this export, and would be read as a part of"
                " it; give an empty folder or a new one"
            )
    return there


def plain_names(shards: Iterable[str]) -> dict[str, str]:
    """Return a file name for each shard, without folders; a hash where two would be the same.

    They differ in more than the case of their letters.
    """
    stems = {shard: shard[: len(shard) - len(shard_suffix(shard))] for shard in shards}
    found = {shard: plain(stem, _LONGEST) for shard, stem in stems.items()}
    times = Counter(name.lower() for name in found.values())
    return {
        shard: name
        if times[name.lower()] == 1 and len(stems[shard]) <= _LONGEST and name != "sample"
        else f"{name}-{keyed.hexdigest(shard, length=8)}"
        for shard, name in found.items()
    }
