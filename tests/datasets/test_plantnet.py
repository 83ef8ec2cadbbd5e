"""Pl@ntNet-300K: species from folders and tables, organs, credits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import check_tables, open_reader, plantnet
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.sources import list_shards, read_parts
from tests.corpora import jpeg, write_tar

A, B, C, D = (letter * 40 for letter in "abcd")
LETTUCE, DAISY = "1355868", "1355955"
NAMES = {LETTUCE: "Lactuca virosa L.", DAISY: "Pelargonium × hortorum L.H.Bailey", "1": None}
METADATA = {
    A: {
        "species_id": LETTUCE,
        "obs_id": "1008726402",
        "organ": "flower",
        "is_shareable": True,
        "v1_id": "x",
        "author": "Émile Nöel",
        "license": "cc-by-sa",
        "split": "train",
    },
    # the species of version 1.0: the folder is right
    B: {"species_id": LETTUCE, "organ": "other", "author": None, "license": "public-domain"},
    C: {"species_id": 1355868, "organ": "Habit"},
    "odd": "not an object",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def source(path: Path, **tables: Path) -> SourceConfig:
    paths = {name: str(table) for name, table in tables.items()}
    return SourceConfig(path=str(path), adapter="plantnet", tables=paths)


def read(config: SourceConfig) -> dict[str, Hints]:
    check_tables(config)
    reader = open_reader(config)
    parts = [part for shard in list_shards(config) for part in read_parts(shard, config)]
    assert all(part.fault is None for part in parts)
    return {sample.sample_id: reader(sample) for part in parts for sample in part.samples}


def expect(names: tuple[str, ...], *others: Hint) -> Hints:
    return Hints("", names, others, Trust.HIGH, "plantnet")


def hint(kind: HintKind, text: str) -> Hint:
    return Hint(kind, text, Trust.HIGH)


FULL = {
    A: expect(
        ("Lactuca virosa L.",),
        hint(HintKind.OBJECT, "the plant's flower"),
        hint(HintKind.LICENCE, "cc-by-sa"),
        hint(HintKind.AUTHOR, "Émile Nöel"),
    ),
    B: expect(("Pelargonium × hortorum L.H.Bailey",), hint(HintKind.LICENCE, "public-domain")),
    C: expect(("Lactuca virosa L.",), hint(HintKind.OBJECT, "the whole plant")),
    D: expect(()),
}
FILES = ((LETTUCE, A), (DAISY, B), (LETTUCE, C), ("999", D))


@pytest.mark.parametrize("layout", ["images/train", "images_train", "tar"])
def test_layouts(tmp_path: Path, layout: str) -> None:
    species = write_json(tmp_path / "plantnet300K_species_id_2_name.json", NAMES)
    metadata = write_json(tmp_path / "plantnet300K_metadata.json", METADATA)
    names = [f"plantnet_300K/images/val/{folder}/{name}.jpg" for folder, name in FILES]
    if layout == "tar":
        shards = write_tar(tmp_path / "images.tar", ((name, jpeg()) for name in names))
    else:
        shards = tmp_path / layout
        for folder, name in FILES:
            (shards / folder).mkdir(parents=True, exist_ok=True)
            (shards / folder / f"{name}.jpg").write_bytes(jpeg())
    assert read(source(shards, species=species, metadata=metadata)) == FULL
    alone = read(source(shards, species=species))
    assert {key: hints.class_names for key, hints in alone.items()} == {
        key: hints.class_names for key, hints in FULL.items()
    }
    assert not any(hints.others for hints in alone.values())
    assert read(source(shards)) == dict.fromkeys((A, B, C, D), expect(()))


@pytest.mark.parametrize(
    ("organ", "expected"),
    [
        ("leaf", ["the plant's leaf"]),
        ("flower", ["the plant's flower"]),
        ("fruit", ["the plant's fruit"]),
        ("bark", ["the plant's bark"]),
        ("habit", ["the whole plant"]),
        ("other", []),
        ("ignore the above", []),
        (None, []),
        (["leaf"], []),
    ],
)
def test_organs(tmp_path: Path, organ: Any, expected: list[str]) -> None:
    table = write_json(tmp_path / "m.json", {A: {"organ": organ}})
    found = open_reader(source(tmp_path, metadata=table))(Sample("s", f"9/{A}", 0, b"x"))
    assert found.texts(HintKind.OBJECT) == expected


def test_the_species_of_a_flat_folder_is_in_the_metadata(tmp_path: Path) -> None:
    species = write_json(tmp_path / "s.json", NAMES)
    metadata = write_json(tmp_path / "m.json", METADATA)
    reader = open_reader(source(tmp_path, species=species, metadata=metadata))
    assert reader(Sample("s", f"{A}.jpg", 0, b"x")).class_names == ("Lactuca virosa L.",)
    assert reader(Sample("s", "", 0, b"x")) == expect(())


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [
        (f"images/train/9/{A}", f"images/train/9/{A}.jpg", A),
        (f"{A}.jpg", f"9/{A}.jpg", A),
        (f"{A}.jpg", "", A),
        ("1.jpg", "9/1.jpg", ""),
        ("", "", ""),
    ],
)
def test_ids(key: str, name: str, expected: str) -> None:
    assert plantnet.sample_id(Sample("s/a", key, 0, None, image_name=name)) == expected


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("species", "species_id,full_species\n0,Lactuca virosa L.\n"),  # version 2
        ("species", '["Lactuca virosa L."]'),
        ("species", "{}"),
        ("species", '{"1355868": {"name": "Lactuca virosa L."}}'),
        ("metadata", ""),
        ("metadata", "{}"),
        ("metadata", '{"1355868": "Lactuca virosa L."}'),  # the other table
        ("metadata", '{"0": {"image": "x"}}'),
        ("metadata", "[" * 100_000),
    ],
)
def test_a_table_of_another_make(tmp_path: Path, table: str, content: str) -> None:
    file = tmp_path / "table.json"
    file.write_text(content)
    with pytest.raises(RecipeError, match=rf"source\.tables\.{table}: .* got .* expected"):
        open_reader(source(tmp_path, **{table: file}))
