"""Shards: WebDataset tars, the same bytes whoever writes them."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time

import pytest
from PIL import Image

from recaption.shapeworld.alt_text import AltText, draw_alt_text
from recaption.shapeworld.class_hint import draw_class_hint
from recaption.shapeworld.crops import crop
from recaption.shapeworld.known import Known, is_right
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.scenes import draw_scene, from_json
from recaption.shapeworld.sets.shards import shard_bytes, write_shards
from recaption.shapeworld.unseen import CLASSES


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(info, tar.extractfile(info).read()) for info in tar]


def rows_of(data):
    return [json.loads(text) for info, text in members(data) if info.name.endswith(".json")]


def alt_text_of(row):
    alt = row["truth"]["alt_text"]
    return AltText(alt["kind"], alt["text"], Known(**alt["facts"]))


def test_a_shard_reads_back():
    found = members(shard_bytes(5, 2, 6, size=64))
    assert [info.name for info, _ in found] == [
        f"{key}.{extension}"
        for key in (f"00002{index:04d}" for index in range(6))
        for extension in ("jpg", "txt", "cls", "json")
    ]
    assert {info.mtime for info, _ in found} == {0}
    for index in range(6):
        (_, image), (_, text), (_, word), (_, about) = found[4 * index : 4 * index + 4]
        row, scene = json.loads(about), draw_scene(5, 12 + index)
        assert from_json(row["scene"]) == scene
        assert Image.open(io.BytesIO(image)).size == (row["width"], row["height"])
        assert CLASSES[row["class_id"]] == scene.unseen.class_name
        hint = draw_class_hint(scene, scene)
        assert row["truth"]["class_hint"] == {"text": hint.text, "is_right": hint.is_right}
        assert word.decode() == hint.text
        assert alt_text_of(row) == draw_alt_text(scene, 5)
        assert text.decode() == row["truth"]["alt_text"]["text"]
        assert set(row["truth"]["captions"]) == {"short", "dense", "attributes", "spatial"}


def test_sizes_are_drawn_where_none_is_given():
    rows = rows_of(shard_bytes(6, 0, 40, image_format="png"))
    sizes = {min(row["width"], row["height"]) for row in rows}
    assert len(sizes) > 15
    assert 64 <= min(sizes) <= max(sizes) <= 128


def test_crops_are_of_the_same_scenes_and_their_truth_is_their_own():
    rows = rows_of(shard_bytes(5, 2, 30, size=64, crops=True))
    for index, row in enumerate(rows):
        scene, shown = draw_scene(5, 60 + index), from_json(row["scene"])
        assert 0.15 < shown.view.region.width * shown.view.region.height < 0.95
        assert shown == crop(scene, shown.view.region)
        told = {style: captions(shown, style, 5) for style in Style}
        assert row["truth"]["captions"] == told
        assert len(row["truth"]["sightings"]) == len(shown.things)
        assert alt_text_of(row) == draw_alt_text(scene, 5)
        hint = row["truth"]["class_hint"]
        assert hint["is_right"] is is_right(hint["text"], shown)
    assert len({json.dumps(row["scene"]["view"]) for row in rows}) == 30


def test_the_image_of_a_crop_has_its_format():
    found = members(shard_bytes(5, 0, 8, size=64, crops=True))
    for (_, image), (_, about) in zip(found[::4], found[3::4], strict=True):
        row = json.loads(about)
        size = Image.open(io.BytesIO(image)).size
        assert size == (row["width"], row["height"]) and min(size) == 64
        assert size[0] / size[1] == pytest.approx(row["scene"]["aspect"], abs=0.02)


def test_two_processes_write_the_same_bytes():
    script = (
        "import hashlib; from recaption.shapeworld.sets.shards import shard_bytes;"
        "print(hashlib.sha256(shard_bytes(8, 1, 20)).hexdigest())"
    )
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == hashlib.sha256(shard_bytes(8, 1, 20)).hexdigest()


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_are_written_whoever_renders_them(tmp_path, workers):
    urls = write_shards(str(tmp_path / "out"), 3, 4, seed=9, size=48, workers=workers)
    assert urls == [str(tmp_path / "out" / f"0000{index}.tar") for index in range(3)]
    for index, url in enumerate(urls):
        with open(url, "rb") as file:
            assert file.read() == shard_bytes(9, index, 4, size=48)


def test_keys_are_unique_over_shards():
    keys = [
        info.name.split(".")[0]
        for index in range(3)
        for info, _ in members(shard_bytes(1, index, 5, size=48))
        if info.name.endswith(".txt")
    ]
    assert len(set(keys)) == 15
    assert all(len(key) == 9 and key.isdigit() for key in keys)


@pytest.mark.parametrize(("shards", "per_shard"), [(0, 1), (1, 0), (1, 10_001), (100_001, 1)])
def test_more_than_a_key_can_hold_is_refused(tmp_path, shards, per_shard):
    with pytest.raises(ValueError, match="nine digits"):
        write_shards(str(tmp_path), shards, per_shard, seed=1)


def test_a_shard_is_rendered_in_good_time():
    shard_bytes(1, 0, 20, size=96)  # fonts and outlines are made once
    start = time.process_time()
    shard_bytes(1, 1, 100, size=96)
    assert time.process_time() - start < 2.0  # 0.6 s alone on the machine, 1.0 s on a busy one
