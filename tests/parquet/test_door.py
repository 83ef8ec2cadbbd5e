"""No Parquet file brings code: every extension type, at every place, through every reader."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from recaption.config import SourceConfig
from recaption.corpus.schema import CAPTIONS, REJECTS
from recaption.corpus.tables import read_table
from recaption.datasets import open_reader
from recaption.parquet import PlainFile
from recaption.sample import Sample, Shard
from recaption.sources import BrokenShard
from recaption.sources.parquet import read_samples
from recaption.storage import StorageError
from tests.parquet.hostile import (
    PLACES,
    extension_types,
    hostile_column,
    nested,
    pickled,
    write_claiming,
)

IMAGE = bytes(range(256))
TYPES = extension_types()
PACKAGES = [Path(__file__).parents[2] / name for name in ("recaption", "train")]


@pytest.fixture(params=list(TYPES))
def kind(request: pytest.FixtureRequest) -> pa.DataType:
    return TYPES[request.param]


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "code-ran"
    yield path
    assert not path.exists(), "code out of the file ran"


def shard_of(path: Path, kind: pa.DataType, place: str, marker: Path, name: str) -> Shard:
    column = hostile_column(kind, place, pickled(marker), IMAGE)
    columns = {name: column} if name == "image" else {"image": pa.array([IMAGE]), name: column}
    table = pa.table({**columns, "caption": ["a cat"]})
    path.write_bytes(write_claiming(table, {name: nested(kind, place)}))
    return Shard(path.name, str(path), "parquet")


def test_the_files_are_as_bad_as_they_look(tmp_path: Path) -> None:
    """With pyarrow alone the code does run: or else the tests below would prove nothing."""
    marker = tmp_path / "code-ran"
    for place in ("column", "struct", "list", "map", "deep"):
        shard = shard_of(tmp_path / "s.parquet", TYPES["pickled"], place, marker, "x")
        pq.read_table(shard.url).to_pylist()
        assert marker.is_dir(), place
        marker.rmdir()


def test_all_types_that_are_registered_are_tried() -> None:
    """A new version of Ray or pandas that registers more has to be looked at."""
    found = 0
    for package in (ray, pd):
        for file in Path(str(package.__file__)).parent.rglob("*.py"):
            if "tests" not in file.parts and "register_extension_type" in (
                text := file.read_text("utf-8", "replace")
            ):
                found += len(re.findall(r"register_extension_type\(", text))
    canonical = {"json", "uuid", "fixed_shape_tensor", "bool8", "opaque"}
    assert len(TYPES) == found + len(canonical)
    there = {
        n.removesuffix("_").removesuffix("Type").lower() for n in dir(pa) if n.endswith("Type")
    }
    extensions = {n for n in there if f"{n}" in {c.replace("_", "") for c in canonical}}
    assert extensions == {c.replace("_", "") for c in canonical}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["image", "extra", "label", "id"])
def test_shards(tmp_path: Path, kind: pa.DataType, place: str, name: str, marker: Path) -> None:
    shard = shard_of(tmp_path / "s.parquet", kind, place, marker, name)
    try:
        samples = list(read_samples(shard, SourceConfig(path=shard.url)))
    except BrokenShard as error:
        assert name == "image" and "\n" not in str(error)  # such as: column image is a number
        return
    assert len(samples) == 1 and samples[0] is not None
    if name != "image":
        assert samples[0].image == IMAGE and samples[0].fields["caption"] == "a cat"


@pytest.mark.parametrize("option", ["alt_text_column", "class_column", "id_column", "image_column"])
def test_named_columns(tmp_path: Path, kind: pa.DataType, option: str, marker: Path) -> None:
    for place in PLACES:
        shard = shard_of(tmp_path / "s.parquet", kind, place, marker, "x")
        source = SourceConfig.model_validate({"path": shard.url, option: "x"})
        try:
            samples = list(read_samples(shard, source))
        except BrokenShard as error:
            assert option == "image_column" and "\n" not in str(error)
            continue
        assert len(samples) == 1
        open_reader(source)(samples[0] or pytest.fail("no sample"))


@pytest.mark.parametrize("column", ["text", "url", "key"])
def test_the_table_of_the_web_adapter(
    tmp_path: Path, kind: pa.DataType, column: str, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))
    for place in PLACES:
        plain = {
            "text": pa.array(["a cat"]),
            "url": pa.array(["http://a/b"]),
            "key": pa.array(["k"]),
        }
        table = pa.table({**plain, column: hostile_column(kind, place, pickled(marker), IMAGE)})
        path = tmp_path / f"{place}.parquet"
        path.write_bytes(write_claiming(table, {column: nested(kind, place)}))
        source = SourceConfig(path="x", adapter="web", tables={"metadata": str(path)})
        other = Sample("s/k", "k", 0, IMAGE, "k.jpg", {"url": "http://a/b"})
        assert type(open_reader(source)(other).alt_text) is str  # of pickles their bytes


@pytest.mark.parametrize("schema", [CAPTIONS, REJECTS], ids=["captions", "rejects"])
def test_the_tables_of_a_corpus(
    tmp_path: Path, kind: pa.DataType, schema: pa.Schema, marker: Path
) -> None:
    """Report, status, export, replay and training all read them here."""
    table = pa.table({f.name: pa.nulls(1, f.type) for f in schema}, schema=schema)
    for place in PLACES:
        for name in ("sample_id", "alt_text", "class_names"):
            column = hostile_column(kind, place, pickled(marker), IMAGE)
            at = schema.get_field_index(name)
            path = tmp_path / "c.parquet"
            other = table.set_column(at, name, column)
            path.write_bytes(write_claiming(other, {name: nested(kind, place)}))
            try:
                read_table(str(path), schema).to_pylist()
            except StorageError as error:
                assert "\n" not in str(error)


def test_types_of_parquet_itself_are_read_by_what_is_stored(tmp_path: Path) -> None:
    table = pa.table(
        {
            "json": pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(['{"a": 1}'])),
            "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"u" * 16], pa.binary(16))),
            "dictionary": pa.array(["word"]).dictionary_encode(),
            "large": pa.array([["word"]], pa.large_list(pa.large_string())),
            "view": pa.array(["word"], pa.string_view()),
            "day": pa.array([3], pa.date32()),
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(table, path)
    with PlainFile.open(str(path)) as file:
        (batch,) = file.batches(file.schema.names, 16)
    assert [str(kind) for kind in batch.schema.types] == [
        *("string", "fixed_size_binary[16]", "string", "list<element: string>", "string"),
        "date32[day]",
    ]
    assert batch.to_pylist()[0]["json"] == '{"a": 1}'


def test_no_other_door() -> None:
    """Whatever opens Parquet, Feather or Arrow's own files does so in recaption/parquet."""
    found = [
        f"{file.relative_to(package.parent)}:{line}: {what}"
        for package in PACKAGES
        for file in sorted(package.rglob("*.py"))
        if "recaption/parquet/" not in file.as_posix()
        for line, what in _doors(ast.parse(file.read_text()))
    ]
    assert found == []
    readers = [f for p in PACKAGES for f in p.rglob("*.py") if "ray.data.read_" in f.read_text()]
    assert readers == []


_READING = ("ParquetFile", "ParquetDataset", "read_table", "read_pandas", "read_metadata")
_MODULES = ("dataset", "feather", "ipc", "orc", "fs")


def _doors(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("pyarrow.") and name.name.split(".")[1] in _MODULES:
                    yield node.lineno, name.name
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pyarrow"):
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner, name = node.value.id, node.attr
            if owner == "pq" and name in _READING:
                yield node.lineno, f"{owner}.{name}"
            if (owner == "pa" and name in _MODULES) or f"{owner}.{name}".startswith("pd.read_"):
                yield node.lineno, f"{owner}.{name}"
