"""Open Images: each table in its published layout, and what becomes of it, traps included."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import Tables, check_tables, open_reader, openimages_tables
from recaption.datasets.openimages_objects import Box, describe
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.writing import write_set
from recaption.sources import list_shards, read_parts
from tests.corpora import jpeg, write_tar
from tests.shared_data import shared_data

A, B, C = "000595fe6fee6369", "0000000000000002", "fffe3e7b5b5ec2a1"
CLASSES = """LabelName,DisplayName
/m/01yrx,Cat
/m/0bt9lr,Dog
/m/03bt1vf,"Woman, standing"
/m/0fp7c,"The ""Ring"" façade"
/g/11b7,Bird
/m/01h44,Bat (animal)
/m/0nameless,
/m/bat1,Bat
/m/bat2,bat
"""
LABELS = "ImageID,Source,LabelName,Confidence\n"
HUMAN = f"""{LABELS}{A},verification,/m/01yrx,1
{A},crowdsource-verification,/m/0bt9lr,0
{B},verification,/m/0bt9lr,0.0
{A},verification,/m/03bt1vf,1.0
{A},verification,/m/unknown,1
{A},verification,/m/0nameless,1
{A},verification,/m/01yrx,1
{C},verification,/g/11b7,1
{C},verification,/g/11b7,0
{C},verification,/m/bat1,1
{C},verification,/m/bat2,0
{C},verification,/m/01h44,0.5
{C},verification,/m/01h44,maybe
"""
MACHINE = f"""{LABELS}{A},machine,/g/11b7,0.7
{A},machine,/m/0fp7c,0.9
{A},machine,/m/01yrx,1
{A},machine,/m/0bt9lr,0.95
{B},machine,/m/01yrx,0.6
{B},machine,/m/0fp7c,nan
"""
BOXES = f"""\
ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,\
IsDepiction,IsInside,XClick1X
{A},xclick,/m/01yrx,1,0.0,0.2,0.0,0.2,0,0,0,0,0,0.5
{A},xclick,/m/0bt9lr,1,0.1,0.3,0.1,0.3,0,0,0,0,0,0.5
{A},xclick,/m/0bt9lr,1,0.6,0.9,0.1,0.3,0,0,-1,-1,0,0.5
{A},xclick,/g/11b7,1,0.5,0.95,0.3,0.7,0,0,1,0,0,0.5
{A},xclick,/m/unknown,1,0.7,0.9,0.4,0.6,0,0,1,0,0,0.5
{B},xclick,/m/01yrx,1,0.45,0.55,0.45,0.55,0,0,0,1,0,0.5
"""
IMAGES = f"""\
ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,OriginalSize,\
OriginalMD5,Thumbnail300KURL,Rotation
{A},train,https://x/o.jpg,https://x/page,https://cc/by/2.0/,https://x/a,"Anna, K.",\
"My cat, ""Tom""\nin Łódź",4495002,abc==,,90.0
{B},train,https://x/o.jpg,,,,,,1,abc==,,
"""
TABLES = {
    "classes": CLASSES,
    "human_labels": HUMAN,
    "machine_labels": MACHINE,
    "boxes": BOXES,
    "images": IMAGES,
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))


def source_of(folder: Path, *names: str, path: str = "x", **changed: str) -> SourceConfig:
    """Write the tables of these names, or all of them; return the recipe's part."""
    tables = {name: str(folder / f"{name}.csv") for name in names or TABLES}
    for name, file in tables.items():
        Path(file).write_text(changed.get(name, TABLES[name]), encoding="utf-8")
    return SourceConfig(path=path, adapter="openimages", tables=tables)


def hints(source: SourceConfig, image_id: str) -> Hints:
    check_tables(source)
    return open_reader(source)(Sample("s", image_id, 0, b"x", image_name=f"train_0/{image_id}.jpg"))


def high(kind: HintKind, *texts: str) -> tuple[Hint, ...]:
    return tuple(Hint(kind, text, Trust.HIGH) for text in texts)


def guesses(*texts: str) -> tuple[Hint, ...]:
    return tuple(Hint(HintKind.LABEL, text, Trust.MEDIUM) for text in texts)


EXPECTED = {
    A: Hints(
        'My cat, "Tom" in Łódź',
        ("Cat", "Woman, standing"),
        (
            *high(HintKind.OBJECT, "a group of birds at the right", "2 dogs"),
            *high(HintKind.OBJECT, "a cat at the top left"),
            *guesses('The "Ring" façade', "Bird"),
            *high(HintKind.ABSENT, "Dog"),
            *high(HintKind.LICENCE, "https://cc/by/2.0/"),
            *high(HintKind.AUTHOR, "Anna, K."),
            *high(HintKind.PAGE, "https://x/page"),
        ),
        Trust.HIGH,
        "openimages",
    ),
    B: Hints(
        "",
        (),
        (
            *high(HintKind.OBJECT, "a picture of a cat in the middle"),
            *high(HintKind.ABSENT, "Dog"),
        ),
        Trust.HIGH,
        "openimages",
    ),
    C: Hints("", ("Bat",), (), Trust.HIGH, "openimages"),
}


