"""A sample of a stranger's that cannot be trained on costs itself, and is told; never the run."""

from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from recaption.config import RecipeError
from recaption.notices import take_notices
from tests.corpora import jpeg
from tests.train.data import Letters, make_recipe, read_batches
from train.alone import run_alone
from train.data import TrainData, open_data
from train.families.flow.tokenizer import TextTokenizer
from train.pairs import Entry, make_entry
from train.screen import Screen
from train.windows import LOST, filled

PIXELS = jpeg("red", "blue", (48, 48))


def document(key: str, **changes: Any) -> bytes:
    caption = {"region": "full", "style": "short", "slot": 0, "caption": f"image {key}"}
    found = {"sample_id": key, "width": 48, "height": 48, "captions": [caption]}
    return json.dumps(found | changes).encode()


def caption_of(text: object, **changes: Any) -> dict[str, Any]:
    row = {"region": "full", "style": "short", "slot": 0, "caption": text}
    return {"captions": [row | changes]}


def members(key: str, image: bytes = PIXELS, text: bytes | None = None) -> list[tuple[str, bytes]]:
    return [(f"{key}.jpg", image), (f"{key}.json", document(key) if text is None else text)]


BAD: dict[str, list[tuple[str, bytes]]] = {
    "cut-short": members("cut-short", PIXELS[: len(PIXELS) // 2]),
    "no-image": [("no-image.json", document("no-image"))],
    "no-json": [("no-json.jpg", PIXELS)],
    "broken-json": members("broken-json", text=b"{"),
    "list-json": members("list-json", text=b"[1]"),
    "no-captions": members("no-captions", text=document("x", captions=[])),
    "captions-number": members("captions-number", text=document("x", captions=7)),
    "caption-null": members("caption-null", text=document("x", **caption_of(None))),
    "caption-empty": members("caption-empty", text=document("x", **caption_of(" "))),
    "caption-list": members("caption-list", text=document("x", **caption_of(["a"]))),
    "no-region": members("no-region", text=document("x", captions=[{"caption": "a"}])),
    "odd-region": members("odd-region", text=document("x", **caption_of("a", region="7,7"))),
    "width-zero": members("width-zero", text=document("x", width=0)),
    "width-null": members("width-null", text=document("x", width=None)),
    "width-text": members("width-text", text=document("x", width="48")),
    "slot-text": members("slot-text", text=document("x", **caption_of("a", slot="one"))),
    "alt-number": members("alt-number", text=document("x", alt_text=7)),
    "no-id": members("no-id", text=b'{"width": 1, "height": 1, "captions": [{"region": "full"}]}'),
    "again": members("again") + members("between") + members("again"),
}


def write_export(folder: Path, *groups: list[tuple[str, bytes]], good: int = 12) -> Path:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for group in (*groups, *(members(f"good{k:02d}") for k in range(good))):
            for name, data in group:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return folder / "00000.tar"


def open_export(tmp_path: Path, *overrides: str) -> TrainData:
    changes = (f"data.export={tmp_path / 'export'}", "data.corpus=", "data.batch_size=4")
    return open_data(make_recipe(tmp_path, *changes, "data.lanes=1", *overrides))


def read_all(data: TrainData) -> list[tuple[str, str]]:
    """Read two epochs; return ids and captions."""
    steps = 2 * data.order.steps_per_epoch
    data.is_alone = True
    batches = data.batches(0, 1, 0, Letters())
    found = []
    for _ in range(steps):
        batch = next(batches)
        found += zip(batch.sample_ids, batch.captions, strict=True)
    return found


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    take_notices()


@pytest.mark.parametrize("name", BAD)
def test_a_sample_that_cannot_be_trained_on_costs_itself(tmp_path: Path, name: str) -> None:
    write_export(tmp_path / "export", BAD[name])
    data = open_export(tmp_path, "data.window=64")
    found = read_all(data)
    assert len(found) >= 2 * 12
    known = {f"good{k:02d}" for k in range(12)} | {"again", "between", "00000/again"}
    assert {one for one, _ in found} <= known
    (notice,) = data.notices()
    assert notice.kind == LOST and notice.count >= 1
    assert (
        notice.example.startswith(("00000/", "x: ", "again", name)) and "\n" not in notice.example
    )


def test_the_same_samples_are_read_for_any_start(tmp_path: Path) -> None:
    write_export(tmp_path / "export", BAD["cut-short"], BAD["no-json"])
    data = open_export(tmp_path, "data.window=6")
    straight = [b.sample_ids for b in read_batches(data, 1, 0, 6)[0]]
    assert [b.sample_ids for b in read_batches(data, 1, 2, 6)[0]] == straight[2:]


def test_of_a_tar_that_breaks_off_the_rest_is_trained_on(tmp_path: Path) -> None:
    tar = write_export(tmp_path / "export")
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    data = open_export(tmp_path)
    assert 4 <= data.order.images < 12
    assert len(read_all(data)) >= 8
    assert any("tars" in notice.kind for notice in data.notices())


def test_a_tar_that_was_replaced_since_costs_what_is_gone(tmp_path: Path) -> None:
    write_export(tmp_path / "export")
    data = open_export(tmp_path, "data.window=64")
    write_export(tmp_path / "export", good=8)
    assert len(read_all(data)) == 24
    assert "was it replaced?" in data.notices()[0].example


def test_a_set_without_captions_is_refused_before(tmp_path: Path) -> None:
    write_export(tmp_path / "export", BAD["no-json"], good=0)
    with pytest.raises(RecipeError, match=r"no image beside a \.json with captions; expected what"):
        open_export(tmp_path)


def test_a_window_without_any_good_image_ends_the_run_with_a_line(tmp_path: Path) -> None:
    write_export(tmp_path / "export", good=1)
    for k in range(40):
        pair = [(f"b{k:02d}.jpg", b"no image"), (f"b{k:02d}.json", document(f"b{k:02d}"))]
        with tarfile.open(tmp_path / "export" / f"1{k:04d}.tar", "w") as tar:
            for name, data in pair:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    data = open_export(tmp_path, "data.window=4")
    with pytest.raises(RecipeError, match=r"none of 4 images .* can be trained on, such as b\d\d"):
        read_all(data)


def test_misspelt_styles_of_an_export_are_told(tmp_path: Path) -> None:
    write_export(tmp_path / "export")
    with pytest.raises(RecipeError, match=r"data.styles: the export has no .* did you mean short"):
        open_export(tmp_path, "data.styles=[shrot]")


def test_held_out_images_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    write_export(tmp_path / "export", BAD["cut-short"], BAD["no-json"], BAD["width-zero"])
    data = open_export(tmp_path, "data.held_out=0.7")
    held = data.held_out(100, Letters())
    assert held and all(one.startswith("good") for batch in held for one in batch.sample_ids)


# ------------------------------------------------------------------------ texts


def entry_of(caption: object, **changes: Any) -> Entry:
    row = {"caption": caption, "style": "short", "slot": 0, "region": "full"}
    shared = {"width": 4, "height": 4, "alt_text": "", "class_names": None}
    return make_entry("a", b"", [row | shared | changes], [], [])


def test_texts_are_bounded_and_without_control_characters() -> None:
    entry = entry_of("\x1b[2Jred\x07 " + "x" * 10_000_000, alt_text="a\x1b]0;t\x07b")
    text = entry.texts.captions[0].text
    assert text.startswith("red xx") and len(text) <= 65_536 and entry.texts.alt_text == "ab"
    many = entry_of("a", class_names=["n"] * 1_000_000)
    assert len(many.texts.class_names) == 1024
    assert entry_of("a", class_names=[7]).fault


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_the_worst(score: float) -> None:
    assert entry_of("a", mean_logprob=score).texts.captions[0].score == -1e9


def test_a_text_of_megabytes_is_tokenised_in_a_moment() -> None:
    tokenizer = TextTokenizer("", 16)
    tokenizer(["warm"])
    started = time.monotonic()
    token, mask = tokenizer(["red circle " * 1_000_000])
    assert time.monotonic() - started < 2
    assert mask.all()
    assert np.array_equal(token, tokenizer(["red circle " * 90])[0])


def test_the_next_good_one_stands_in() -> None:
    entries = [entry_of("a")] * 4
    assert filled([None, "b", None, "d"], entries) == ["b", "b", "d", "d"]
    assert filled(["a", None, None, None], entries) == ["a"] * 4
    assert filled([], []) == []
    with pytest.raises(RecipeError, match="none of 1 images"):
        filled([None], entries)


def test_what_was_lost_is_told_at_the_end_of_a_run(tmp_path: Path) -> None:
    write_export(tmp_path / "export", BAD["cut-short"])
    data = open_export(tmp_path, "images=24", "model={preset: debug, text: {length: 8}}")
    console = Console(file=io.StringIO(), width=300)
    with Screen(console) as screen:
        run_alone(data.recipe, data, screen)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"x {LOST}, first: cut-short: " in told
