"""ImageNet's hints, whichever container the images come in, and what its tables may have wrong."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import Tables, check_tables, open_reader
from recaption.datasets.wordnet import load_classes, load_names, name_all
from recaption.decode import ImageSpec, prepare
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.sources import list_shards, read_parts
from tests.sources.tars import tar_bytes, write_shard

TENCH = (
    "tench, Tinca tinca (freshwater dace-like game fish of Europe and western Asia noted for"
    " ability to survive outside water)"
)
BIRD = "crane (large long-necked wading bird of marshes and plains in many parts of the world)"
MACHINE = (
    "crane (lifts and moves heavy objects; lifting tackle is suspended from a pivoted boom that"
    " rotates around a vertical axis)"
)
TIGHTS = "maillot (tights for dancers or gymnasts)"
SWIMSUIT = "maillot, tank suit (a woman's one-piece bathing suit)"
NOTE = Hint(HintKind.NOTE, "squished to 224x224: aspect ratio is not the photo's", Trust.MEDIUM)
VAL = "ILSVRC2012_val_00000293"
BODY = b"\xff\xd8\xff body"

Read = list[tuple[Sample, Hints]]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))


def read(path: Path, tables: Mapping[str, Path] | None = None, **more: Any) -> Read:
    named = {name: str(place) for name, place in (tables or {}).items()}
    source = SourceConfig(path=str(path), adapter="imagenet", tables=named, **more)
    check_tables(source)
    hints = open_reader(source)
    parts = [part for shard in list_shards(source) for part in read_parts(shard, source)]
    assert [part.fault for part in parts if part.fault] == []
    return [(sample, hints(sample)) for part in parts for sample in part.samples]


def names(read: Read) -> dict[str, str]:
    return {sample.sample_id: "; ".join(hints.class_names) for sample, hints in read}


def write(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(BODY)
    return folder


def hint_of(image_name: str, sample_id: str = "s/x", **fields: object) -> Hints:
    source = SourceConfig(path="x", adapter="imagenet")
    return open_reader(source)(Sample(sample_id, "x", 0, BODY, image_name, fields))


def train_tar(folder: str = "") -> bytes:
    ids = {"n02012849": (1, 20), "n03126707": (3,)}
    return tar_bytes(
        (f"{folder}{wnid}.tar", tar_bytes([(f"{wnid}_{n}.JPEG", BODY) for n in numbers]))
        for wnid, numbers in ids.items()
    )


EXPECTED = {"n02012849_1": BIRD, "n02012849_20": BIRD, "n03126707_3": MACHINE}


@pytest.mark.parametrize(
    ("file", "folder", "is_packed"),
    [
        ("ILSVRC2012_img_train.tar", "", False),
        ("fall11_whole.tar", "", False),
        ("winter21_whole.tar.gz", "winter21_whole/", True),
    ],
)
def test_tars_of_tars(tmp_path: Path, file: str, folder: str, is_packed: bool) -> None:
    shard = write_shard(tmp_path / file, train_tar(folder), is_packed)
    found = read(Path(shard.url))
    assert names(found) == EXPECTED
    assert {sample.image for sample, _ in found} == {BODY}
    assert all(h.class_trust is Trust.HIGH and h.source == "imagenet" for _, h in found)


def test_a_folder_of_tars(tmp_path: Path) -> None:
    for wnid in ("n02012849", "n03126707"):
        members = [(f"{key}.JPEG", BODY) for key in EXPECTED if key.startswith(wnid)]
        write_shard(tmp_path / f"{wnid}.tar", tar_bytes(members))
    assert names(read(tmp_path)) == EXPECTED


@pytest.mark.parametrize("top", ["train", "ILSVRC/Data/CLS-LOC/train", "images"])
def test_folders(tmp_path: Path, top: str) -> None:
    write(tmp_path, *(f"{top}/{key.partition('_')[0]}/{key}.JPEG" for key in EXPECTED))
    found = read(tmp_path)
    assert names(found) == EXPECTED
    assert [hints.others for _, hints in found] == [()] * 3


def test_validation_folders(tmp_path: Path) -> None:
    write(tmp_path, f"val/n01440764/{VAL}.JPEG", "val/n02012849/ILSVRC2012_val_00000001.JPEG")
    assert names(read(tmp_path)) == {VAL: TENCH, "ILSVRC2012_val_00000001": BIRD}


def test_miil_images_are_squished(tmp_path: Path) -> None:
    name = "imagenet21k_train/n02012849/n02012849_1.JPEG"
    folder = write(tmp_path / "imagenet21k_resized", name)
    tar = tar_bytes([(f"imagenet21k_resized/{name}", BODY)])
    packed = write_shard(tmp_path / "resized.tar.gz", tar, packed=True)
    for path in (folder, folder / "imagenet21k_train", Path(packed.url)):
        ((sample, hints),) = read(path)
        assert sample.sample_id == "n02012849_1"
        assert hints == Hints(
            class_names=(BIRD,), others=(NOTE,), class_trust=Trust.HIGH, source="imagenet"
        )


def test_parquet_of_hugging_face(tmp_path: Path) -> None:
    rows = [
        ("n02012849_1_n02012849.JPEG", 134),
        (f"{VAL}_n01440764.JPEG", 0),
        ("ILSVRC2012_val_00000001.JPEG", 517),
        ("ILSVRC2012_test_00000001.JPEG", -1),
        (None, 639),
    ]
    images = [{"bytes": BODY, "path": path} for path, _ in rows]
    table = pa.table({"image": images, "label": [label for _, label in rows]})
    file = tmp_path / "train-00000-of-00001.parquet"
    pq.write_table(table, file)
    nameless = "train-00000-of-00001/00000004"
    expected = {
        "n02012849_1": BIRD,
        VAL: TENCH,
        "ILSVRC2012_val_00000001": MACHINE,
        "ILSVRC2012_test_00000001": "",
        nameless: SWIMSUIT,
    }
    assert names(read(file)) == expected
    elsewhere = names(read(file, dataset="imagenet-21k"))
    assert elsewhere == expected | {"ILSVRC2012_val_00000001": "", nameless: ""}


@pytest.mark.parametrize(
    ("image_name", "sample_id", "fields", "expected"),
    [
        # the file's name, the folder, the inner tar, the shard, the label: the first counts
        ("n01440764/n02012849_1.JPEG", "n03126707/x", {"label": 5}, BIRD),
        ("n01440764/odd.JPEG", "n03126707/odd", {"label": 5}, TENCH),
        ("n01440764/deeper/odd.JPEG", "s.tar/x/odd", {}, TENCH),
        ("n01440764-tench/odd.JPEG", "s/odd", {}, TENCH),
        ("odd.JPEG", "winter21/n03126707/odd", {"label": 5}, MACHINE),
        ("a/odd.JPEG", "winter21/n03126707.tar/a/odd", {}, MACHINE),
        ("odd.JPEG", "s/odd", {"label": 638}, TIGHTS),
        # what tells nothing
        ("odd.JPEG", "s/odd", {}, ""),
        ("n0144076/odd.JPEG", "n014407641/odd", {}, ""),
        ("n99999999_1.JPEG", "s/x", {}, ""),
        ("odd.JPEG", "s/odd", {"label": 1000}, ""),
        ("odd.JPEG", "s/odd", {"label": -1}, ""),
        ("odd.JPEG", "s/odd", {"label": True}, ""),
        ("odd.JPEG", "s/odd", {"label": "0"}, ""),
        ("odd.JPEG", "s/odd", {"label": None}, ""),
        ("", "", {}, ""),
    ],
)
def test_where_the_class_is_told(
    image_name: str, sample_id: str, fields: dict[str, object], expected: str
) -> None:
    hints = hint_of(image_name, sample_id, **fields)
    assert hints == Hints(
        class_names=(expected,) if expected else (), class_trust=Trust.HIGH, source="imagenet"
    )


def test_the_classes_with_one_word_for_two() -> None:
    known = load_names(Tables({}))
    assert (known["n02012849"], known["n03126707"]) == (BIRD, MACHINE)
    assert (known["n03710637"], known["n03710721"]) == (TIGHTS, SWIMSUIT)


def test_no_two_of_21841_synsets_share_a_hint() -> None:
    known = load_names(Tables({}))
    wnids = load_classes("imagenet22k_synsets.txt")
    assert len(wnids) == 21_841
    hints = Counter(known[wnid].casefold() for wnid in wnids)
    assert sum(n * (n - 1) // 2 for n in hints.values()) == 0
    first_words = Counter(known[wnid].partition(" (")[0].partition(",")[0] for wnid in wnids)
    assert sum(n > 1 for n in first_words.values()) > 1000  # which is why the gloss is there
    assert all(known[wnid].endswith(")") for wnid in wnids)


def test_what_words_and_gloss_leave_alike_gets_its_number() -> None:
    lemmas = {"n00000001": "a", "n00000002": "A", "n00000003": "a", "n00000004": "b"}
    glosses = {"n00000001": "x", "n00000002": "x", "n00000003": "y"}
    assert name_all(lemmas, glosses) == {
        "n00000001": "a (x) (WordNet n00000001)",
        "n00000002": "A (x) (WordNet n00000002)",
        "n00000003": "a (y)",
        "n00000004": "b (WordNet n00000004)",
    }


def test_timm_is_read_but_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    before = "timm" in sys.modules
    load_names(Tables({}))
    assert ("timm" in sys.modules) == before
    monkeypatch.setattr("recaption.datasets.wordnet.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"got no package timm, expected timm 1\.0.*pip install"):
        load_names(Tables({}))


def test_other_words_and_glosses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recaption.datasets.wordnet.find_spec", lambda name: None)
    tables = {"lemmas": tmp_path / "words.txt", "definitions": tmp_path / "gloss.txt"}
    tables["lemmas"].write_text("n90000001\tblik, red_blik\nn90000002\tblik\n")
    tables["definitions"].write_text("n90000001\ta red thing\nn90000002\ta round thing\n")
    tar = tar_bytes([("n90000001_7.JPEG", BODY), ("n90000002_8.JPEG", BODY)])
    file = Path(write_shard(tmp_path / "s.tar", tar).url)
    assert names(read(file, tables)) == {
        "n90000001_7": "blik, red blik (a red thing)",
        "n90000002_8": "blik (a round thing)",
    }
    with pytest.raises(RecipeError, match="got lemmas alone, expected lemmas and definitions"):
        read(file, {"lemmas": tables["lemmas"]})
    tables["lemmas"] = tmp_path / "odd.txt"  # another name: a reader is opened once in a process
    tables["lemmas"].write_text("n90000001 blik\n")
    with pytest.raises(RecipeError, match="got 'n90000001 blik' in line 1, expected n01440764 TAB"):
        read(file, tables)


def ids_of(order: list[str]) -> str:
    """Return the table of ILSVRC2012_IDs, and behind the classes an inner node as in meta.mat."""
    lines = [f"{number}\t{wnid}" for number, wnid in enumerate(order, 1)]
    return "\n".join([*lines, "1001\tn00001740", ""])


@pytest.fixture
def val(tmp_path: Path) -> tuple[Path, dict[str, Path]]:
    """Return the flat validation tar, and its two tables: images 1 and 2, ids 7 and 1000."""
    shuffled = load_classes("imagenet_synsets.txt")[::-1]
    order = [w for w in shuffled if w not in ("n02012849", "n03126707")]
    order = [*order[:6], "n02012849", *order[6:], "n03126707"]
    tables = {"val_ground_truth": tmp_path / "truth.txt", "ilsvrc_ids": tmp_path / "ids.tsv"}
    tables["val_ground_truth"].write_text("7\n1000\n" + "1\n" * 49_998)
    tables["ilsvrc_ids"].write_text(ids_of(order))
    members = [(f"ILSVRC2012_val_{n:08d}.JPEG", BODY) for n in (1, 2)]
    tar = write_shard(tmp_path / "ILSVRC2012_img_val.tar", tar_bytes(members))
    return Path(tar.url), tables


def val_names(one: str, two: str) -> dict[str, str]:
    return {"ILSVRC2012_val_00000001": one, "ILSVRC2012_val_00000002": two}


def test_validation_images_by_the_devkit(val: tuple[Path, dict[str, Path]]) -> None:
    tar, tables = val
    assert names(read(tar, tables)) == val_names(BIRD, MACHINE)
    assert names(read(tar)) == val_names("", "")


def test_validation_images_by_kaggle(tmp_path: Path, val: tuple[Path, dict[str, Path]]) -> None:
    solution = tmp_path / "LOC_val_solution.csv"
    solution.write_text(
        "ImageId,PredictionString\n"
        "ILSVRC2012_val_00000002,n02012849 111 108 441 193 n02012849 0 0 1 1 \n"
        "ILSVRC2012_val_00000001,n03710637 0 0 9 9 \n"
    )
    tar, tables = val
    assert names(read(tar, {"val_solution": solution})) == val_names(TIGHTS, BIRD)
    assert names(read(tar, {**tables, "val_solution": solution})) == val_names(TIGHTS, BIRD)


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("ilsvrc_ids", None, "val_ground_truth: got no source.tables.ilsvrc_ids beside it"),
        ("ilsvrc_ids", "sorted", "got positions among the sorted wnids, expected .* meta.mat"),
        ("ilsvrc_ids", "1\tn02119789\n", "got 1 wnids for the ids 1 to 1000, expected 1000"),
        ("ilsvrc_ids", "n02119789 kit fox", "got 'n02119789 kit fox', expected lines `1 TAB"),
        ("val_ground_truth", "1\n2\n", "got 2 ids, expected 50,000"),
        ("val_ground_truth", "0\n" * 50_000, "got the id '0', expected one of"),
        ("val_ground_truth", "1001\n" * 50_000, "got the id '1001', expected one of"),
        ("val_solution", "a,b\n", "got the header 'a,b', expected ImageId,PredictionString"),
        ("val_solution", "ImageId,PredictionString\nx,7\n", "got 'x,7' in line 2, expected an"),
        ("captions", "PK\3\4", "got a zip archive, expected a JSON list"),
        ("captions", '[{"filename": "a"}, 3]', "got '3]' at character 20, expected a JSON list"),
        ("captions", '[{"filename": "a"}', "expected a JSON list"),
        ("captions", '{"a": {}}', "expected a JSON list"),
    ],
)
def test_tables_that_are_wrong(
    tmp_path: Path,
    val: tuple[Path, dict[str, Path]],
    table: str,
    text: str | None,
    message: str,
) -> None:
    tar, tables = val
    if text is None:
        del tables[table]
    else:
        tables[table] = tmp_path / "wrong"
        order = list(load_classes("imagenet_synsets.txt"))
        tables[table].write_text(ids_of(order) if text == "sorted" else text)
    with pytest.raises(RecipeError, match=message):
        read(tar, tables)


def test_captions(tmp_path: Path) -> None:
    entries: list[dict[str, object]] = [
        {"filename": "n02012849_1.JPEG", "title": "Kranich", "description": "At the\nlake"},
        {"filename": "n02012849_2.JPEG", "title": "What?", "description": "A crane.", "tags": []},
        {"filename": "n02012849_3.JPEG", "title": "DSC_0412.JPG", "description": "two cranes"},
        {"filename": "n02012849_4.JPEG", "title": "crane", "description": "a crane, [flying]"},
        {"filename": "n02012849_5.JPEG", "title": "", "tags": ["bird", "", 3, "grus  grus"]},
        {"filename": "n02012849_6.JPEG", "title": None, "description": 7, "tags": "bird"},
    ]
    table = tmp_path / "imagenet_captions.json"
    table.write_text(json.dumps(entries, indent=1))
    members = [(f"n02012849/n02012849_{n}.JPEG", BODY) for n in range(1, 8)]
    file = Path(write_shard(tmp_path / "s.tar", tar_bytes(members)).url)
    found = {s.key[-1]: (h.alt_text, h.others) for s, h in read(file, {"captions": table})}
    tags = tuple(Hint(HintKind.TAG, tag, Trust.LOW) for tag in ("bird", "grus grus"))
    assert found == {
        "1": ("Kranich. At the lake", ()),
        "2": ("What? A crane.", ()),
        "3": ("two cranes", ()),
        "4": ("a crane, [flying]", ()),
        "5": ("", tags),
        "6": ("", ()),
        "7": ("", ()),
    }


def test_captions_of_hugging_faces_names(tmp_path: Path) -> None:
    table = tmp_path / "imagenet_captions.json"
    table.write_text('[{"filename": "n02012849_1.JPEG", "title": "T"}]')
    file = tmp_path / "s.parquet"
    pq.write_table(
        pa.table({"image": [{"bytes": BODY, "path": "n02012849_1_n02012849.JPEG"}]}), file
    )
    ((sample, hints),) = read(file, {"captions": table})
    assert (sample.sample_id, hints.alt_text) == ("n02012849_1", "T")


def test_a_png_named_jpeg_and_other_endings(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(out, "PNG")
    members = [("n02105855_2933.JPEG", out.getvalue()), ("n02105855_1.jpg", BODY)]
    file = Path(write_shard(tmp_path / "n02105855.tar", tar_bytes(members)).url)
    (png, hints), (jpg, _) = read(file)
    assert (png.sample_id, jpg.sample_id) == ("n02105855_2933", "n02105855_1")
    assert hints.class_names[0].startswith("Shetland sheepdog, ")
    assert png.image is not None
    assert prepare(png.image, ImageSpec()).format == "PNG"


def test_names_of_another_make_keep_the_shard_in_their_ids(tmp_path: Path) -> None:
    members = [("0001.JPEG", BODY), ("n01440764_1.v2.JPEG", BODY), ("n01440764_x.JPEG", BODY)]
    file = Path(write_shard(tmp_path / "n01440764.tar", tar_bytes(members)).url)
    assert names(read(file)) == {
        "n01440764/0001": TENCH,
        "n01440764_1": TENCH,
        "n01440764/n01440764_x": TENCH,
    }
