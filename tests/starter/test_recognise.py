"""Which data set lies there: told by names and by the tables beside, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from recaption.config import Recipe
from recaption.datasets import check_tables, load_adapter
from recaption.recipe_file import parse_recipe, parse_yaml
from recaption.starter import Wishes, make_starter
from recaption.starter.recognise import _TABLES
from tests.corpora import jpeg, write_tar

HASH = "0123456789abcdef" * 2


def recipe_for(place: Path) -> Recipe:
    made = make_starter(str(place), "recipe.yaml", Wishes("random:tiny"))
    return parse_recipe(parse_yaml(made.text.encode(), "recipe.yaml"))


SETS: dict[str, tuple[str, list[str], list[str], dict[str, str], str]] = {
    # adapter: the folder that is named, images below it, files beside, tables found, subject
    "imagenet": ("train", ["train/n01440764/n01440764_10026.JPEG"], [], {}, ""),
    "inaturalist": (
        "train",
        ["train/00000_Animalia_Annelida_Lumbricus_terrestris/5b6a1ab8.jpg"],
        ["train.json", "val.json"],
        {"categories": "train.json"},
        "species",
    ),
    "places365": (
        "data_large",
        ["data_large/a/airfield/00000001.jpg", "data_large/b/bus_station/indoor/00000002.jpg"],
        ["categories_places365.txt", "IO_places365.txt"],
        {"categories": "categories_places365.txt", "indoor_outdoor": "IO_places365.txt"},
        "scene",
    ),
    "sa1b": ("", ["sa_223750.jpg", "sa_223751.jpg"], [], {}, "blurred"),
    "plantnet": (
        "images",
        [f"images/train/1355868/{HASH}.jpg"],
        ["plantnet300K_species_id_2_name.json"],
        {"species": "plantnet300K_species_id_2_name.json"},
        "species",
    ),
    "openimages": (
        "train",
        ["train/000002b66c9c498e.jpg"],
        [
            "metadata/oidv7-class-descriptions.csv",
            "metadata/oidv7-train-annotations-human-imagelabels.csv",
            "metadata/oidv7-val-annotations-human-imagelabels.csv",
        ],
        {
            "classes": "metadata/oidv7-class-descriptions.csv",
            "human_labels": "metadata/oidv7-train-annotations-human-imagelabels.csv",
        },
        "",
    ),
    "osv5m": (
        "images/train",
        ["images/train/1234567890123456.jpg"],
        ["train.csv", "test.csv"],
        {"metadata": "train.csv"},
        "street",
    ),
    "yfcc100m": (
        "",
        ["6985418911_df7747990d.jpg"],
        ["yfcc100m_dataset.bz2"],
        {"lines": "yfcc100m_dataset.bz2"},
        "",
    ),
}


def lay_out(root: Path, images: list[str], tables: list[str]) -> None:
    for name in images + tables:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg() if name in images else b"x")


@pytest.mark.parametrize("adapter", SETS)
def test_a_data_set_is_recognised_with_its_tables(tmp_path: Path, adapter: str) -> None:
    place, images, beside, tables, subject = SETS[adapter]
    lay_out(tmp_path, images, beside)
    recipe = recipe_for(tmp_path / place)
    assert recipe.source.adapter == adapter
    assert recipe.source.tables == {name: f"{tmp_path}/{file}" for name, file in tables.items()}
    assert recipe.caption.subject == subject
    check_tables(recipe.source)


@pytest.mark.parametrize(
    "name",
    [
        "0123456789abcdef.jpg",  # 16 hex digits, but no tables of Open Images
        f"1355868/{HASH}.jpg",
        "1234567890123456.jpg",
        "6985418911_df7747990d.jpg",
        "n1/n014.jpg",
    ],
)
def test_names_that_others_have_too_are_not_enough(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path / "in", [name], [])
    assert recipe_for(tmp_path / "in").source.adapter == "generic"


def test_one_image_of_another_kind_is_enough_to_be_none(tmp_path: Path) -> None:
    lay_out(tmp_path, ["sa_223750.jpg", "holiday.jpg"], [])
    assert recipe_for(tmp_path).source.adapter == "generic"


def test_a_link_in_a_strangers_folder_names_no_table(tmp_path: Path) -> None:
    lay_out(tmp_path, ["data/6985418911_df7747990d.jpg"], ["secret"])
    (tmp_path / "data" / "yfcc100m_dataset.bz2").symlink_to(tmp_path / "secret")
    assert recipe_for(tmp_path / "data").source.adapter == "generic"


def test_imagenet_as_published_a_tar_for_each_class(tmp_path: Path) -> None:
    write_tar(tmp_path / "n01440764.tar", [("n01440764_10026.JPEG", jpeg())])
    write_tar(tmp_path / "n01443537.tar", [("n01443537_2.JPEG", jpeg())])
    assert recipe_for(tmp_path).source.adapter == "imagenet"


def test_the_tables_are_those_that_the_adapters_have() -> None:
    for adapter, tables in _TABLES.items():
        assert tables.keys() <= {table.name for table in load_adapter(adapter).TABLES}
