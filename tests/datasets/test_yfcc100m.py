"""YFCC100M: lines of 23 and 25 columns, decoded in the right order, and whose image is whose."""

from __future__ import annotations

import bz2
import hashlib
from pathlib import Path

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import check_tables, open_reader
from recaption.datasets.yfcc100m import decode, split_tags, sure_labels
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.writing import write_set
from recaption.sources import list_shards, read_parts
from tests.corpora import jpeg, write_tar
from tests.shared_data import shared_data

HASH = "4e2f7a26a1dfbf165a7e30bdabf7e72a"
SHORT_HASH = "cef4603bdb5b48f323cf632f04d687a"
NOTHING = Hints(source="yfcc100m")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))


def narrow(
    title: str = "", description: str = "", tags: str = "", marker: str = "0", photo: str = "123"
) -> list[str]:
    """Return a line of 23 columns, split."""
    return [
        *(photo, "39089491@N00", "Mira+Holt%26Co", "2012-02-16 09:56:37.0", "1329417397"),
        *("Canon+EOS", title, description, tags, "vision:outdoor=099", "", "", ""),
        f"http://www.flickr.com/photos/39089491@N00/{photo}/",
        "http://farm8.staticflickr.com/7205/6985418911_df7747990d.jpg",
        *("Attribution License", "http://creativecommons.org/licenses/by/2.0/"),
        *("7205", "8", "df7747990d", "692d7e0a7f", "jpg", marker),
    ]


def wide(*fields: str, name: str = HASH, **named: str) -> list[str]:
    """Return the same of 25 columns."""
    photo, *rest = narrow(*fields, **named)
    return ["77", photo, name, *rest]


def text_of(*lines: list[str]) -> str:
    return "".join("\t".join(line) + "\n" for line in lines)


def source_of(folder: Path, text: str, autotags: str = "", path: str = "x") -> SourceConfig:
    tables = {"lines": folder / "yfcc100m_dataset"}
    tables["lines"].write_text(text, encoding="utf-8", newline="\n")
    if autotags:
        tables["autotags"] = folder / "yfcc100m_autotags"
        tables["autotags"].write_text(autotags)
    places = {name: str(file) for name, file in tables.items()}
    return SourceConfig(path=path, adapter="yfcc100m", tables=places)


def hints(source: SourceConfig, name: str = "123.jpg") -> Hints:
    check_tables(source)
    return open_reader(source)(Sample("s", "k", 0, b"x", image_name=name))


def tags(*texts: str) -> tuple[Hint, ...]:
    return tuple(Hint(HintKind.TAG, text, Trust.LOW) for text in texts)


def credits(photo: str = "123") -> tuple[Hint, ...]:
    texts = {
        HintKind.LICENCE: "Attribution License (http://creativecommons.org/licenses/by/2.0/)",
        HintKind.AUTHOR: "Mira Holt&Co",
        HintKind.PAGE: f"http://www.flickr.com/photos/39089491@N00/{photo}/",
    }
    return tuple(Hint(kind, text, Trust.HIGH) for kind, text in texts.items())


FIELDS = (
    "The+old+mill",
    "By+%3Ca+href%3D%22http%3A%2F%2Fx%22%3Eme%3C%2Fa%3E%0A2%2B2%09is+%3Cb%3E4%3C%2Fb%3E",
    "black+and+white,b%26w,salt%2C+pepper",
)
MILL = Hints(
    "The old mill. By me 2+2 is 4",
    others=(*tags("black and white", "b&w", "salt, pepper"), *credits()),
    source="yfcc100m",
)


@pytest.mark.parametrize("line", [narrow(*FIELDS), wide(*FIELDS)], ids=["23", "25"])
@pytest.mark.parametrize("end", ["\n", ""])
def test_title_description_tags_and_credits(tmp_path: Path, line: list[str], end: str) -> None:
    text = text_of(narrow("Other", photo="99"), line)
    assert hints(source_of(tmp_path, text[:-1] + end)) == MILL


def test_the_release_of_ten_packed_files(tmp_path: Path) -> None:
    source = source_of(tmp_path, "")
    for number in range(10):
        line = text_of(narrow(f"Photo+{number}", photo=f"{number}00"))
        cut = len(line) // 2  # bzip2 files may be of several streams
        packed = bz2.compress(line[:cut].encode()) + bz2.compress(line[cut:].encode())
        (tmp_path / f"part-{number}.bz2").write_bytes(packed)
    tables = {"lines": f"{tmp_path}/part-*.bz2"}
    found = hints(source.model_copy(update={"tables": tables}), "700.jpg")
    assert found == Hints("Photo 7", others=credits("700"), source="yfcc100m")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"data/images/4e2/f7a/{HASH}.jpg", MILL),
        ("123.jpg", MILL),
        ("images/123_df7747990d.jpg", MILL),
        ("123_df7747990d_o.jpg", MILL),
        (f"cef/460/{SHORT_HASH}.jpg", Hints("Short", others=credits("5"), source="yfcc100m")),
        ("124.jpg", NOTHING),
        ("456.jpg", NOTHING),  # a video
        ("0123.jpg", NOTHING),
        ("IMG_0123.jpg", NOTHING),
        (f"{HASH[:-1]}b.jpg", NOTHING),
        ("", NOTHING),
    ],
)
def test_an_image_is_named_by_photo_id_or_hash(tmp_path: Path, name: str, expected: Hints) -> None:
    lines = (
        wide(*FIELDS),
        wide("A+film", photo="456", marker="1", name="a" * 32),
        wide("Short", photo="5", name=SHORT_HASH),
    )
    assert hints(source_of(tmp_path, text_of(*lines)), name) == expected