@pytest.mark.parametrize("image_id", EXPECTED)
@pytest.mark.parametrize("block", [512, 1 << 20])
def test_all_that_is_known_of_an_image(
    tmp_path: Path, image_id: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openimages_tables, "_BLOCK", block)  # an image's rows lie in several
    assert hints(source_of(tmp_path), image_id) == EXPECTED[image_id]


@pytest.mark.parametrize("name", ["ffffffffffffffff", "0005", "", "a/../" + A[1:], A.upper()])
def test_nothing_is_known_of_others(tmp_path: Path, name: str) -> None:
    nothing = Hints(class_trust=Trust.HIGH, source="openimages")
    assert hints(source_of(tmp_path), name) == nothing
    assert hints(SourceConfig(path="x", adapter="openimages"), A) == nothing


def test_the_score_that_the_recipe_asks_for(tmp_path: Path) -> None:
    source = source_of(tmp_path, "classes", "machine_labels")
    asked = source.model_copy(update={"min_label_score": 0.6})
    assert hints(source, A).texts(HintKind.LABEL) == ["Cat", "Dog", 'The "Ring" façade', "Bird"]
    assert hints(source, B).others == ()
    assert hints(asked, B).others == guesses("Cat")


@pytest.mark.parametrize("is_bare", [True, False])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_class_descriptions(tmp_path: Path, is_bare: bool, mark: str) -> None:
    text = mark + (CLASSES.partition("\n")[2] if is_bare else CLASSES.replace("\n", "\r\n"))
    source = source_of(tmp_path, "classes", "human_labels", classes=text)
    assert hints(source, A).class_names == ("Cat", "Woman, standing")


@pytest.mark.parametrize(
    "changed",
    [
        "\ufeff" + HUMAN,
        HUMAN.replace("\n", "\r\n"),
        HUMAN.replace("ImageID,Source", "ImageID, Source ", 1),
        "".join(",".join(reversed(row.split(","))) + "\n" for row in HUMAN.splitlines()),
        HUMAN.replace(f"{B},", f"odd\n{B},x,y,z,1,2,3\n{B},", 1),
        HUMAN.replace(",/m/01yrx,", ',"/m/01yrx",'),
        HUMAN.replace("/m/0bt9lr,0\n", "/m/0bt9lr,0\n\n", 1),
    ],
)
def test_a_table_written_by_another_tool(tmp_path: Path, changed: str) -> None:
    source = source_of(tmp_path, "classes", "human_labels", human_labels=changed)
    assert hints(source, A).class_names == ("Cat", "Woman, standing")
    assert hints(source, A).texts(HintKind.ABSENT) == ["Dog"]
    assert hints(source, B).texts(HintKind.ABSENT) == ["Dog"]


def test_odd_letters_in_a_title_stop_nothing(tmp_path: Path) -> None:
    source = source_of(tmp_path, "images")
    odd = IMAGES.encode().replace("Łódź".encode(), b"caf\xe9")
    odd += f"{C},train,,p\x1f\x1e,,,,cut,1,,,\n".encode()
    (tmp_path / "images.csv").write_bytes(odd)
    assert hints(source, A).alt_text == 'My cat, "Tom" in caf\ufffd'
    assert hints(source, C) == Hints(class_trust=Trust.HIGH, source="openimages")


def test_a_table_in_several_files_packed_or_not(tmp_path: Path) -> None:
    source = source_of(tmp_path, "classes")
    lines = HUMAN.splitlines(keepends=True)
    (tmp_path / "val-labels.csv").write_text("".join(lines[:3]))
    (tmp_path / "train-labels.csv.gz").write_bytes(
        gzip.compress("".join([LABELS, *lines[3:]]).encode())
    )
    (tmp_path / "test-labels.csv").write_text(LABELS)
    tables = {**source.tables, "human_labels": f"{tmp_path}/*-labels.csv*"}
    found = hints(source.model_copy(update={"tables": tables}), A)
    assert sorted(found.class_names) == ["Cat", "Woman, standing"]
    assert found.texts(HintKind.ABSENT) == ["Dog"]


