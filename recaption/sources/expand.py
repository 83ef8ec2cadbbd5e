"""From a recipe's source to its shards: what is there, of which kind, under which name.

A shard is a tar, a Parquet file, or a folder with images directly in it; a local tar of tars that
`source.path` names itself is a shard for each tar in it, see `inner_shards`. Its name is its path
below the root, percent-quoted; the root itself, where it is such a folder, has its own last name.
Names, and the ids that samples get from them, are unique: what would collide is an error.
"""

from __future__ import annotations

from recaption import storage
from recaption.config import SourceConfig
from recaption.sample import Shard
from recaption.sources.find import find_shards
from recaption.sources.ids import quote_shard, shard_suffix, stem_of
from recaption.sources.nested import inner_url, is_tar_name
from recaption.sources.places import (
    below,
    find_places,
    is_web,
    path_of,
    root_of,
)
from recaption.sources.tar import TarReader, open_tar
from recaption.sources.webdataset import split_name
from recaption.storage.shown import naming_query, without_secrets


def list_shards(source: SourceConfig) -> list[Shard]:
    """Return the source's shards, sorted by name, names unique.

    Raises ValueError with one line where something is missing or cannot be meant, StorageError
    where storage says no.
    """
    places = find_places(source)
    root = root_of(source, places)
    found = {shard.url: shard for place in places for shard in find_shards(place, source)}
    named = {place.urls[0] for place in places if len(place.urls) == 1 and not place.is_glob}
    shards = []
    for url, f in found.items():
        shard = Shard(shard_name(url, root), url, f.kind, f.size, f.images)
        shards += inner_shards(shard) if url in named else [shard]
    shards.sort(key=lambda shard: shard.name)
    _check_unique(shards)
    return shards


def inner_shards(shard: Shard) -> list[Shard]:
    """Return a shard for each tar in a tar of tars, to be read at once; of any other, itself.

    That costs one read of each inner tar's header, so it is done for a local file without packing
    and with nothing else in it. The others stay one shard, whose inner tars come by one after the
    other. Samples have the same ids either way: `train.tar/n01440764/n01440764_10026`.

    Raises BrokenShard where the file is damaged behind its first inner tar. One that cannot be
    read at all is left to whoever reads it.
    """
    if shard.kind != "webdataset" or storage.is_remote(shard.url):
        return [shard]
    found: list[Shard] = []
    try:
        with open_tar(shard) as archive:
            is_nested = archive.end is not None and _gather(archive, shard, found)
    except (ValueError, OSError):
        if found:
            raise
        return [shard]
    is_each_once = len({inner.name for inner in found}) == len(found)
    return found if found and is_nested and is_each_once else [shard]


def _gather(archive: TarReader, outer: Shard, found: list[Shard]) -> bool:
    """Append the inner tars; say whether there is nothing else in the archive."""
    start = archive.next_at
    while (member := archive.next_here()) is not None:
        name, size = member
        if split_name(name) is not None:
            if not is_tar_name(name) or archive.enter() is None:
                return False
            inner = quote_shard(name)
            url = inner_url(outer.url, start, inner)
            found.append(Shard(f"{outer.name}/{inner}", url, outer.kind, size))
        start = archive.next_at
    return True


def source_root(source: SourceConfig) -> str:
    """Return the folder or url below which the shards' names are paths."""
    return root_of(source, find_places(source))


def shard_name(url: str, root: str) -> str:
    """Return what a shard is called: its path below the root, fit for a name."""
    name = quote_shard(below(url, root)) or quote_shard(path_of(url).rstrip("/").rpartition("/")[2])
    if is_web(url) and not shard_suffix(path_of(url)):
        name += quote_shard(naming_query(url))
    return name or "root"


def _check_unique(shards: list[Shard]) -> None:
    by_stem: dict[str, Shard] = {}
    for shard in shards:
        other = by_stem.setdefault(stem_of(shard.name), shard)
        if other is not shard:
            raise ValueError(
                f"source.path: {without_secrets(other.url)} and {without_secrets(shard.url)} would"
                " give their samples the same ids; leave one out, or set source.root to a folder"
                " above"
            )