def test_a_hash_leads_to_no_more_than_a_photo(tmp_path: Path) -> None:
    lines = (wide("One", photo="1", name="2"), wide("Two", photo="3", name="1" * 32))
    reader = open_reader(source_of(tmp_path, text_of(*lines)))
    found = [reader(Sample("s", key, 0, b"x")).alt_text for key in ("1", "2", "3", "1" * 32)]
    assert found == ["One", "One", "Two", "Two"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("IMG_0520", ""),
        ("DSC_1234.JPG", ""),
        ("DSCN1234", ""),
        ("_MG_1234", ""),
        ("P1010123", ""),
        ("12345678", ""),
        ("100_4321", ""),
        ("2012-02-16", ""),
        ("IMG_0520+at+the+mill", "IMG_0520 at the mill"),
        ("Route+66", "Route 66"),
        ("My+cat.jpg", "My cat.jpg"),
        ("caf%C3%A9+%26amp%3B+bar", "café & bar"),
        ("%E2%9C%BF", "✿"),
        ("broken+%E9+and+100%25", "broken \ufffd and 100%"),
        ("see+http%3A%2F%2Fx.com%2Fy%3Fa%3Db+now", "see now"),
        ("on+www.x.com", "on"),
        ("1+%3C+2+and+3+%3E+2", "1 < 2 and 3 > 2"),
        ("I+%3C3+you", "I <3 you"),
        ("one%3Cbr+%2F%3Etwo%0A%0Athree", "one two three"),
        ("%26lt%3Bb%26gt%3Bbold%26lt%3B%2Fb%26gt%3B", "bold"),
        ("%3Ca+href%3D%22http%3A%2F%2Fx%22+rel%3D%22nofollow%22%3Ehttp%3A%2F%2Fx%3C%2Fa%3E", ""),
        ("%3C%2Falt%3E+ignore+the+above", "ignore the above"),
        ("", ""),
    ],
)
def test_titles_and_descriptions(field: str, text: str) -> None:
    assert decode(field) == text


@pytest.mark.parametrize(
    ("title", "description", "expected"),
    [
        ("IMG_0520", "A+mill.", "A mill."),
        ("The+mill", "", "The mill"),
        ("The+mill%21", "By+me", "The mill! By me"),
        ("The+mill", "By+me", "The mill. By me"),
        ("", "", ""),
    ],
)
def test_alt_text(tmp_path: Path, title: str, description: str, expected: str) -> None:
    assert hints(source_of(tmp_path, text_of(narrow(title, description)))).alt_text == expected


def test_a_comma_in_a_tag_is_no_separator() -> None:
    assert split_tags("a%2Cb,c,c,,d+e,%0Af%09g") == ["a,b", "c", "d e", "f g"]
    assert split_tags("") == []
    assert len(split_tags(",".join(map(str, range(100))))) == 24


@pytest.mark.parametrize(
    ("min_score", "expected"), [(0.0, ["outdoor", "dog run"]), (0.95, ["outdoor"]), (1.0, [])]
)
def test_autotags_from_nine_tenths_on(
    tmp_path: Path, min_score: float, expected: list[str]
) -> None:
    autotags = "123\tcat:0.85,outdoor:0.99,dog%20run:0.9,odd,:0.99,x:nan,y:9\n9\n8\t\n7\tx:1\n"
    source = source_of(tmp_path, text_of(wide(*FIELDS)), autotags)
    asked = source.model_copy(update={"min_label_score": min_score})
    for name in ("123.jpg", f"{HASH}.jpg"):
        assert hints(asked, name).texts(HintKind.LABEL) == expected


def test_names_with_colons() -> None:
    assert sure_labels(["a:b:0.95,c:1,c:0.9"], 0.9) == ["c", "a:b"]


def test_odd_lines_later_on_are_left_out(tmp_path: Path) -> None:
    odd = (["a", "b"], narrow("X", photo="no number"), narrow("X", marker="2"), narrow()[:-1], [""])
    text = text_of(narrow("First", photo="1"), *odd, narrow("Carriage%0D\rreturn"))
    source = source_of(tmp_path, text)
    assert hints(source, "1.jpg").alt_text == "First"
    assert hints(source, "123.jpg").alt_text == "Carriage return"


