"""OSV-5M: place, year and credits by id, from the table as published, traps included."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import check_tables, open_reader, osv5m
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.sources import list_shards, read_parts

HEADER = (
    "id,latitude,longitude,thumb_original_url,country,sequence,captured_at,lon_bin,lat_bin,cell,"
    "region,sub-region,city,land_cover,road_index,drive_side,climate,soil,dist_sea,"
    "quadtree_10_5000,quadtree_10_25000,quadtree_10_1000,quadtree_10_50000,quadtree_10_12500,"
    "quadtree_10_500,quadtree_10_2500,unique_region,unique_sub-region,unique_city,unique_country,"
    "creator_username,creator_id"
)
COLUMNS = HEADER.split(",")
IDS = [f"{number:016d}" for number in range(100)]


def row(own: str, **cells: str) -> list[str]:
    filled = {"id": own, "cell": "(0, 8)", "unique_city": "Waitangi_NaN_Chatham Islands_NZ"}
    filled |= {name.replace("sub_region", "sub-region"): cell for name, cell in cells.items()}
    return [filled.get(column, "") for column in COLUMNS]


def place(text: str) -> Hint:
    return Hint(HintKind.CONTEXT, f"taken in {text}")


def author(name: str) -> Hint:
    return Hint(HintKind.AUTHOR, f"Mapillary: {name}", Trust.HIGH)


LICENCE = Hint(HintKind.LICENCE, "CC BY-SA 4.0", Trust.HIGH)
FULL = {"country": "NZ", "region": "Chatham Islands", "city": "Waitangi"}
ROWS: list[tuple[dict[str, str], tuple[Hint, ...]]] = [
    (
        FULL | {"captured_at": "1464739200000", "creator_username": "roadroid"},
        (place("Waitangi, Chatham Islands, New Zealand"), place("2016"), author("roadroid")),
    ),
    ({"country": "NA", "city": "Windhoek"}, (place("Windhoek, Namibia"),)),
    ({"country": "NA", "city": "NaN", "region": "nan", "sub_region": ""}, (place("Namibia"),)),
    ({"country": "TH", "region": "Nan"}, (place("Nan, Thailand"),)),
    ({"country": "NaN", "city": "X"}, (place("X"),)),
    ({"country": "QQ", "city": "X"}, (place("X"),)),
    ({"country": "XK"}, (place("Kosovo"),)),
    ({"country": "CI", "city": "Sassandra"}, (place("Sassandra, Ivory Coast"),)),
    (
        {"country": "DE", "region": "Bayern", "sub_region": "Hof", "city": "Töpen"},
        (place("Töpen, Hof, Bayern, Germany"),),
    ),
    ({"country": "SG", "region": "Singapore", "city": "singapore"}, (place("singapore"),)),
    ({"country": "US", "city": 'A, "B"\nC'}, (place('A, "B" C, United States'),)),
    ({"captured_at": "1464739200000.0"}, (place("2016"),)),
    ({"captured_at": "1464739200"}, ()),  # were it seconds
    ({"captured_at": "NaN"}, ()),
    ({"captured_at": "inf"}, ()),
    ({"captured_at": "-1e300"}, ()),
    ({"captured_at": "2016-06-01"}, ()),
    ({"creator_username": "NaN"}, ()),
    ({}, ()),
]


def table(tmp_path: Path, rows: list[list[str]], header: str = HEADER) -> SourceConfig:
    with (tmp_path / "train.csv").open("w", newline="") as file:
        file.write(f"{header}\n")
        csv.writer(file, lineterminator="\n").writerows(rows)
    tables = {"metadata": str(tmp_path / "train.csv")}
    return SourceConfig(path=str(tmp_path / "images"), adapter="osv5m", tables=tables)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))


def sample(own: str) -> Sample:
    return Sample(own, own, 0, b"x", f"00/{own}.jpg")


def test_rows(tmp_path: Path) -> None:
    rows = [row(own, **cells) for own, (cells, _) in zip(IDS, ROWS, strict=False)]
    reader = open_reader(table(tmp_path, rows))
    for own, (cells, expected) in zip(IDS, ROWS, strict=False):
        assert reader(sample(own)) == Hints(others=(*expected, LICENCE), source="osv5m"), cells


def test_images_without_a_row(tmp_path: Path) -> None:
    reader = open_reader(table(tmp_path, [row(IDS[0], **FULL)]))
    assert reader(sample(IDS[1])) == Hints(others=(LICENCE,), source="osv5m")
    for odd in ("", "cover", "1.5", "٣" * 16, f"{IDS[0]}x", "\ud800"):
        assert reader(sample(odd)) == Hints(source="osv5m")


def test_rows_that_are_cut_or_have_no_id(tmp_path: Path) -> None:
    rows = [["no id"], [], row("NaN", **FULL), row(IDS[0], **FULL)[:13], [*row(IDS[1]), "more"]]
    reader = open_reader(table(tmp_path, rows))
    first = place("Waitangi, Chatham Islands, New Zealand")
    assert reader(sample(IDS[0])).others == (first, LICENCE)
    assert reader(sample(IDS[1])).others == (LICENCE,)


def test_columns_count_by_name(tmp_path: Path) -> None:
    header = "\ufeffcity,creator_username,captured_at,country,id,region,sub-region"
    source = table(tmp_path, [["C", "u", "", "NA", IDS[0], "R", "S"]], header)
    assert open_reader(source)(sample(IDS[0])).others == (
        place("C, S, R, Namibia"),
        author("u"),
        LICENCE,
    )


@pytest.mark.parametrize("inner", ["", "00/", "train/00/"])
def test_zips(tmp_path: Path, inner: str) -> None:
    (tmp_path / "images/train").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "images/train/00.zip", "w") as archive:
        for own in ("3859149887465501", "100000000000000001"):
            archive.writestr(f"{inner}{own}.jpg", b"image")
    source = table(tmp_path, [row("3859149887465501", **FULL), row("100000000000000001")])
    check_tables(source)
    (shard,) = list_shards(source)
    (part,) = read_parts(shard, source)
    assert shard.name == "train/00.zip"
    assert [s.sample_id for s in part.samples] == ["3859149887465501", "100000000000000001"]
    reader = open_reader(source)
    assert [len(reader(s).others) for s in part.samples] == [2, 1]
    assert reader(part.samples[0]).others[0] == place("Waitangi, Chatham Islands, New Zealand")


@pytest.mark.parametrize(
    ("header", "rows", "says"),
    [
        ("id,latitude,country", [["1", "2", "3"]], "got 'id,latitude,country', expected the CSV"),
        ("version https://git-lfs.github.com/spec/v1", [], "got 'version https://git-lfs"),
        (HEADER, [], "got no row with an id"),
        (HEADER, [row("3.859e15")], "got no row with an id"),
        (HEADER, [row(IDS[0]), row(IDS[1], city="x" * 200_000)], "got line 3, which is no CSV"),
    ],
)
def test_odd_tables(tmp_path: Path, header: str, rows: list[list[str]], says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        open_reader(table(tmp_path, rows, header))
    assert says in str(caught.value)
    assert "source.tables.metadata: " in str(caught.value)


def test_the_table_is_needed() -> None:
    with pytest.raises(RecipeError, match=r"the adapter osv5m needs train\.csv"):
        check_tables(SourceConfig(path="x", adapter="osv5m"))


def test_countries() -> None:
    assert len(osv5m.COUNTRIES) == 250  # ISO 3166 and Kosovo
    assert all(len(code) == 2 and code.isupper() for code in osv5m.COUNTRIES)
    assert len(set(osv5m.COUNTRIES.values())) == 250
