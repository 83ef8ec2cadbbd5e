"""Open Images' layout, read back with csv; boxes held against the pixels that things change."""

import base64
import csv
import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from recaption import keyed
from recaption.shapeworld.alt_text import draw_alt_text
from recaption.shapeworld.content import Medium
from recaption.shapeworld.render import render
from recaption.shapeworld.unseen import CLASSES
from tests.shapeworld.sets.layouts.pictures import shows

COLUMNS = {
    "validation-images-with-rotation.csv": "ImageID,Subset,OriginalURL,OriginalLandingURL,License,"
    "AuthorProfileURL,Author,Title,OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation",
    "oidv7-class-descriptions.csv": "LabelName,DisplayName",
    "oidv7-class-descriptions-boxable.csv": "LabelName,DisplayName",
    "oidv7-val-annotations-human-imagelabels.csv": "ImageID,Source,LabelName,Confidence",
    "oidv7-val-annotations-machine-imagelabels.csv": "ImageID,Source,LabelName,Confidence",
    "validation-annotations-bbox.csv": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside",
}
IMAGES, CLASS_NAMES, BOXABLE, HUMAN, MACHINE, BOXES = COLUMNS


@pytest.fixture(scope="module")
def made(written):
    """The folder, and by ImageID each scene and what is shown of it."""
    folder, drawn = written("openimages")
    own = [keyed.hexdigest("openimages", 11, index, length=16) for index in range(120)]
    return folder, dict(zip(own, drawn, strict=True))