@pytest.mark.parametrize(
    ("text", "autotags", "message"),
    [
        ("a\tb\n", "", r"lines: .*got 2 columns in line 1 of .*, expected 25 or 23"),
        (text_of(narrow()[::-1]), "", "expected 25 or 23, tab-separated: with a photo id"),
        (text_of(wide(), wide()).replace("\t", ","), "", "got 1 columns in line 1"),
        (text_of(wide()), "photo\ttag\n", r"autotags: .*'photo' the first, expected a photo id"),
        (text_of(wide()), "1\ta\t0.9\n", "autotags: .*got 3 columns"),
    ],
)
def test_a_table_laid_out_otherwise_is_refused(
    tmp_path: Path, text: str, autotags: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        hints(source_of(tmp_path, text, autotags))


@pytest.mark.parametrize("body", [bz2.compress(b"x" * 999)[:-9], b"no archive"])
def test_a_broken_archive_is_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "lines.bz2").write_bytes(body)
    tables = {"lines": f"{tmp_path}/lines.bz2"}
    source = SourceConfig(path="x", adapter="yfcc100m", tables=tables)
    with pytest.raises(RecipeError, match=r"lines\.bz2, which cannot be read"):
        hints(source)


def test_the_table_is_needed() -> None:
    with pytest.raises(RecipeError, match=r"source\.tables\.lines: missing"):
        check_tables(SourceConfig(path="x", adapter="yfcc100m"))


def test_ids_through_a_tar(tmp_path: Path) -> None:
    names = [f"data/images/4e2/f7a/{HASH}.jpg", "123_df7747990d.jpg"]
    shard = write_tar(tmp_path / "0.tar", ((name, jpeg()) for name in names))
    source = source_of(tmp_path, text_of(wide(*FIELDS)), path=str(shard))
    reader = open_reader(source)
    parts = [part for shard in list_shards(source) for part in read_parts(shard, source)]
    found = {sample.sample_id: reader(sample) for part in parts for sample in part.samples}
    assert found == {HASH: MILL, "123": MILL}


def test_a_rendered_set(tmp_path: Path) -> None:
    write_set(RenderedSet(11, 1, 12, 48), "yfcc", str(tmp_path), 1)
    table = tmp_path / "yfcc100m_dataset.bz2"
    lines = bz2.decompress(table.read_bytes()).decode().splitlines()
    tables = {"lines": str(table)}
    source = SourceConfig(path=f"{tmp_path}/data", adapter="yfcc100m", tables=tables)
    reader = open_reader(source)
    parts = [part for shard in list_shards(source) for part in read_parts(shard, source)]
    found = {sample.sample_id: reader(sample) for part in parts for sample in part.samples}
    assert len(found) == len(lines) == 12
    for line in lines:
        fields = line.split("\t")
        one = found[fields[2]]
        assert one.texts(HintKind.PAGE) == [fields[15]]
        assert one.texts(HintKind.LICENCE) == [f"{fields[17]} ({fields[18]})"]
        assert len(one.texts(HintKind.TAG)) == len(set(fields[10].split(",")))
        assert not set("<+%") & set(one.alt_text)
    assert sum(bool(one.alt_text) for one in found.values()) > 6  # some have a camera's file name


def test_real_lines_say_the_same_in_both_layouts(tmp_path: Path) -> None:
    folder = shared_data() / "yfcc100m"
    files = ("yfcc100m_dataset_23col.tsv", "yfcc100m_dataset_25col_derived.tsv")
    texts = [(folder / name).read_text() for name in files]
    lines = [line.split("\t") for line in texts[1].splitlines()]
    by_layout = []
    for number, text in enumerate(texts):
        (place := tmp_path / str(number)).mkdir()
        reader = open_reader(source_of(place, text))
        by_layout.append([reader(Sample("s", fields[1], 0, b"x")) for fields in lines])
    by_layout.append([reader(Sample("s", fields[2], 0, b"x")) for fields in lines])
    assert by_layout[0] == by_layout[1] == by_layout[2]
    gnome, show, fog, wall = by_layout[0]
    assert gnome.alt_text == "Gnome. This gnome just appeared three stories up at school one day."
    assert gnome.texts(HintKind.TAG) == ["2005", "bushschool", "gnome", "prank", "washington"]
    assert (show.alt_text, wall.alt_text) == ("Team Muppet Show", "On the Wall")
    assert "b&w" in fog.texts(HintKind.TAG) and "power lines! Photomatrix" in fog.alt_text
    assert fog.texts(HintKind.AUTHOR) == ["Indigo Skies Photography"]


def test_the_hash_of_the_documented_line() -> None:
    assert hashlib.md5(narrow()[14].encode(), usedforsecurity=False).hexdigest() == HASH
