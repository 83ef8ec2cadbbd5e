"""Rendered shards as a place to read from."""

from __future__ import annotations

import pytest

from recaption import storage
from recaption.config import SourceConfig
from recaption.shapeworld.sets.shards import shard_bytes
from recaption.sources import list_shards, read_parts

URL = "shapeworld://seed=3,images=4,size=48,shards=20"


def test_a_folder_lists_its_shards() -> None:
    names = [shard.name for shard in list_shards(SourceConfig(path=URL))]
    assert names == [f"{i:05d}.tar" for i in range(20)]


def test_a_shard_is_what_is_rendered() -> None:
    assert storage.read_bytes(f"{URL}/00002.tar") == shard_bytes(3, 2, 4, 48)


def test_sizes_may_be_drawn_and_scenes_cropped() -> None:
    drawn = storage.read_bytes("shapeworld://seed=3,images=4,size=0/00001.tar")
    assert drawn == shard_bytes(3, 1, 4)
    cropped = storage.read_bytes("shapeworld://seed=3,images=4,size=48,crops=1/00001.tar")
    assert cropped == shard_bytes(3, 1, 4, 48, crops=True)
    assert cropped != shard_bytes(3, 1, 4, 48)


def test_a_range_of_shards_is_read() -> None:
    source = SourceConfig(path=f"{URL}/{{00001..00002}}.tar")
    samples = [
        s for shard in list_shards(source) for p in read_parts(shard, source) for s in p.samples
    ]
    assert len(samples) == 8 and all(s.image for s in samples)


@pytest.mark.parametrize(
    "path",
    [
        "shapeworld://colour=3",
        "shapeworld://seed=x/00000.tar",
        "shapeworld://seed=²/00000.tar",
        "shapeworld://size=20/00000.tar",
        "shapeworld://images=0",
        "shapeworld://crops=2",
    ],
)
def test_a_wrong_url_is_an_error(path: str) -> None:
    with pytest.raises(ValueError, match="shapeworld"):
        list_shards(SourceConfig(path=path))
