"""Containers of images: which shards there are, and the samples in them, cut into parts.

`list_shards` turns a recipe's source into shards; `read_parts` streams one of them, and
`map_parts` with something done to each sample as it is read. Readers are
`webdataset` (tars), `parquet`, `zip` and `folder`; none of them keeps a shard in memory, runs code
out of it or writes anywhere.
"""

from recaption.sources.base import BrokenShard
from recaption.sources.cut import ReadPart, map_parts, read_parts
from recaption.sources.expand import list_shards, source_root

VERSION = 2
"""Part of a recipe's fingerprint. It goes up when a shard gives other samples, texts or pixels than
before, so that no corpus is continued with parts that mean something else."""

__all__ = [
    "VERSION",
    "BrokenShard",
    "ReadPart",
    "list_shards",
    "map_parts",
    "read_parts",
    "source_root",
]
