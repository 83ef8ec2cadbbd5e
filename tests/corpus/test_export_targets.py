"""Exports to folders, to the hub's layout and to Lance, read back by what trainers read with."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from recaption import storage
from recaption.config import RecipeError
from recaption.corpus.export import hub
from recaption.corpus.export.progress import Ticker
from recaption.corpus.export.run import Target, run_export
from recaption.corpus.export.selection import Selection
from recaption.corpus.reader import CorpusReader
from recaption.decode import to_rgb
from recaption.engines.base import Job as EngineJob
from recaption.sample import Caption
from tests.command_line import recaption
from tests.corpora import jpeg, write_tar
from tests.corpus.build import BUCKET, caption, export, files_of, needs_s3, unless, write_photos

FAILS = "val/0/b_2"
SPLITS = ("val/0.tar", "test.tar", "c.tar")
"""Names that readers take for splits of a set."""


def said(job: EngineJob) -> list[Caption]:
    """Captions with line ends in them; none of one sample."""
    fails = unless(FAILS)(job)
    return [
        Caption(f"{job.sample_id}\n{job.request.style} {i}", c.seed, "stop", 1, 2, -1.0)
        for i, c in enumerate(fails)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CorpusReader:
    """Three shards of four images, one of them without a caption; one image lies on its side."""
    folder = tmp_path_factory.mktemp("export")
    for i, shard in enumerate(SPLITS):
        members: list[tuple[str, bytes]] = []
        for j, name in enumerate(["a_1", "b_2", "test_3", "val"]):
            turned = 6 if (shard, name) == ("c.tar", "val") else 1
            members.append((f"{name}.jpg", jpeg(f"#{i}{j}0", "blue", (32, 16), turned)))
            members.append((f"{name}.json", json.dumps({"class_name": "cat"}).encode()))
        write_tar(folder / "photos" / shard, members)
    options = ("caption.styles=[short, dense]", "caption.per_style=2", "source.part_samples=3")
    caption(
        folder / "corpus",
        folder / "photos",
        *options,
        "source.class_column=class_name",
        answer=said,
    )
    return CorpusReader(str(folder / "corpus"))


def expected(reader: CorpusReader) -> dict[str, list[str]]:
    """Captions by sample, in order of style and slot."""
    rows: dict[str, list[Any]] = {}
    for row in reader.captions().to_pylist():
        rows.setdefault(row["sample_id"], []).append(row)
    return {
        one: [c["caption"] for c in sorted(found, key=lambda c: (c["style"], c["slot"]))]
        for one, found in rows.items()
    }


def kohya(folder: Path, ext: str) -> Iterator[tuple[Path, list[str]]]:
    """Read as kohya's scripts do: subfolders REPEATS_NAME, images, a file beside each."""
    for subset in sorted(folder.iterdir()):
        repeats, _, _ = subset.name.partition("_")
        if not repeats.isdigit():
            continue
        for image in sorted(subset.iterdir()):
            if image.suffix in (".png", ".jpg", ".jpeg", ".webp", ".bmp"):
                yield image, image.with_suffix(ext).read_text("utf-8").splitlines()


def test_a_folder_is_read_by_kohya(tmp_path: Path, made: CorpusReader) -> None:
    wanted = {one: [" ".join(c.split()) for c in texts] for one, texts in expected(made).items()}
    done = export(made, "folder", tmp_path / "all", ext=".caption")
    assert (done.tally.images, done.tally.captions) == (11, 44)
    found = list(kohya(tmp_path / "all", ".caption"))
    assert sorted(lines for _, lines in found) == sorted(wanted.values())
    assert {image.parent.name for image, _ in found} == {"1_val_0", "1_test", "1_c"}
    assert len({image.name for image, _ in found}) == 11, "unique in one folder, too"
    for image, _ in found:
        assert Image.open(image).getexif().get(0x0112, 1) == 1, "upright"
    assert sorted(Image.open(image).size for image, _ in found)[0] == (16, 32)
    export(made, "folder", tmp_path / "one", ext=".txt", styles=("short",), pick="first")
    for image, lines in kohya(tmp_path / "one", ".txt"):
        assert len(lines) == 1 and lines[0].endswith("short 0"), image