@pytest.mark.parametrize(
    ("names", "changed", "message"),
    [
        (("human_labels",), {}, "got no source.tables.classes beside it, expected one"),
        (("boxes",), {}, "source.tables.boxes: got no source.tables.classes"),
        (("classes",), {"classes": "Cat\nDog\n"}, r"the row 'Cat', expected /m/CODE,NAME"),
        (("classes",), {"classes": HUMAN}, "the row 'ImageID,Source,LabelName,Confidence'"),
        (
            ("classes", "boxes"),
            {"boxes": HUMAN},
            r"boxes: .*got the header 'ImageID,Source,LabelName,Confidence' .*without IsDepiction",
        ),
        (("classes", "boxes"), {"boxes": ""}, "got the header ''"),
    ],
)
def test_a_table_laid_out_otherwise_is_refused(
    tmp_path: Path, names: tuple[str, ...], changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        hints(source_of(tmp_path, *names, **changed), B)


def test_a_missing_table_says_which_file_was_looked_for(tmp_path: Path) -> None:
    source = SourceConfig(path="x", adapter="openimages", tables={"classes": f"{tmp_path}/no.csv"})
    with pytest.raises(RecipeError, match=r"source.tables.classes: looked for .*no.csv"):
        check_tables(source)


def test_a_quote_that_is_never_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openimages_tables, "_BLOCK", 4096)
    text = IMAGES + f'{C},train,"open,\n' + f"{B},train,,,,,,,1,,,\n" * 500
    with pytest.raises(RecipeError, match=r"images: .*csv, which cannot be read"):
        hints(source_of(tmp_path, "images", images=text), A)


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    source = source_of(tmp_path, "images")
    file = tmp_path / "images.csv.gz"
    file.write_bytes(gzip.compress(IMAGES.encode())[:-9])
    tables = {"images": str(file)}
    with pytest.raises(RecipeError, match=r"images\.csv\.gz, which cannot be read"):
        hints(source.model_copy(update={"tables": tables}), A)


@pytest.mark.parametrize("layout", ["tar", "folder", "webdataset"])
def test_ids_and_hints_in_each_layout(tmp_path: Path, layout: str) -> None:
    names = [f"{'' if layout == 'webdataset' else 'train_0/'}{one}.jpg" for one in EXPECTED]
    path = tmp_path / "images"
    if layout == "folder":
        (path / "train_0").mkdir(parents=True)
        for name in names:
            (path / name).write_bytes(jpeg())
    else:
        members = [(name, jpeg()) for name in names]
        if layout == "webdataset":
            members += [(name.replace("jpg", "json"), b'{"caption": "not this"}') for name in names]
        path = write_tar(tmp_path / "train_0.tar", sorted(members))
    source = source_of(tmp_path, path=str(path))
    reader = open_reader(source)
    parts = [part for shard in list_shards(source) for part in read_parts(shard, source)]
    found = {sample.sample_id: reader(sample) for part in parts for sample in part.samples}
    assert found == EXPECTED


DOG = ("Dog", 0.0, 0.3, 0.4, 0.6)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], []),
        ([Box(*DOG)], ["a dog at the left"]),
        ([Box(*DOG)] * 3, ["3 dogs"]),
        ([Box(*DOG, is_group=True)], ["a group of dogs at the left"]),
        ([Box(*DOG, is_group=True)] * 2, ["2 groups of dogs"]),
        ([Box(*DOG, is_depiction=True)], ["a picture of a dog at the left"]),
        ([Box(*DOG, is_depiction=True)] * 2, ["2 pictures of dogs"]),
        ([Box(*DOG, True, True)], ["a picture of a group of dogs at the left"]),
        (
            [Box(*DOG), Box(*DOG, is_group=True)],
            ["a dog at the left", "a group of dogs at the left"],
        ),
        ([Box("Dog", 0.7, 1.0, 0.7, 1.0)], ["a dog at the bottom right"]),
        ([Box("Dog", 0.4, 0.6, 0.0, 0.3)], ["a dog at the top"]),
        ([Box("Dog", 0.4, 0.6, 0.4, 0.6)], ["a dog in the middle"]),
        ([Box("Dog", 0.0, 0.9, 0.0, 0.9)], ["a dog"]),
        ([Box("Dog", 0.3, 0.1, 0.4, 0.6)], ["a dog"]),
        ([Box("Dog", float("nan"), 0.1, 0.4, 0.6)], ["a dog"]),
        ([Box("Dog", 0.0, float("inf"), 0.4, 0.6)], ["a dog"]),
        ([Box("Dog", 200.0, 300.0, 40.0, 60.0)], ["a dog"]),
        (
            [Box("Ant", 0.0, 0.1, 0.0, 0.1), Box(*DOG)],
            ["a dog at the left", "an ant at the top left"],
        ),
        ([Box("Scissors", 0.0, 0.1, 0.4, 0.6)], ["scissors at the left"]),
        ([Box("Human hair", 0.0, 0.1, 0.4, 0.6)] * 2, ["human hair in 2 places"]),
        ([Box("Clothing", *DOG[1:], is_group=True)], ["a group of clothing at the left"]),
    ],
)
def test_boxes_in_words(boxes: list[Box], expected: list[str]) -> None:
    assert describe(boxes) == expected


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("Person", "a person", "2 people"),
        ("Snowman", "a snowman", "2 snowmen"),
        ("Kitchen knife", "a kitchen knife", "2 kitchen knives"),
        ("Umbrella", "an umbrella", "2 umbrellas"),
        ("Unicycle", "a unicycle", "2 unicycles"),
        ("Chest of drawers", "a chest of drawers", "2 chests of drawers"),
        ("Bat (animal)", "a bat (animal)", "2 bats (animal)"),
        ("Crane, a bird", "a crane, a bird", "2 cranes, a bird"),
        ("Toothbrush", "a toothbrush", "2 toothbrushes"),
        ("Butterfly", "a butterfly", "2 butterflies"),
        ("Boy", "a boy", "2 boys"),
        ("Bus", "a bus", "2 buses"),
        ("Sheep", "a sheep", "2 sheep"),
        ("Band-aid", "a band-aid", "2 band-aids"),
        ("TV", "a TV", "2 TVs"),
        ("Jeans", "jeans", "jeans in 2 places"),
        ("Sports equipment", "sports equipment", "sports equipment in 2 places"),
        (" ", "a  ", "2  s"),
    ],
)
def test_one_and_more_of_a_kind(name: str, one: str, two: str) -> None:
    box = Box(name, 0.0, 1.0, 0.0, 1.0)
    assert describe([box]) == [one] and describe([box, box]) == [two]


