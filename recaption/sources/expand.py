"""From a recipe's source to its shards: what is there, of which kind, under which name.

A shard is a tar, a Parquet file, or a folder with images directly in it. Its name is its path
below the root, percent-quoted; the root itself, where it is such a folder, has its own last name.
Names, and the ids that samples get from them, are unique: what would collide is an error.
"""

from __future__ import annotations

from recaption.config import SourceConfig
from recaption.sample import Shard
from recaption.sources.find import find_shards
from recaption.sources.ids import quote_shard, shard_suffix, stem_of
from recaption.sources.places import (
    Place,
    absolute,
    below,
    common_folder,
    find_places,
    is_web,
    path_of,
)


def list_shards(source: SourceConfig) -> list[Shard]:
    """Return the source's shards, sorted by name, names unique.

    Raises ValueError with one line where something is missing or cannot be meant, StorageError
    where storage says no.
    """
    places = find_places(source)
    root = _root(source, places)
    found = {shard.url: shard for place in places for shard in find_shards(place, source.kind)}
    shards = [Shard(_name(url, root), url, f.kind, f.size) for url, f in found.items()]
    shards.sort(key=lambda shard: shard.name)
    _check_unique(shards)
    return shards


def source_root(source: SourceConfig) -> str:
    """Return the folder or url below which the shards' names are paths."""
    return _root(source, find_places(source))


def _root(source: SourceConfig, places: list[Place]) -> str:
    return absolute(source.root) if source.root else common_folder([p.top for p in places])


def _name(url: str, root: str) -> str:
    name = quote_shard(below(url, root)) or quote_shard(path_of(url).rstrip("/").rpartition("/")[2])
    if is_web(url) and not shard_suffix(path_of(url)) and url != path_of(url):
        name += quote_shard(url[len(path_of(url)) :])
    return name or "root"


def _check_unique(shards: list[Shard]) -> None:
    by_stem: dict[str, Shard] = {}
    for shard in shards:
        other = by_stem.setdefault(stem_of(shard.name), shard)
        if other is not shard:
            raise ValueError(
                f"source.path: {other.url} and {shard.url} would give their samples the same ids;"
                " leave one out, or set source.root to a folder above"
            )
