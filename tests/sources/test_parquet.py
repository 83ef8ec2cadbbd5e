"""The Parquet reader: columns found by type and name, row groups, null images, damage."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption import storage
from recaption.config import SourceConfig
from recaption.sample import Reason, Sample, Shard
from recaption.sources import BrokenShard
from recaption.sources.base import Wanted, want_all
from recaption.sources.parquet import read_samples
from tests.shared_data import shared_data

IMAGES = [bytes([i]) * 50 for i in range(6)]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path: Path, table: pa.Table, **options: Any) -> Shard:
    pq.write_table(table, path, **options)
    return Shard(path.name, str(path), "parquet")


def read(shard: Shard, wanted: Wanted = want_all, **options: Any) -> list[Sample | None]:
    return list(read_samples(shard, SourceConfig(path=shard.url, **options), wanted))


def read_all(shard: Shard, **options: Any) -> list[Sample]:
    return [sample for sample in read(shard, **options) if sample is not None]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("image", pa.array(IMAGES)),
        ("jpg", pa.array(IMAGES, pa.large_binary())),
        ("Image", pa.array([{"bytes": b, "path": "x.png"} for b in IMAGES], STRUCT)),
        ("picture", pa.array(IMAGES)),
        ("picture", pa.array([{"bytes": b, "path": None} for b in IMAGES], STRUCT)),
        ("webp", pa.array(IMAGES, pa.binary_view())),
    ],
)
def test_finds_the_image_column(tmp_path: Path, column: str, values: pa.Array) -> None:
    if pa.types.is_binary_view(values.type):
        values = values.cast(pa.binary())  # Parquet keeps no views
    table = pa.table(
        {"uid": [f"{i:04x}" for i in range(6)], column: values, "text": list("abcdef")}
    )
    samples = read_all(write(tmp_path / "s.parquet", table))
    assert [s.image for s in samples] == IMAGES
    assert [s.sample_id for s in samples] == [f"s/{i:04x}" for i in range(6)]
    assert dict(samples[2].fields) == {"uid": "0002", "text": "c"}


def test_prefers_structs_then_names_and_obeys_the_recipe(tmp_path: Path) -> None:
    table = pa.table({"thumb": IMAGES, "png": IMAGES[::-1], "mask": IMAGES})
    shard = write(tmp_path / "s.parquet", table)
    assert read_all(shard)[0].image == IMAGES[5]
    assert read_all(shard, image_column="MASK")[0].image == IMAGES[0]
    table = table.append_column("picture", pa.array([{"bytes": b"struct"}] * 6))
    assert read_all(write(tmp_path / "s.parquet", table))[0].image == b"struct"


def test_keeps_small_columns_only(tmp_path: Path) -> None:
    columns = {
        "jpg": IMAGES[:1],
        "caption": ["a cat"],
        "width": [640],
        "score": [0.5],
        "nsfw": [False],
        "tags": [["a", "b"]],
        "embedding": [[0.1] * 1000],
        "mask": [b"bytes"],
        "meta": [{"a": 1}],
        "nothing": pa.array([None], pa.string()),
        "kind": pa.array(["x"]).dictionary_encode(),
        "url.txt": ["http://x"],
        "long": ["x" * 2_000_000],
    }
    (sample,) = read_all(write(tmp_path / "s.parquet", pa.table(columns)))
    assert dict(sample.fields) == {
        "caption": "a cat",
        "width": 640,
        "score": 0.5,
        "nsfw": False,
        "tags": ["a", "b"],
        "kind": "x",
        "url.txt": "http://x",
    }
    asked = read_all(write(tmp_path / "s.parquet", pa.table(columns)), alt_text_column="meta.a")
    assert asked[0].fields["meta"] == {"a": 1}


def test_ids(tmp_path: Path) -> None:
    table = pa.table({"image": IMAGES, "name": [7, 8, None, 8, 9, 7], "id": [0.5] * 6})
    shard = write(tmp_path / "s.parquet", table)
    by_row = [s.sample_id for s in read_all(shard)]
    assert by_row == [f"s/{i:08d}" for i in range(6)]  # a float is no id
    named = read_all(shard, id_column="name")
    assert [s.sample_id for s in named] == ["s/7", "s/8", "s/row-00000002", "s/8#3", "s/9", "s/7#5"]
    assert [bool(s.rejection) for s in named] == [False, False, False, True, False, True]
    assert named[3].rejection is not None
    assert named[3].rejection.reason is Reason.DUPLICATE_KEY


def test_a_row_without_image_is_rejected_alone(tmp_path: Path) -> None:
    table = pa.table(
        {
            "jpg": [IMAGES[0], None, b""],
            "key": ["a", "b", "c"],
            "status": ["success", "failed_to_download", "success"],
        }
    )
    first, second, third = read_all(write(tmp_path / "s.parquet", table))
    assert (first.image, third.image, second.image) == (IMAGES[0], b"", None)
    assert second.rejection is not None
    assert second.rejection.reason is Reason.NO_IMAGE
    assert "failed_to_download" in second.rejection.message
    table = pa.table({"image": pa.array([{"bytes": None, "path": "x/a.jpg"}], STRUCT)})
    (sample,) = read_all(write(tmp_path / "s.parquet", table))
    assert sample.rejection is not None
    assert "only the path x/a.jpg" in sample.rejection.message


def test_unwanted_row_groups_are_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 100
    table = pa.table(
        {"image": [b"%d" % i for i in range(rows)], "id": [i % 70 for i in range(rows)]}
    )
    shard = write(tmp_path / "s.parquet", table, row_group_size=20)
    everything = read(shard)
    asked: list[list[str]] = []
    plain = pq.ParquetFile.iter_batches

    def spied(file: pq.ParquetFile, *args: Any, **options: Any) -> Any:
        asked.append(options["columns"])
        return plain(file, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spied)
    some = read(shard, lambda ordinal: 40 <= ordinal < 45 or ordinal == 75)
    assert [i for i, sample in enumerate(some) if sample] == [*range(40, 45), 75]
    assert some[42] == everything[42]
    assert some[75] == everything[75]
    assert some[75] is not None
    assert some[75].rejection is not None  # its id was in a group that was passed over
    assert ["image" in columns for columns in asked] == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"image_column": "imag"}, "did you mean image?"),
        ({"id_column": "idd"}, "source.id_column=idd is not among its columns"),
        ({"alt_text_column": "captoin"}, "did you mean caption?"),
        ({"class_column": "klass.name"}, "source.class_column=klass"),
    ],
)
def test_a_wrong_column_is_named(tmp_path: Path, options: dict[str, str], says: str) -> None:
    shard = write(tmp_path / "s.parquet", pa.table({"image": IMAGES, "caption": list("abcdef")}))
    with pytest.raises(BrokenShard, match=r"s\.parquet") as caught:
        read(shard, **options)
    assert says in str(caught.value)


def test_metadata_without_pixels_is_explained() -> None:
    path = shared_data() / "alt-text" / "alt_text_1000.parquet"
    with pytest.raises(BrokenShard, match=r"no column holds images \(columns: URL, TEXT"):
        read(Shard("x.parquet", str(path), "parquet"))


def test_damage_is_a_fault_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    noise = random.Random(0).randbytes
    table = pa.table({"image": [noise(500) for _ in range(200)], "id": list(range(200))})
    shard = write(path, table, row_group_size=50, write_page_checksum=True)
    data, everything = path.read_bytes(), read_all(shard)
    for bad in (b"", b"PAR1", b"x" * 1000, data[:-1], data[:100], data[: len(data) // 2]):
        path.write_bytes(bad)
        with pytest.raises(BrokenShard, match=r"s\.parquet: not a Parquet file, or a damaged"):
            read(shard)
    damaged = bytearray(data)
    damaged[data.index(everything[120].image or b"")] ^= 1  # in the third row group
    path.write_bytes(damaged)
    samples = []
    with pytest.raises(BrokenShard):
        for sample in read_samples(shard, SourceConfig(path=shard.url)):
            samples.append(sample)
    assert len(samples) == 100
    assert samples == everything[: len(samples)]


def test_a_store_that_fails_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = write(tmp_path / "s.parquet", pa.table({"image": IMAGES}))

    class Failing(io.BytesIO):
        def read(self, *args: Any) -> bytes:
            raise storage.StorageError("the network is gone", storage.Trouble.UNREACHABLE)

    monkeypatch.setattr(storage, "open_read", lambda url: Failing(Path(url).read_bytes()))
    with pytest.raises(storage.StorageError, match="the network is gone"):
        read(shard)
