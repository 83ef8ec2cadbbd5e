"""iNaturalist 2021: species from folders, names and credits from the annotation file."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import check_tables, inaturalist, open_reader
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.sources import list_shards, read_parts
from tests.corpora import jpeg, write_tar

WORM = "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris"
DUCK = "03111_Animalia_Chordata_Aves_Anseriformes_Anatidae_Anas_platyrhynchos"
MOSS = "09999_Plantae_Bryophyta_Bryopsida_Hypnales_Hylocomiaceae_Hylocomium_splendens"
ODD = "00007_Animalia_Chordata_Reptilia_Squamata_Colubridae_Lampropeltis_triangulum_x_elapsoides"
A = "00000000-aaaa-4444-8888-0123456789ab"
B = "00000000-bbbb-4444-8888-0123456789ab"
C = "00000000-cccc-4444-8888-0123456789ab"
NAN = float("nan")

CATEGORIES: list[Any] = [
    {
        "id": 0,
        "name": "Lumbricus terrestris",
        "common_name": "Common Earthworm",
        "supercategory": "Animalia",
        "kingdom": "Animalia",
        "specific_epithet": "terrestris",
        "image_dir_name": WORM,
    },
    {"name": "Anas platyrhynchos", "common_name": "Mallard", "image_dir_name": DUCK},
    {"name": "Hylocomium splendens", "common_name": "", "image_dir_name": MOSS},
    "not an object",
]
IMAGES = [
    {
        "id": 7,
        "file_name": f"train/{WORM}/{A}.jpg",
        "license": 0,
        "rights_holder": "Anna Łąka",
        "date": "2019-04-10 12:30:00+00:00",
        "latitude": 45.5171,
        "longitude": -122.68,
        "location_uncertainty": NAN,
    },
    {
        "file_name": f"train/{DUCK}/{B}.jpg",
        "license": 9,
        "rights_holder": None,
        "date": "unknown",
        "latitude": NAN,
        "longitude": NAN,
    },
    {"file_name": f"train/{MOSS}/{C}.jpg", "license": 1, "latitude": 91, "longitude": True},
]
LICENSES = [
    {"id": 0, "name": "CC BY-NC 4.0", "url": "https://creativecommons.org/licenses/by-nc/4.0/"},
    {"id": 1, "name": "Public Domain", "url": ""},
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))


def write_table(path: Path) -> Path:
    """Write the table as the data set does: one line, bare NaN, licences last."""
    table = {
        "info": {"year": 2021, "contributor": "x"},
        "images": IMAGES,
        "categories": CATEGORIES,
        "annotations": [{"id": 1, "image_id": 7, "category_id": 0}],
        "licenses": LICENSES,
    }
    text = json.dumps(table, ensure_ascii=False)
    assert "NaN" in text
    path.write_text(text, encoding="utf-8")
    return path


def source(path: Path, table: Path | None = None) -> SourceConfig:
    tables = {"categories": str(table)} if table else {}
    return SourceConfig(path=str(path), adapter="inaturalist", tables=tables)


def read(config: SourceConfig) -> dict[str, Hints]:
    check_tables(config)
    reader = open_reader(config)
    parts = [part for shard in list_shards(config) for part in read_parts(shard, config)]
    assert all(part.fault is None for part in parts)
    return {sample.sample_id: reader(sample) for part in parts for sample in part.samples}


def write_tree(root: Path) -> Path:
    for folder, name in ((WORM, A), (DUCK, B), (MOSS, C)):
        (root / folder).mkdir(parents=True)
        (root / folder / f"{name}.jpg").write_bytes(jpeg())
    return root


def expect(name: str, *others: Hint) -> Hints:
    return Hints("", (name,), others, Trust.HIGH, "inaturalist")


BARE = {
    A: expect("Lumbricus terrestris (animal)"),
    B: expect("Anas platyrhynchos (bird)"),
    C: expect("Hylocomium splendens (plant)"),
}
FULL = {
    A: expect(
        "Common Earthworm (Lumbricus terrestris, animal)",
        Hint(
            HintKind.LICENCE,
            "CC BY-NC 4.0 (https://creativecommons.org/licenses/by-nc/4.0/)",
            Trust.HIGH,
        ),
        Hint(HintKind.AUTHOR, "Anna Łąka", Trust.HIGH),
        Hint(HintKind.CONTEXT, "taken on 2019-04-10"),
        Hint(HintKind.CONTEXT, "near latitude 45.5, longitude -122.7"),
    ),
    B: expect("Mallard (Anas platyrhynchos, bird)"),
    C: expect("Hylocomium splendens (plant)", Hint(HintKind.LICENCE, "Public Domain", Trust.HIGH)),
}


def test_the_unpacked_tree(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "train")
    assert read(source(tree)) == BARE
    assert read(source(tree, write_table(tmp_path / "train.json"))) == FULL


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_the_tars_as_published(tmp_path: Path, suffix: str) -> None:
    members = ((WORM, A), (DUCK, B), (MOSS, C))
    tar = write_tar(tmp_path / "x.tar", ((f"train/{f}/{n}.jpg", jpeg()) for f, n in members))
    shard = tmp_path / f"train{suffix}"
    raw = tar.read_bytes()
    shard.write_bytes(gzip.compress(raw) if suffix == ".tar.gz" else raw)
    tar.unlink()
    packed = tmp_path / "train.json.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(write_table(tmp_path / "train.json"), "train2021/train.json")
    config = source(shard, packed)
    assert read(config) == FULL
    assert read(source(shard)) == BARE


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (f"train/{ODD}/{A}.jpg", ("Lampropeltis triangulum x elapsoides (reptile)",)),
        (f"./{WORM}/{A}.jpg", ("Lumbricus terrestris (animal)",)),
        (f"{WORM}/deeper/{A}.jpg", ("Lumbricus terrestris (animal)",)),
        ("train/00001_Chromista_a_b_c_d_Nemo_sp/x.jpg", ("Nemo sp",)),
        (f"public_test/{A}.jpg", ()),
        (f"train/00000_Animalia_Annelida/{A}.jpg", ()),
        (f"train/insects/{A}.jpg", ()),
        ("", ()),
    ],
)
def test_folders(path: str, names: tuple[str, ...]) -> None:
    sample = Sample("s/a", "a", 0, b"x", image_name=path)
    assert inaturalist.hints(sample, None).class_names == names


@pytest.mark.parametrize(
    ("common", "expected"),
    [
        ("Mallard", "Mallard (Anas platyrhynchos, bird)"),
        ("anas PLATYRHYNCHOS", "Anas platyrhynchos (bird)"),
        ("", "Anas platyrhynchos (bird)"),
    ],
)
def test_the_name_for_a_prompt(common: str, expected: str) -> None:
    assert inaturalist.Species("Anas platyrhynchos", common, "bird").name() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"date": "2020-02-29"}, ["taken on 2020-02-29"]),
        ({"date": "2021-02-29"}, []),
        ({"date": NAN}, []),
        (
            {"date": None, "latitude": -33.86, "longitude": 151},
            ["near latitude -33.9, longitude 151.0"],
        ),
        ({"latitude": 0, "longitude": 0.0}, []),
        ({"latitude": 12.0, "longitude": NAN}, []),
        ({"latitude": float("inf"), "longitude": 3}, []),
        ({"latitude": 12.0, "longitude": 180.5}, []),
        ({"latitude": "12.0", "longitude": "13.0"}, []),
        ({"latitude": True, "longitude": True}, []),
        ({"latitude": 0.0, "longitude": 9.5}, ["near latitude 0.0, longitude 9.5"]),
    ],
)
def test_day_and_place(tmp_path: Path, values: dict[str, Any], expected: list[str]) -> None:
    table = tmp_path / "val.json"
    image = {"file_name": f"val/{WORM}/{A}.jpg", **values}
    table.write_text(json.dumps({"images": [image], "categories": CATEGORIES}))
    reader = open_reader(source(tmp_path, table))
    found = reader(Sample("s/a", "a", 0, b"x", image_name=f"val/{WORM}/{A}.jpg"))
    assert found.texts(HintKind.CONTEXT) == expected


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        (f"train/{WORM}/{A}.jpg", f"train/{WORM}/{A}", A),
        (f"{WORM}/{A}.jpg", f"{A}.jpg", A),
        ("", f"{A}.jpg", A),
        (f"{WORM}/1.jpg", "1.jpg", ""),
        ("", "", ""),
    ],
)
def test_ids(name: str, key: str, expected: str) -> None:
    assert inaturalist.sample_id(Sample("s/a", key, 0, None, image_name=name)) == expected


def test_a_table_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = write_table(tmp_path / "train.json").read_bytes()
    table = json.loads(raw)
    expected = [(n, item) for n, items in table.items() if n != "info" for item in items]
    for chunk in (1, 2, 7, 1 << 20):
        monkeypatch.setattr(inaturalist, "_CHUNK", chunk)
        found = list(inaturalist.read_arrays(io.BytesIO(raw)))
        assert repr(found) == repr(expected)  # by repr, as NaN is not equal to itself


@pytest.mark.parametrize(
    "text", ['{"a": [1234, -5.25], "b": 17, "c": [[], "]"]}', "\ufeff{}", "{ }"]
)
def test_json_of_other_shapes(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inaturalist, "_CHUNK", 1)
    arrays = json.loads(text.removeprefix("\ufeff"))
    expected = [(n, v) for n, values in arrays.items() if isinstance(values, list) for v in values]
    assert list(inaturalist.read_arrays(io.BytesIO(text.encode()))) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"images": [], "categories": []}',
        b'{"categories": [{"id": 0, "name": "x"}]}',
        b'{"categories": [{"image_dir_name": "00000_a"}',
        b'{"categories": [{"image_dir_name": "00000_a"} {}]}',
        b'{"categories": ["\xff"]}',
        b'{"categories": [' + b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("name", ["val.json", "val.json.gz", "val.json.tar.gz"])
def test_a_table_of_another_make(tmp_path: Path, content: bytes, name: str) -> None:
    table = tmp_path / name
    table.write_bytes(gzip.compress(content) if name == "val.json.gz" else content)
    with pytest.raises(RecipeError, match=r"source\.tables\.categories: .* expected the COCO"):
        open_reader(source(tmp_path, table))
    with pytest.raises(RecipeError):  # the second time too: nothing half made is taken for whole
        open_reader(source(tmp_path, table))
