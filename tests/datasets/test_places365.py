"""Places365: scenes from paths in all containers and from the lists; wrong tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import check_tables, open_reader, places365
from recaption.datasets.places365 import Places, readable
from recaption.sample import Hints, Sample, Trust
from recaption.sources import list_shards, read_parts
from tests.shared_data import shared_data
from tests.sources.tars import tar_bytes

BUS = "/b/bus_station/indoor"


def sample(image_name: str, sample_id: str = "s/x") -> Sample:
    return Sample(sample_id, image_name.partition(".")[0], 0, b"x", image_name)


def named(name: str) -> Hints:
    names = (name,) if name else ()
    return Hints(class_names=names, class_trust=Trust.MEDIUM, source="places365")


@pytest.mark.parametrize(
    ("image_name", "sample_id", "expected_id", "expected_name"),
    [
        ("a/art_school/00002916.jpg", "s/x", "a/art_school/00002916", "art school"),
        ("/a/art_school/00002916.jpg", "s/x", "a/art_school/00002916", "art school"),
        (
            "data_256/b/bus_station/indoor/00004835.jpg",
            "s/x",
            "b/bus_station/indoor/00004835",
            "bus station, indoor",
        ),
        ("./data_large/a/airfield/1.jpg", "s/x", "a/airfield/1", "airfield"),
        ("d/data_large/t/temple/asia/1.jpg", "s/x", "t/temple/asia/1", "temple, asia"),
        # of a folder's image the last folder alone, and the shard in its id
        ("indoor/1.jpg", "b/bar/indoor/1.jpg", "b/bar/indoor/1", "bar, indoor"),
        ("airfield/1.jpg", "train/a/airfield/1.jpg", "a/airfield/1", "airfield"),
        ("airfield/1.jpg", "airfield/1.jpg", "", ""),
        ("val_256/Places365_val_00020696.jpg", "s/x", "Places365_val_00020696", ""),
        ("Places365_test_00000001.jpg", "s/x", "Places365_test_00000001", ""),
        ("b/bar/Places365_val_00020696.jpg", "s/x", "Places365_val_00020696", "bar"),
        ("Places365_val_1.jpg", "s/x", "", ""),
        ("a/bar/1.jpg", "s/x", "", ""),
        ("A/Airfield/1.jpg", "s/x", "", ""),
        ("a/airfield/b/c/1.jpg", "s/x", "", ""),
        ("", "", "", ""),
        ("a/airfield/\ud800\n.jpg", "s/x", "a/airfield/\ud800\n", "airfield"),
    ],
)  # fmt: skip
def test_paths(image_name: str, sample_id: str, expected_id: str, expected_name: str) -> None:
    one = sample(image_name, sample_id)
    assert places365.sample_id(one) == expected_id
    assert places365.hints(one, Places()) == named(expected_name)


def test_a_path_that_the_categories_do_not_have() -> None:
    places = Places(categories={"0": "/a/airfield"})
    assert places365.hints(sample("t/train/1.jpg"), Places()) == named("train")
    assert places365.hints(sample("t/train/1.jpg"), places) == named("")
    assert places365.hints(sample("a/airfield/1.jpg"), places) == named("airfield")


@pytest.mark.parametrize(
    ("category", "scene", "expected"),
    [
        ("/a/airfield", "outdoor scene", "airfield (outdoor scene)"),
        ("/a/airplane_cabin", "indoor scene", "airplane cabin (indoor scene)"),
        ("/t/temple/asia", "outdoor scene", "temple, asia (outdoor scene)"),
        (BUS, "outdoor scene", "bus station, indoor"),
        ("/c/church/outdoor", "outdoor scene", "church, outdoor"),
    ],
)
def test_readable_names(category: str, scene: str, expected: str) -> None:
    assert readable(category, scene) == expected


def lists(folder: Path, **changed: str) -> dict[str, str]:
    """Write the tables as published, without a line end behind the last line."""
    names = ["/a/airfield", BUS, *(f"/x/x{'abcdefghijklmnopqrstuvwxyz'[i % 26]}{'_' * (i // 26)}"
                                   for i in range(363))]  # fmt: skip
    text = {
        "categories": "\n".join(f"{name} {number}" for number, name in enumerate(names)),
        "indoor_outdoor": "\n".join(f"{name} 2" for name in names),
        "val": "Places365_val_00000001.jpg 1\nPlaces365_val_00000002.jpg 0",
    } | changed
    for name, content in text.items():
        (folder / f"{name}.txt").write_text(content)
    return {name: str(folder / f"{name}.txt") for name in text}


CONTAINED = [
    ("data_256/a/airfield/00000001.jpg", "a/airfield/00000001", "airfield (outdoor scene)"),
    ("data_256/b/bus_station/indoor/00000001.jpg", "b/bus_station/indoor/00000001",
     "bus station, indoor"),
    ("val_256/Places365_val_00000001.jpg", "Places365_val_00000001", "bus station, indoor"),
    ("val_256/Places365_val_00000002.jpg", "Places365_val_00000002", "airfield (outdoor scene)"),
    ("val_256/Places365_val_00000003.jpg", "Places365_val_00000003", ""),
]  # fmt: skip


@pytest.mark.parametrize("container", ["tar", "folder"])
def test_containers(tmp_path: Path, container: str) -> None:
    if container == "tar":
        (tmp_path / "images").mkdir()
        packed = tar_bytes((name, b"image") for name, _, _ in CONTAINED)
        (tmp_path / "images/all.tar").write_bytes(packed)
    else:
        for name, _, _ in CONTAINED:
            (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "images" / name).write_bytes(b"image")
    tables = lists(tmp_path)
    source = SourceConfig(path=f"{tmp_path}/images", adapter="places365", tables=tables)
    check_tables(source)
    reader = open_reader(source)
    parts = [part for shard in list_shards(source) for part in read_parts(shard, source)]
    found = {s.sample_id: reader(s) for part in parts for s in part.samples}
    assert found == {own: named(name) for _, own, name in CONTAINED}


def test_the_real_lists(tmp_path: Path) -> None:
    names = shared_data() / "names"
    (tmp_path / "val.txt").write_text(
        "Places365_val_00020696.jpg 156\nPlaces365_val_00000002.jpg 71\n"
        "Places365_val_00000003.jpg 364\nPlaces365_val_00000004.jpg 0\n"
    )
    tables = {
        "categories": f"{names}/categories_places365.txt",
        "indoor_outdoor": f"{names}/IO_places365.txt",
        "val": f"{tmp_path}/val.txt",
    }
    reader = open_reader(SourceConfig(path="x", adapter="places365", tables=tables))
    categories = (names / "categories_places365.txt").read_text().split("\n")
    assert len(categories) == 365
    for line in categories:
        category = line.split(" ")[0]
        one = sample(f"data_256{category}/00000001.jpg")
        assert places365.sample_id(one) == f"{category[1:]}/00000001"
        (name,) = reader(one).class_names
        assert name.startswith(category[3:].replace("_", " ").replace("/", ", "))
    for number, expected in {
        "00020696": ("garage, indoor",),
        "00000002": ("bus station, indoor",),
        "00000003": ("zen garden (outdoor scene)",),
        "00000004": ("airfield (outdoor scene)",),
        "00000005": (),
    }.items():
        assert reader(sample(f"Places365_val_{number}.jpg")).class_names == expected


@pytest.mark.parametrize(
    ("table", "content", "says"),
    [
        ("categories", "/a/airfield 0", "got 1 numbers, expected the numbers 0 to 364"),
        ("categories", "", "got 0 numbers"),
        ("categories", "n01440764 0\n", "got n01440764 0, expected lines such as /a/airfield 0"),
        ("categories", "<html>\n", "got '<html>', expected a name and a number"),
        ("indoor_outdoor", "/a/airfield 3", "got /a/airfield 3, expected 365 categories, each"),
        ("indoor_outdoor", "/a/airfield 2", "got 1 categories, expected 365"),
        ("val", "Places365_val_00000001.jpg 365", "val_00000001.jpg 365, expected lines such as"),
        ("val", "Places365_val_00000001.jpg", "expected a name and a number on each line"),
        ("val", "/a/airfield/00000001.jpg 0", "got /a/airfield/00000001.jpg 0, expected lines"),
        ("val", "\n", "got no line"),
    ],
)
def test_odd_tables(tmp_path: Path, table: str, content: str, says: str) -> None:
    tables = lists(tmp_path, **{table: content})
    with pytest.raises(RecipeError) as caught:
        open_reader(SourceConfig(path="x", adapter="places365", tables=tables))
    assert f"source.tables.{table}: {tables[table]}: " in str(caught.value)
    assert says in str(caught.value)


def test_numbers_need_names(tmp_path: Path) -> None:
    tables = {"val": lists(tmp_path)["val"]}
    with pytest.raises(RecipeError, match=r"source\.tables\.categories: missing"):
        open_reader(SourceConfig(path="x", adapter="places365", tables=tables))