def load(kind: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    where = {"data_dir": str(place)} if kind == "imagefolder" else {}
    name = kind if where else str(place)
    return datasets.load_dataset(name, cache_dir=str(tmp_path / "cache"), **where)


def check_loaded(loaded: Any, made: CorpusReader, images: dict[str, Any]) -> None:
    assert list(loaded) == ["train"], "no image or shard makes a split by its name"
    wanted = expected(made)
    rows = list(loaded["train"])
    assert {row["sample_id"]: row["captions"] for row in rows} == wanted and len(rows) == 11
    for row in rows:
        assert row["text"] == wanted[row["sample_id"]][0]
        assert row["styles"] == ["dense", "dense", "short", "short"]
        assert row["class_names"] == ["cat"] and row["image"].size == (row["width"], row["height"])
        assert np.array_equal(np.asarray(row["image"]), images[row["sample_id"]])


@pytest.fixture(scope="module")
def pixels(made: CorpusReader) -> dict[str, Any]:
    """What the captioner saw of each image, as an upright JPEG of the export shows it."""
    from recaption.corpus.export.images import readable
    from recaption.corpus.joined import joined
    from recaption.corpus.manifest import read_recipe
    from recaption.job import list_source

    source = read_recipe(made.corpus, made.fingerprint).source
    shards = {shard.name: shard for shard in list_source(source)[1]}
    return {
        one.sample.sample_id: np.asarray(to_rgb(readable(one.image)[0]))
        for part, records in made.iter_parts()
        for one in joined(source, shards, part, made.captions(records))
    }


def test_an_imagefolder_is_loaded_by_datasets(
    tmp_path: Path, made: CorpusReader, pixels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    export(made, "imagefolder", tmp_path / "out")
    loaded = load("imagefolder", tmp_path / "out", tmp_path, monkeypatch)
    check_loaded(loaded, made, pixels)


def test_the_hubs_layout_is_loaded_by_datasets(
    tmp_path: Path, made: CorpusReader, pixels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_FILE_BYTES", 1500)
    export(made, "hub", tmp_path / "out")
    files = files_of(tmp_path / "out")
    count = len(files) - 1
    names = [f"data/train-{i:05d}-of-{count:05d}.parquet" for i in range(count)]
    assert files == ["README.md", *names] and count > 2
    loaded = load("hub", tmp_path / "out", tmp_path, monkeypatch)
    assert type(loaded["train"].features["image"]).__name__ == "Image"
    check_loaded(loaded, made, pixels)
    monkeypatch.setattr(hub, "_FILE_BYTES", 10**9)
    export(made, "hub", tmp_path / "out")
    assert files_of(tmp_path / "out") == ["README.md", "data/train-00000-of-00001.parquet"]


def test_lance_holds_images_and_captions(
    tmp_path: Path, made: CorpusReader, pixels: dict[str, Any]
) -> None:
    out = tmp_path / "set.lance"
    for _ in range(2):  # the second takes the first one's place
        export(made, "lance", out)
    table = lance.dataset(str(out))
    assert table.count_rows() == 11 and len(list((out / "data").iterdir())) == 1
    rows = table.take([10, 0, 5]).to_pylist() + table.to_table().to_pylist()
    for row in rows:
        shown = np.asarray(Image.open(io.BytesIO(row["image"])))
        assert np.array_equal(shown, pixels[row["sample_id"]])
        assert row["captions"] == expected(made)[row["sample_id"]]


def test_lance_takes_no_other_tables_place(tmp_path: Path, made: CorpusReader) -> None:
    lance.write_dataset(
        pq.read_table(next(Path(made.corpus).rglob("captions/*.parquet"))), tmp_path / "a"
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").touch()
    for place in ("a", "b"):
        with pytest.raises(RecipeError, match="holds something that is no export to lance"):
            export(made, "lance", tmp_path / place)


def test_lance_is_asked_for_in_one_line(
    tmp_path: Path, made: CorpusReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lance", None)
    result = recaption("export", made.corpus, "--to", "lance", "--out", tmp_path / "x")
    assert result.code == 2 and "pip install 'recaption[lance]'" in result.complaint


NEW = ("folder", "imagefolder", "hub", "lance")


@pytest.mark.parametrize("to", NEW)
def test_what_fails_on_the_way_is_told_as_it_is(
    tmp_path: Path, made: CorpusReader, to: str
) -> None:
    write_tar(tmp_path / "photos" / "c.tar", [("a_1.jpg", jpeg("white", "white"))])
    target = Target(to, str(tmp_path / "out"), source=str(tmp_path / "photos"))
    with pytest.raises(
        storage.StorageError, match=r"a_1 is not the image|not in the shard|no such"
    ):
        run_export(made, target, Selection(), Console(file=io.StringIO()))


@pytest.mark.parametrize("to", NEW)
def test_a_narrower_choice_leaves_nothing_of_the_wider(
    tmp_path: Path, made: CorpusReader, to: str
) -> None:
    export(made, to, tmp_path / "out")
    if to == "folder":  # what a trainer keeps beside its images stays
        kept = next((tmp_path / "out" / "1_c").glob("*.jpg")).with_suffix(".npz")
        kept.touch()
    assert export(made, to, tmp_path / "out", least={"logprob": -0.5}).tally.images == 0
    left = files_of(tmp_path / "out")
    if to == "folder":
        assert left == [f"1_c/{kept.name}"]
    elif to == "imagefolder":
        assert left == []
    else:  # a table of no rows is none: the one before stays
        assert left


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("folder", "1_c/mine.jpg"),
        ("folder", "mine.png"),
        ("imagefolder", "train/mine.webp"),
        ("imagefolder", "metadata.csv"),
        ("hub", "data/mine.parquet"),
    ],
)
def test_other_peoples_files_are_not_mixed_in(
    tmp_path: Path, made: CorpusReader, to: str, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(RecipeError, match=re.escape(f"holds {name}, which is not of this export")):
        export(made, to, tmp_path)
    assert files_of(tmp_path) == [name]


@pytest.mark.parametrize("to", NEW)
def test_a_second_export_writes_the_same_files(tmp_path: Path, made: CorpusReader, to: str) -> None:
    runs = []
    for _ in range(2):
        export(made, to, tmp_path / "out")
        names = files_of(tmp_path / "out")
        runs.append({name: (tmp_path / "out" / name).read_bytes() for name in names})
    if to != "lance":  # which numbers its versions
        assert runs[0] == runs[1]


@pytest.mark.s3
@needs_s3
@pytest.mark.parametrize("to", NEW)
def test_the_same_to_s3(tmp_path: Path, made: CorpusReader, to: str) -> None:
    url = f"s3://{BUCKET}/test-export/{tmp_path.name}/out"
    try:
        for _ in range(2):
            export(made, to, url)
        export(made, to, tmp_path / "out")
        if to == "lance":
            from recaption.corpus.export.lance import _options

            there = lance.dataset(url, storage_options=_options()).to_table()
            assert there == lance.dataset(str(tmp_path / "out")).to_table()
            return
        assert files_of(url) == files_of(tmp_path / "out")
        for name in files_of(url):
            assert (
                storage.read_bytes(storage.join(url, name))
                == (tmp_path / "out" / name).read_bytes()
            )
    finally:
        storage.delete(file.url for file in storage.list_tree(url))


def test_captions_of_crops_are_told_of(tmp_path: Path) -> None:
    job = caption(tmp_path / "corpus", write_photos(tmp_path / "photos", 1, 2))
    units = Path(job.ledger.folder) / "regions" / "commits" / "00000.tar-00000"
    units.mkdir(parents=True)
    (units / "crop-1.json").write_text("{}")
    notes = export(CorpusReader(str(tmp_path / "corpus")), "jsonl", tmp_path / "x.jsonl").notes
    assert notes == ["captions of crops are not exported: of 1 crops of parts"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "hub", "--ext", ".txt"], "--ext: goes with --to folder alone, got --to hub"),
        (["--to", "folder", "--ext", ".jpg"], "--ext: got '.jpg', expected a suffix such as .txt"),
        (["--to", "folder", "--ext", "../x"], "--ext: got '../x', expected a suffix"),
        (["--to", "folder", "--push", "a/b"], "--push: goes with --to hub alone"),
        (["--to", "hub", "--public"], "--public: goes with --to hub --push USER/NAME alone"),
        (["--to", "hub", "--images", "raw"], "--images: expected found or readable, got 'raw'"),
        (["--to", "folder", "--style", "shot"], "no captions in 'shot', did you mean short?"),
        (["--to", "folder", "--slot", "2"], "--slot: got 2, this corpus has 2 captions per style"),
        (["--to", "hub", "--push", "x"], "--push: got 'x', expected USER/NAME"),
    ],
)
def test_options_that_do_not_fit_are_named(
    tmp_path: Path, made: CorpusReader, options: list[str], message: str
) -> None:
    result = recaption("export", made.corpus, *options, "--out", tmp_path / "out")
    assert result.code == 2 and message in result.complaint
    assert not (tmp_path / "out").exists()


def test_the_command_tells_what_was_left_out_and_what_is_next(
    tmp_path: Path, made: CorpusReader
) -> None:
    out = tmp_path / "out"
    options = (
        "--style",
        "short",
        "--prefix",
        "sks,",
        "--replace",
        "short=tiny",
        "--ext",
        "caption",
    )
    result = recaption("export", made.corpus, "--to", "folder", "--out", out, *options)
    assert result.code == 0 and result.out.splitlines() == [
        f"exported 11 images, 11 captions -> {out}",
        "left out: captions not taken by --caption first 11, captions of other styles 22, images"
        " without a caption 1",
        f"next: kohya: --train_data_dir '{out}' --caption_extension .caption",
    ]
    texts = [lines[0] for _, lines in kohya(out, ".caption")]
    assert all(text.startswith("sks, ") and text.endswith("tiny 0") for text in texts)


def test_progress_in_a_log_is_a_line_with_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("recaption.corpus.export.progress.time.monotonic", lambda: now[0])
    out = io.StringIO()
    ticker = Ticker(Console(file=out, width=200), 40, "images")
    with ticker.showing():
        for _ in range(3):
            now[0] += 6
            ticker.tick(300)
    assert out.getvalue() == "parts 2/40  images 600  50.0 images/s  left 0:03:48\n"
