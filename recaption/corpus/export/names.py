"""Names of files in an export, made of names that strangers chose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from recaption import keyed
from recaption.sources.ids import shard_suffix

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 120  # characters; file systems allow 255 bytes


def plain(name: str, longest: int) -> str:
    """Return a name of ASCII letters, digits, `_` and `-` alone; `sample` where none is left."""
    return _UNSAFE.sub("_", name)[:longest].strip("_-") or "sample"


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
