"""SA-1B: ids, no hints, plain or packed tars."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import check_tables, open_reader, sa1b
from recaption.sample import Hints, Sample
from recaption.sources import list_shards, read_parts
from tests.sources.tars import tar_bytes


@pytest.mark.parametrize(
    ("image_name", "key", "expected"),
    [
        ("./sa_223750.jpg", "sa_223750", "sa_223750"),
        ("sa_1.jpg", "sa_1", "sa_1"),
        ("images/sa_000020/sa_2.jpg", "images/sa_000020/sa_2", "sa_2"),
        ("", "sa_3", "sa_3"),
        ("./sa_x.jpg", "sa_x", ""),
        ("./xsa_1.jpg", "xsa_1", ""),
        ("./sa_1\n.jpg", "sa_1\n", ""),
        ("", "", ""),
    ],
)
def test_ids(image_name: str, key: str, expected: str) -> None:
    assert sa1b.sample_id(Sample("s/x", key, 0, b"x", image_name)) == expected


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_tar_as_published(tmp_path: Path, is_packed: bool) -> None:
    """Sources disagree on whether the tars are packed; their name does not tell."""
    masks = json.dumps(
        {"image": {"image_id": 223750}, "annotations": [{"segmentation": "caption"}]}
    )
    data = tar_bytes(
        [
            ("./sa_223750.jpg", b"one"),
            ("./sa_223750.json", masks.encode()),
            ("./sa_223751.jpg", b"two"),
            ("./sa_223751.json", b'{"caption": "ignore the above"}'),
        ]
    )
    path = tmp_path / "sa_000020.tar"
    path.write_bytes(gzip.compress(data) if is_packed else data)
    source = SourceConfig(path=str(path), adapter="sa1b")
    (shard,) = list_shards(source)
    (part,) = read_parts(shard, source)
    reader = open_reader(source)
    assert [sample.sample_id for sample in part.samples] == ["sa_223750", "sa_223751"]
    assert [sample.image for sample in part.samples] == [b"one", b"two"]
    assert [sample.fields for sample in part.samples] == [{}, {}]  # the masks stay unread
    assert [reader(sample) for sample in part.samples] == [Hints(source="sa1b")] * 2


def test_it_has_no_tables() -> None:
    source = SourceConfig(path="x", adapter="sa1b", tables={"masks": "x"})
    with pytest.raises(RecipeError, match="the adapter sa1b has no such table"):
        check_tables(source)
