"""YFCC100M's layout: lines split at tabs, decoded, and held against the scenes."""

import bz2
import hashlib
import re
from datetime import datetime
from urllib.parse import unquote_plus

import pytest

from recaption.shapeworld.alt_text import AltKind, draw_alt_text
from recaption.shapeworld.class_hint import draw_class_hint
from tests.shapeworld.sets.layouts.pictures import shows

FIELDS = (
    "line photo_id hash user nickname taken uploaded device title description user_tags"
    " machine_tags longitude latitude accuracy page_url download_url licence licence_url server"
    " farm secret secret_original extension marker"
).split()


@pytest.fixture(scope="module")
def made(written):
    """The folder, the rows, and for each row the scene and what is shown of it."""
    folder, drawn = written("yfcc")
    text = bz2.decompress((folder / "yfcc100m_dataset.bz2").read_bytes()).decode()
    assert text.endswith("\n")
    split = [line.split("\t") for line in text[:-1].split("\n")]
    assert {len(fields) for fields in split} == {len(FIELDS)} == {25}
    return folder, [dict(zip(FIELDS, fields, strict=True)) for fields in split], drawn


def rows_and_scenes(made):
    return zip(made[1], made[2], strict=True)


def tags_of(field):
    return [unquote_plus(tag) for tag in field.split(",")]


def test_every_line_has_its_image_under_its_hash(made):
    folder, rows, _ = made
    files = {str(p.relative_to(folder)) for p in folder.rglob("*.jpg")}
    for row, (_, shown) in rows_and_scenes(made):
        name = row["hash"]
        path = f"data/images/{name[:3]}/{name[3:6]}/{name}.jpg"
        assert name == hashlib.md5(row["download_url"].encode()).hexdigest()
        assert shows((folder / path).read_bytes(), shown)
        files.remove(path)
    assert not files and len(rows) == 120
    others = {p.name for p in folder.iterdir()}
    assert others == {"data", "rendered.json", "yfcc100m_dataset.bz2"}


def test_ids_are_unique_and_lines_are_counted(made):
    rows = made[1]
    assert [row["line"] for row in rows] == [str(n) for n in range(120)]
    assert len({row["photo_id"] for row in rows}) == len({row["hash"] for row in rows}) == 120
    for row in rows:
        assert row["photo_id"].isdigit() and re.fullmatch(r"\d+@N00", row["user"])
        server, file = row["download_url"].split("/")[-2:]
        assert (server, file) == (row["server"], f"{row['photo_id']}_{row['secret']}.jpg")
        assert row["download_url"].startswith(f"http://farm{row['farm']}.")
        assert (row["extension"], row["marker"]) == ("jpg", "0")


def test_title_and_description_are_what_people_wrote(made):
    kinds = set()
    for row, (scene, _) in rows_and_scenes(made):
        alt = draw_alt_text(scene, 11)
        assert unquote_plus(row["title"]) == alt.text
        described = unquote_plus(row["description"])
        if alt.facts:
            assert described.startswith(f"<b>{alt.facts.sentence()}</b>\n<a href=")
            assert "\n" not in row["description"]
        else:
            assert described == ""
        kinds.add(alt.kind)
    assert {AltKind.FACTS, AltKind.EMPTY, AltKind.WRONG} <= kinds


def test_what_people_wrote_is_url_encoded_and_a_space_is_a_plus(made):
    rows = made[1]
    for row in rows:
        for name in ("nickname", "device", "title", "description", "user_tags", "machine_tags"):
            assert re.fullmatch(r"[A-Za-z0-9_.~+,%-]*", row[name]), row[name]
    assert any("+" in row["title"] for row in rows)
    assert any("%2C" in row["user_tags"] for row in rows)


def test_tags_are_the_class_hint_the_colours_and_the_scene(made):
    for row, (scene, shown) in rows_and_scenes(made):
        first, *colours = tags_of(row["user_tags"])
        assert first == draw_class_hint(scene, shown).text
        assert colours == sorted({thing.colour for thing in shown.things})
        expected = [f"shapeworld:seed={scene.seed}", f"shapeworld:index={scene.index}"]
        assert tags_of(row["machine_tags"]) == expected


def test_dates_places_and_licences_have_their_form(made):
    rows = made[1]
    for row in rows:
        taken = datetime.strptime(row["taken"] + "+0000", "%Y-%m-%d %H:%M:%S.%f%z")
        assert int(row["uploaded"]) - taken.timestamp() == 86_400
        assert row["longitude"] == row["latitude"] == row["accuracy"] == ""
        assert row["licence_url"].startswith("http://creativecommons.org/licenses/by")
    pairs = {(row["licence"], row["licence_url"]) for row in rows}
    assert len(pairs) == len({name for name, _ in pairs}) == 6
    assert ("Attribution License", "http://creativecommons.org/licenses/by/2.0/") in pairs