def read_table(folder, name):
    with (folder / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert rows and all(None not in row and None not in row.values() for row in rows)
    return rows


def classes(folder):
    """Return shape and gloss of each label, by way of its display name."""
    by_name = {f"{one.word}, {one.gloss}": one for one in CLASSES.values()}
    return {
        row["LabelName"]: by_name[row["DisplayName"]] for row in read_table(folder, CLASS_NAMES)
    }


def by_image(rows):
    found = defaultdict(list)
    for row in rows:
        found[row["ImageID"]].append(row)
    return found


@pytest.mark.parametrize(("name", "columns"), COLUMNS.items())
def test_columns_are_exactly_those_of_the_data_set(made, name, columns):
    with (made[0] / name).open(newline="", encoding="utf-8") as file:
        assert file.readline() == columns + "\n"
        assert "\r" not in file.read()


def test_every_image_is_there_once_and_in_the_table(made):
    folder, drawn = made
    files = {path.name: path.read_bytes() for path in (folder / "validation").iterdir()}
    rows = {row["ImageID"]: row for row in read_table(folder, IMAGES)}
    assert set(files) == {f"{own}.jpg" for own in drawn}
    assert list(rows) == list(drawn)
    assert all(re.fullmatch("[0-9a-f]{16}", own) for own in rows)
    for own, (_, shown) in drawn.items():
        row, data = rows[own], files[f"{own}.jpg"]
        assert shows(data, shown)
        assert (row["Subset"], row["OriginalSize"]) == ("validation", str(len(data)))
        assert base64.b64decode(row["OriginalMD5"]) == hashlib.md5(data).digest()
        assert row["Rotation"] in ("", "0.0")
    assert {row["Rotation"] for row in rows.values()} == {"", "0.0"}


def test_titles_are_the_alt_texts(made):
    folder, drawn = made
    for row in read_table(folder, IMAGES):
        scene, _ = drawn[row["ImageID"]]
        assert row["Title"] == draw_alt_text(scene, 11).text
        assert row["Author"] == (scene.unseen.maker or "")


def test_class_names_are_all_there_and_need_quotes(made):
    folder, _ = made
    assert sorted(one.class_id for one in classes(folder).values()) == sorted(CLASSES)
    boxable = {row["LabelName"] for row in read_table(folder, BOXABLE)}
    assert boxable == {name for name, one in classes(folder).items() if one.shape}
    assert all(name.startswith("/m/") for name in classes(folder))


def test_human_labels_are_what_is_in_the_image_and_one_that_is_not(made):
    folder, drawn = made
    named, labels = classes(folder), by_image(read_table(folder, HUMAN))
    assert set(labels) == set(drawn)
    for own, (_, shown) in drawn.items():
        sights = zip(shown.things, shown.sightings(), strict=True)
        shapes = {thing.shape for thing, sight in sights if sight.visible >= 0.5}
        there = [named[r["LabelName"]] for r in labels[own] if r["Confidence"] == "1"]
        absent = [named[r["LabelName"]] for r in labels[own] if r["Confidence"] == "0"]
        expected = Counter(shapes) if shown.things else Counter([None])
        assert Counter(one.shape for one in there) == expected
        assert len(absent) == 1
        assert shown.things if absent[0].shape is None else absent[0].shape not in shapes
        assert {row["Source"] for row in labels[own]} == {"verification"}


def test_the_label_of_the_main_thing_is_the_scenes_own_class(made):
    folder, drawn = made
    named, labels = classes(folder), by_image(read_table(folder, HUMAN))
    for own, (scene, shown) in drawn.items():
        if shown == scene:
            there = [named[r["LabelName"]] for r in labels[own] if r["Confidence"] == "1"]
            assert scene.unseen.class_name in there


def test_machine_labels_are_guesses_and_some_are_wrong(made):
    folder, drawn = made
    named, rows = classes(folder), read_table(folder, MACHINE)
    assert [row["ImageID"] for row in rows] == list(drawn)
    assert all(0.5 <= float(row["Confidence"]) < 1 for row in rows)
    own = [drawn[row["ImageID"]][0].unseen.class_name == named[row["LabelName"]] for row in rows]
    assert 0.7 < sum(own) / len(own) < 0.97


def test_every_thing_that_can_be_told_has_a_box_of_its_class(made):
    folder, drawn = made
    named, boxes = classes(folder), by_image(read_table(folder, BOXES))
    for own, (_, shown) in drawn.items():
        sights = zip(shown.things, shown.sightings(), strict=True)
        told = [(thing, sight) for thing, sight in sights if sight.visible >= 0.5]
        assert [named[row["LabelName"]].shape for row in boxes[own]] == [t.shape for t, _ in told]
        for row, (_, sight) in zip(boxes[own], told, strict=True):
            assert row["IsOccluded"] == str(int(bool(sight.hidden_by)))
            assert row["IsTruncated"] == str(int(bool(sight.edges)))
            assert row["IsDepiction"] == str(int(shown.medium is not Medium.GREY_PHOTO))
            assert (row["IsGroupOf"], row["IsInside"], row["Source"]) == ("0", "0", "xclick")


def box_in_pixels(scene, index, size):
    """Return x0, x1, y0, y1 in shares of the frame of where a thing changes the picture."""
    without = replace(scene, things=scene.things[:index] + scene.things[index + 1 :])
    changed = np.abs(render(scene, size).astype(int) - render(without, size)).max(axis=2) > 24
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    height, width = changed.shape
    return columns[0] / width, (columns[-1] + 1) / width, rows[0] / height, (rows[-1] + 1) / height


def test_boxes_hold_the_pixels_of_their_things(made):
    folder, drawn = made
    boxes, checked = by_image(read_table(folder, BOXES)), 0
    for own, (_, shown) in drawn.items():
        sights = shown.sightings()
        if shown.medium is not Medium.FLAT or any(sight.hidden_by for sight in sights):
            continue
        told = [index for index, sight in enumerate(sights) if sight.visible >= 0.5]
        for row, index in zip(boxes[own], told, strict=True):
            found = [float(row[name]) for name in ("XMin", "XMax", "YMin", "YMax")]
            assert all(0 <= share <= 1 for share in found)
            assert found == pytest.approx(box_in_pixels(shown, index, 192), abs=0.03)
            checked += 1
    assert checked > 20


def test_some_boxes_are_cut_and_some_hidden(made):
    folder, drawn = made
    rows = read_table(folder, BOXES)
    assert any(row["IsOccluded"] == "1" for row in rows)
    is_cropped = any(scene != shown for scene, shown in drawn.values())
    assert any(row["IsTruncated"] == "1" for row in rows) is is_cropped
