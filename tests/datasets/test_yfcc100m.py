"""YFCC100M: lines of 23 and 25 columns, decoded in the right order."""

from __future__ import annotations

import bz2
from pathlib import Path

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import open_reader
from recaption.datasets.yfcc100m import decoded, tags_of
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from tests.shared_data import shared_data


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))


def line(title: str = "", description: str = "", tags: str = "", marker: str = "0") -> str:
    """Return a line of 23 columns."""
    fields = [
        *("123", "39@N00", "Mira+Holt", "2012-02-16 09:56:37.0", "1329", "NIKON+D90"),
        *(title, description, tags, "", "", "", "", "http://www.flickr.com/photos/39@N00/123/"),
        *("http://farm8.staticflickr.com/1.jpg", "Attribution License"),
        *("http://creativecommons.org/licenses/by/2.0/", "1", "8", "a", "b", "jpg", marker),
    ]
    assert len(fields) == 23
    return "\t".join(fields) + "\n"


def hints(
    tmp_path: Path, text: str, name: str = "123.jpg", autotags: str = "", packed: bool = False
) -> Hints:
    file = tmp_path / ("lines.bz2" if packed else "lines")
    file.write_bytes(bz2.compress(text.encode()) if packed else text.encode())
    tables = {"lines": str(file)}
    if autotags:
        (tmp_path / "autotags").write_text(autotags)
        tables["autotags"] = str(tmp_path / "autotags")
    source = SourceConfig(path="x", adapter="yfcc100m", tables=tables)
    return open_reader(source)(Sample("s", "k", 0, b"x", image_name=name))


CREDITS = (
    Hint(
        HintKind.LICENCE,
        "Attribution License http://creativecommons.org/licenses/by/2.0/",
        Trust.HIGH,
    ),
    Hint(HintKind.AUTHOR, "Mira Holt", Trust.HIGH),
    Hint(HintKind.PAGE, "http://www.flickr.com/photos/39@N00/123/", Trust.HIGH),
)
TITLE, TEXT = "The+old+mill", "By+%3Ca+href%3D%22http%3A%2F%2Fx%22%3Eme%3C%2Fa%3E%0A2%2B2"


@pytest.mark.parametrize("packed", [False, True])
def test_title_description_and_tags(tmp_path: Path, packed: bool) -> None:
    text = line(TITLE, TEXT, "black+and+white,b%26w,salt%2C+pepper")
    assert hints(tmp_path, text, packed=packed) == Hints(
        "The old mill. By me 2+2",
        (),
        (
            *(Hint(HintKind.TAG, t, Trust.LOW) for t in ("black and white", "b&w", "salt, pepper")),
            *CREDITS,
        ),
        Trust.LOW,
        "yfcc100m",
    )


def test_the_wide_line_is_found_by_photo_id_and_by_hash(tmp_path: Path) -> None:
    narrow = line(TITLE).split("\t")
    digest = "4e2f7a26a1dfbf165a7e30bdabf7e72a"
    wide = "\t".join(["77", narrow[0], digest, *narrow[1:]])
    assert hints(tmp_path, wide).alt_text == "The old mill"
    by_hash = hints(tmp_path, wide, name=f"data/images/4e2/f7a/{digest}.jpg")
    assert by_hash.alt_text == "The old mill" and by_hash.others == CREDITS


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("IMG_0520", ""),
        ("DSC_1234.JPG", ""),
        ("P1010123", ""),
        ("12345678", ""),
        ("100_4321", ""),
        ("IMG_0520+at+the+mill", "IMG_0520 at the mill"),
        ("Route+66", "Route 66"),
        ("caf%C3%A9+%26amp%3B+bar", "café & bar"),
        ("see+http%3A%2F%2Fx.com%2Fy+now", "see now"),
        ("1+%3C+2+and+3+%3E+2", "1 < 2 and 3 > 2"),
        ("", ""),
    ],
)
def test_titles(field: str, text: str) -> None:
    assert decoded(field) == text


def test_a_comma_in_a_tag_is_no_separator() -> None:
    assert tags_of("a%2Cb,c,c,,d+e") == ["a,b", "c", "d e"]


def test_autotags_above_the_limit(tmp_path: Path) -> None:
    tags = "123\toutdoor:0.99,dog%20run:0.91,cat:0.85,odd,:0.99\n9\tx:1\n"
    found = hints(tmp_path, line(TITLE), autotags=tags)
    labels = [hint.text for hint in found.others if hint.kind is HintKind.LABEL]
    assert labels == ["outdoor", "dog run"]


def test_videos_and_strangers_have_no_hints(tmp_path: Path) -> None:
    assert hints(tmp_path, line(TITLE, marker="1")) == Hints(source="yfcc100m")
    assert hints(tmp_path, line(TITLE), name="124.jpg") == Hints(source="yfcc100m")
    assert hints(tmp_path, line(TITLE), name="no id.jpg") == Hints(source="yfcc100m")


def test_another_number_of_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"line 1 has 2 columns, expected 25 or 23"):
        hints(tmp_path, "a\tb\n")


def test_real_lines_say_the_same_in_both_layouts(tmp_path: Path) -> None:
    folder = shared_data() / "yfcc100m"
    narrow = (folder / "yfcc100m_dataset_23col.tsv").read_text()
    wide = (folder / "yfcc100m_dataset_25col_derived.tsv").read_text()
    for name in ("7088065.jpg", "343224206.jpg", "6325727670.jpg"):
        found = hints(tmp_path, narrow, name)
        assert found == hints(tmp_path, wide, name) and found.alt_text
    gnome = hints(tmp_path, narrow, "7088065.jpg")
    assert gnome.alt_text == ("Gnome. This gnome just appeared three stories up at school one day.")
    assert gnome.texts(HintKind.TAG) == ["2005", "bushschool", "gnome", "prank", "washington"]
    fog = hints(tmp_path, narrow, "6325727670.jpg")
    assert "b&w" in fog.texts(HintKind.TAG) and "power lines! Photomatrix" in fog.alt_text