def test_no_more_than_a_dozen_phrases() -> None:
    boxes = [Box(f"Thing {n}", 0.0, 0.1 + n / 50, 0.0, 0.5) for n in range(30)]
    assert describe(boxes)[0] == "a thing 29 at the top left" and len(describe(boxes)) == 12


def test_a_rendered_set(tmp_path: Path) -> None:
    write_set(RenderedSet(11, 1, 12, 48), "openimages", str(tmp_path), 1)
    tables = {
        "classes": "oidv7-class-descriptions.csv",
        "human_labels": "oidv7-val-annotations-human-imagelabels.csv",
        "machine_labels": "oidv7-val-annotations-machine-imagelabels.csv",
        "boxes": "validation-annotations-bbox.csv",
        "images": "validation-images-with-rotation.csv",
    }
    places = {name: str(tmp_path / file) for name, file in tables.items()}
    source = SourceConfig(path=f"{tmp_path}/validation", adapter="openimages", tables=places)
    lines = {name: Path(file).read_text().splitlines() for name, file in places.items()}
    rows = {name: list(csv.DictReader(lines[name])) for name in places}
    names = {row["LabelName"]: row["DisplayName"] for row in rows["classes"]}
    reader = open_reader(source)
    parts = [part for shard in list_shards(source) for part in read_parts(shard, source)]
    found = {sample.sample_id: reader(sample) for part in parts for sample in part.samples}
    assert sorted(found) == sorted(row["ImageID"] for row in rows["images"]) and len(found) == 12
    for row in rows["images"]:
        one = found[row["ImageID"]]
        human = [r for r in rows["human_labels"] if r["ImageID"] == row["ImageID"]]
        present = [names[r["LabelName"]] for r in human if r["Confidence"] == "1"]
        absent = [names[r["LabelName"]] for r in human if r["Confidence"] == "0"]
        kinds = {
            (r["LabelName"], r["IsDepiction"])
            for r in rows["boxes"]
            if r["ImageID"] == row["ImageID"]
        }
        assert (one.alt_text, list(one.class_names)) == (" ".join(row["Title"].split()), present)
        assert one.texts(HintKind.ABSENT) == absent
        assert len(one.texts(HintKind.OBJECT)) == min(len(kinds), 12)


@pytest.mark.parametrize(
    ("file", "count", "name"),
    [
        ("oidv6-class-descriptions.csv", 19_994, 'Fiat 500 "topolino"'),
        ("oidv6-class-descriptions.csv", 19_994, "Citroën sm"),
        ("oidv6-class-descriptions.csv", 19_994, "Ducks, geese and swans"),
        ("class-descriptions-boxable.csv", 601, "Tortoise"),
    ],
)
def test_the_real_class_descriptions(file: str, count: int, name: str) -> None:
    path = str(shared_data() / "names" / file)
    names = openimages_tables.load_classes(Tables({"classes": path}))
    assert len(names) == count and name in names.values()
