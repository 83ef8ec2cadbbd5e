"""Open Images: each table in its real layout, and what becomes of it, traps included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import check_tables, openimages
from recaption.datasets import open_reader as open_any
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.sources import list_shards, read_parts
from tests.shared_data import shared_data
from tests.sources.tars import tar_bytes

CLASSES = """LabelName,DisplayName
/m/01yrx,Cat
/m/0bt9lr,Dog
/m/03bt1vf,"Woman, standing"
/m/0fp7c,"The ""Ring"" façade"
/g/11b7,Bird
"""
HUMAN = """ImageID,Source,LabelName,Confidence
000595fe6fee6369,verification,/m/01yrx,1
000595fe6fee6369,crowdsource-verification,/m/0bt9lr,0
000595fe6fee6369,verification,/m/03bt1vf,1.0
0000000000000002,verification,/m/0bt9lr,0.0
000595fe6fee6369,verification,/m/unknown,1
"""
MACHINE = """ImageID,Source,LabelName,Confidence
000595fe6fee6369,machine,/g/11b7,0.7
000595fe6fee6369,machine,/m/0fp7c,0.9
000595fe6fee6369,machine,/m/01yrx,1
000595fe6fee6369,machine,/m/0bt9lr,0.95
0000000000000002,machine,/m/01yrx,0.6
"""
BOXES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
    "IsDepiction,IsInside,XClick1X\n"
    "000595fe6fee6369,xclick,/m/01yrx,1,0.0,0.2,0.0,0.2,0,0,0,0,0,0.5\n"
    "000595fe6fee6369,xclick,/m/0bt9lr,1,0.1,0.3,0.1,0.3,0,0,0,0,0,0.5\n"
    "000595fe6fee6369,xclick,/m/0bt9lr,1,0.6,0.9,0.1,0.3,0,0,0,0,0,0.5\n"
    "000595fe6fee6369,xclick,/g/11b7,1,0.7,0.9,0.4,0.6,0,0,1,0,0,0.5\n"
    "0000000000000002,xclick,/m/01yrx,1,0.45,0.55,0.45,0.55,0,0,0,1,0,0.5\n"
)
IMAGES = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,"
    "OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation\n"
    "000595fe6fee6369,train,https://x/o.jpg,https://x/page,https://cc/by/2.0/,https://x/a,"
    '"Anna, K.","My cat, ""Tom""",4495002,abc==,,90.0\n'
)
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


def source_of(tmp_path: Path, *names: str, path: str = "x", **changed: str) -> SourceConfig:
    tables = {}
    for name in names or TABLES:
        file = tmp_path / f"{name}.csv"
        file.write_text(changed.get(name, TABLES[name]), encoding="utf-8")
        tables[name] = str(file)
    return SourceConfig(path=path, adapter="openimages", tables=tables)


def hints(source: SourceConfig, image_id: str) -> Hints:
    check_tables(source)
    return open_any(source)(Sample("s", image_id, 0, b"x", image_name=f"train_0/{image_id}.jpg"))


def test_all_that_is_known_of_an_image(tmp_path: Path) -> None:
    found = hints(source_of(tmp_path), "000595fe6fee6369")
    assert found == Hints(
        'My cat, "Tom"',
        ("Cat", "Woman, standing"),
        (
            Hint(HintKind.ABSENT, "Dog", Trust.HIGH),
            Hint(HintKind.OBJECT, "a group of Bird at the right", Trust.HIGH),
            Hint(HintKind.OBJECT, "Cat at the top left", Trust.HIGH),
            Hint(HintKind.OBJECT, "2 x Dog", Trust.HIGH),
            Hint(HintKind.LABEL, 'The "Ring" façade', Trust.MEDIUM),
            Hint(HintKind.LABEL, "Bird", Trust.MEDIUM),
            Hint(HintKind.LICENCE, "https://cc/by/2.0/", Trust.HIGH),
            Hint(HintKind.AUTHOR, "Anna, K.", Trust.HIGH),
            Hint(HintKind.PAGE, "https://x/page", Trust.HIGH),
        ),
        Trust.HIGH,
        "openimages",
    )


def test_leading_zeros_stay_and_little_is_known_of_another(tmp_path: Path) -> None:
    found = hints(source_of(tmp_path), "0000000000000002")
    assert found.class_names == () and found.alt_text == ""
    assert [(str(h.kind), h.text) for h in found.others] == [
        ("absent", "Dog"),
        ("object", "a picture of a Cat in the middle"),
    ]
    assert hints(source_of(tmp_path), "ffffffffffffffff") == Hints(
        class_trust=Trust.HIGH, source="openimages"
    )


def test_class_names_without_a_header(tmp_path: Path) -> None:
    bare = CLASSES.partition("\n")[2]
    found = hints(source_of(tmp_path, "classes", "human_labels", classes=bare), "000595fe6fee6369")
    assert found.class_names == ("Cat", "Woman, standing")


@pytest.mark.parametrize(
    ("names", "changed", "message"),
    [
        (("human_labels",), {}, "source.tables.classes is needed too"),
        (("classes",), {"classes": "Cat\nDog\n"}, "expected /m/CODE,NAME"),
        (("classes", "boxes"), {"boxes": HUMAN}, "expected the columns ImageID, LabelName, XMin"),
    ],
)
def test_a_table_laid_out_otherwise_is_refused(
    tmp_path: Path, names: tuple[str, ...], changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        hints(source_of(tmp_path, *names, **changed), "0000000000000002")


def test_a_missing_table_says_which_file_was_looked_for(tmp_path: Path) -> None:
    source = SourceConfig(path="x", adapter="openimages", tables={"classes": f"{tmp_path}/no.csv"})
    with pytest.raises(RecipeError, match=r"source.tables.classes: looked for .*no.csv"):
        check_tables(source)


def test_ids_are_the_data_sets_own_through_a_tar(tmp_path: Path) -> None:
    shard = tar_bytes([("train_0/000595fe6fee6369.jpg", b"x")])
    (tmp_path / "train_0.tar").write_bytes(shard)
    source = source_of(tmp_path, path=str(tmp_path / "train_0.tar"))
    (part,) = read_parts(list_shards(source)[0], source)
    (sample,) = part.samples
    assert sample.sample_id == "000595fe6fee6369"
    assert open_any(source)(sample).class_names == ("Cat", "Woman, standing")


def test_the_real_class_descriptions_are_read(tmp_path: Path) -> None:
    files = sorted((shared_data() / "names").glob("*class-descriptions*"))
    assert files
    for file in files:
        source = SourceConfig(path="x", adapter="openimages", tables={"classes": str(file)})
        names = openimages._class_names(openimages.Tables(source.tables))
        assert len(names) in (601, 19_994) and "Tortoise" in names.values()
