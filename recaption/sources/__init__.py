"""Containers of images: which shards there are, and the samples in them, cut into parts.

`list_shards` turns a recipe's source into shards; `read_parts` streams one of them, and
`map_parts` with something done to each sample as it is read. Readers are
`webdataset` (tars), `parquet`, `zip` and `folder`; none of them keeps a shard in memory, runs code
out of it or writes anywhere.
"""

from recaption.sources.base import BrokenShard
from recaption.sources.cut import ReadPart, map_parts, read_parts
from recaption.sources.expand import list_shards, source_root

__all__ = ["BrokenShard", "ReadPart", "list_shards", "map_parts", "read_parts", "source_root"]
