"""Tables beside images: where they lie, how they are written, how they name files, what is told."""

from __future__ import annotations

import io
import json
import tarfile
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption.config import SourceConfig
from recaption.notices import Notice, take_notices
from recaption.sources import list_shards, metadata, read_parts

TEXT = "a cat, on a mat"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))
    take_notices()


def plant(root: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = root / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root / "set"


def texts(path: Path) -> dict[str, object]:
    """Return the field `text` of each sample, by the sample's id below the set."""
    source = SourceConfig(path=str(path))
    found: dict[str, object] = {}
    for shard in list_shards(source):
        for part in read_parts(shard, source):
            assert part.fault is None, part.fault
            for sample in part.samples:
                assert sample.rejection is None, sample.rejection
                found[sample.sample_id.removeprefix("set/")] = sample.fields.get("text")
    return found


def noted() -> dict[str, Notice]:
    return {notice.kind: notice for notice in take_notices()}


def parquet(rows: list[dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def jsonl(*rows: Mapping[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


ROW = {"file_name": "a.jpg", "text": TEXT}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", f'file_name,text\na.jpg,"{TEXT}"\n'),
        ("metadata.csv", f"file_name;text\r\na.jpg;{TEXT}\r\n"),
        ("metadata.csv", f"file_name\ttext\na.jpg\t{TEXT}\n"),
        ("metadata.csv", f"file_name|text\na.jpg|{TEXT}\n"),
        ("metadata.csv", f"'file_name','text'\n'a.jpg','{TEXT}'\n"),
        ("metadata.csv", f'file_name,text\ra.jpg,"{TEXT}"\r'),
        ("metadata.csv", f'\ufefffile_name,text\na.jpg,"{TEXT}"'),
        ("metadata.csv", f'file_name,text\na.jpg,"{TEXT}"\n'.encode("utf-16")),
        ("metadata.csv", f'file_name, text\na.jpg, "{TEXT}"\n'),
        ("metadata.csv", f"file_name,text\na.jpg,{TEXT}\n"),
        ("metadata.tsv", f"file_name\ttext\na.jpg\t{TEXT}\n"),
        ("captions.csv", f'image,text\na.jpg,"{TEXT}"\n'),
        ("labels.csv", f'image_path,text\na.jpg,"{TEXT}"\n'),
        ("METADATA.CSV", f'File_Name,text\na.jpg,"{TEXT}"\n'),
        ("metadata.jsonl", jsonl(ROW)),
        ("metadata.jsonl", jsonl(ROW).replace("\n", "\r\n")),
        ("metadata.ndjson", jsonl(ROW)),
        ("metadata.jsonl", jsonl({"path": "a.jpg", "text": TEXT})),
        ("metadata.jsonl", jsonl({"filename": "a.jpg", "text": TEXT})),
        ("metadata.jsonl", jsonl({"url": "https://x.org/b/a.jpg?w=3", "text": TEXT})),
        ("metadata.jsonl", jsonl({"image_id": "a", "text": TEXT})),
        ("captions.json", json.dumps([ROW])),
        ("captions.json", json.dumps({"a.jpg": TEXT})),
        ("captions.json", json.dumps({"a.jpg": {"text": TEXT}})),
        ("captions.json", json.dumps({"file_name": ["a.jpg"], "text": [TEXT]})),
        ("metadata.parquet", parquet([ROW])),
        ("captions.parquet", parquet([{"image": {"path": "a.jpg", "bytes": None}, "text": TEXT}])),
    ],
)
@pytest.mark.parametrize("where", ["", "images/"])
def test_tables_however_they_are_written(
    tmp_path: Path, name: str, content: bytes | str, where: str
) -> None:
    folder = plant(tmp_path, {f"{where}a.jpg": b"i", f"{where}{name}": content})
    assert list(texts(folder).values()) == [TEXT]
    assert noted().keys() <= {
        "rows of CSV tables with more cells than names: the rest went into the last"
    }


@pytest.mark.parametrize(
    ("row", "image"),
    [
        ("a.jpg", "a.jpg"),
        ("./a.jpg", "a.jpg"),
        (".\\a.jpg", "a.jpg"),
        ("set/a.jpg", "a.jpg"),
        ("train/a.jpg", "a.jpg"),
        ("/data/x/a.jpg", "a.jpg"),
        ("C:\\data\\x\\a.jpg", "a.jpg"),
        ("../images/a.jpg", "a.jpg"),
        ("file:///data/a%20b.jpg", "a b.jpg"),
        ("a.JPG", "a.jpg"),
        ("a.jpg", "A.JPG"),
        ("a", "a.jpg"),
        ("a.v2", "a.v2.jpg"),
        (" a.jpg ", "a.jpg"),
        (unicodedata.normalize("NFC", "café.jpg"), unicodedata.normalize("NFD", "café.jpg")),
        (unicodedata.normalize("NFD", "café.jpg"), unicodedata.normalize("NFC", "café.jpg")),
        ("images/a.jpg", "images/a.jpg"),
        ("images\\a.jpg", "images/a.jpg"),
        ("/old/place/images/a.jpg", "images/a.jpg"),
        ("a.jpg", "images/a.jpg"),
        ("a", "images/a.jpg"),
        ("Images/a.jpg", "images/a.jpg"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_however_a_row_names_its_image(tmp_path: Path, row: str, image: str, kind: str) -> None:
    files = {"metadata.jsonl": jsonl({"file_name": row, "text": TEXT}), image: b"i"}
    path = {"folder": plant, "zip": zipped, "tar": tarred}[kind](tmp_path, files)
    assert list(texts(path).values()) == [TEXT]
    assert noted() == {}


def zipped(root: Path, files: Mapping[str, bytes | str]) -> Path:
    with zipfile.ZipFile(root / "set.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return root / "set.zip"


def tarred(root: Path, files: Mapping[str, bytes | str]) -> Path:
    with tarfile.open(root / "set.tar", "w") as archive:
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return root / "set.tar"


def test_a_table_above_its_images(tmp_path: Path) -> None:
    rows = [{"file_name": f"train/{c}/1.jpg", "text": c} for c in ("cats", "dogs")]
    files = {"metadata.jsonl": jsonl(*rows), "train/cats/1.jpg": b"i", "train/dogs/1.jpg": b"i"}
    folder = plant(tmp_path, files)
    assert texts(folder) == {"train/cats/1.jpg": "cats", "train/dogs/1.jpg": "dogs"}
    plant(tmp_path, {"train/cats/metadata.csv": "file_name,text\n1.jpg,nearer\n"})
    assert texts(folder)["train/cats/1.jpg"] == "nearer"
    assert noted() == {}


def test_a_parquet_table_above_its_images_is_no_shard(tmp_path: Path) -> None:
    row = {"file_name": "images/a.jpg", "text": TEXT}
    folder = plant(tmp_path, {"metadata.parquet": parquet([row]), "images/a.jpg": b"i"})
    assert texts(folder) == {"images/a.jpg": TEXT}


def test_a_sidecar_goes_before_the_table(tmp_path: Path) -> None:
    folder = plant(tmp_path, {"a.jpg": b"i", "a.text": "beside", "metadata.jsonl": jsonl(ROW)})
    assert texts(folder) == {"a.jpg": "beside"}


def test_what_may_be_two_is_none(tmp_path: Path) -> None:
    """Class folders number their images alike: a name without folder tells none of them."""
    files = {"metadata.jsonl": jsonl({"file_name": "1.jpg", "text": TEXT})}
    folder = plant(tmp_path, {**files, "cats/1.jpg": b"i", "dogs/1.jpg": b"i"})
    assert texts(folder) == {"cats/1.jpg": None, "dogs/1.jpg": None}
    assert noted()["images that no row of the tables beside them names"].count == 2


def test_a_row_of_another_folder_that_is_there(tmp_path: Path) -> None:
    files = {"metadata.jsonl": jsonl({"file_name": "cats/1.jpg", "text": "a cat"})}
    folder = plant(tmp_path, {**files, "1.jpg": b"i", "cats/1.jpg": b"i"})
    assert texts(folder) == {"1.jpg": None, "cats/1.jpg": "a cat"}


def test_one_of_two_that_differ_in_case(tmp_path: Path) -> None:
    rows = jsonl({"file_name": "a.jpg", "text": "lower"}, {"file_name": "b/c.jpg", "text": "no"})
    folder = plant(tmp_path, {"metadata.jsonl": rows, "a.jpg": b"i", "a.png": b"j"})
    assert texts(folder) == {"a.jpg": "lower", "a.png": None}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_what_finds_no_partner_is_counted(tmp_path: Path, kind: str) -> None:
    rows = [{"file_name": f"{n}.jpg", "text": str(n)} for n in range(5)]
    files = {"metadata.jsonl": jsonl(*rows), "0.jpg": b"i", "3.jpg": b"i", "x.jpg": b"i"}
    path = {"folder": plant, "zip": zipped, "tar": tarred}[kind](tmp_path, files)
    assert list(texts(path).values()) == ["0", "3", None]
    told = noted()
    assert told[metadata.NO_ROW].count == 1 and "x.jpg" in told[metadata.NO_ROW].example
    assert told[metadata.NO_IMAGE].count == 3
    assert "metadata.jsonl, row 2 names 1.jpg" in told[metadata.NO_IMAGE].example


@pytest.mark.parametrize("above", ["", "images/"])
def test_a_table_that_matches_nothing_is_loud(tmp_path: Path, above: str) -> None:
    rows = [{"file_name": f"/data/{n}.jpg", "text": "t"} for n in range(3)]
    folder = plant(tmp_path, {"metadata.jsonl": jsonl(*rows), f"{above}x.jpg": b"i"})
    assert list(texts(folder).values()) == [None]
    told = noted()
    assert told[metadata.NO_ROW].count == 1
    assert above or told[metadata.NO_IMAGE].count == 3


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("metadata.jsonl", jsonl(ROW) + '{"file_name": "b.jpg", "te', 1),
        ("metadata.jsonl", '{"file_name": "b.j\n[1]\n3\n' + jsonl(ROW), 3),
        ("metadata.csv", 'file_name,text\na.jpg,"a cat, on a mat"\nb.jpg,"a dog in th', 1),
        ("metadata.csv", 'file_name,text\nb.jpg,"open\na.jpg,"a cat, on a mat"\nc.jpg,x\n', 1),
        ("metadata.csv", f'file_name,text\nb.jpg,"{"x" * 200_000}"\na.jpg,"{TEXT}"\n', 1),
    ],
)
def test_damaged_rows_are_counted_and_the_rest_is_read(
    tmp_path: Path, name: str, content: str, count: int
) -> None:
    folder = plant(tmp_path, {"a.jpg": b"i", "b.jpg": b"i", name: content})
    found = texts(folder)
    assert found["a.jpg"] == TEXT and found["b.jpg"] is None
    told = noted()["rows of tables that are damaged or cut short, left out"]
    assert told.count == count and name in told.example


def test_quotes_that_mean_nothing_and_lines_within_quotes(tmp_path: Path) -> None:
    content = 'file_name,text\na.jpg,a 5" disk\nb.jpg,"two\nlines, ""quoted"""\n'
    folder = plant(tmp_path, {"a.jpg": b"i", "b.jpg": b"i", "metadata.csv": content})
    assert texts(folder) == {"a.jpg": 'a 5" disk', "b.jpg": 'two\nlines, "quoted"'}
    assert noted() == {}


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 50, b"PAR1", b"[", b"{}", b"\xff\xfe", b",,\n,,\n"]
)
def test_what_is_no_table(tmp_path: Path, content: bytes) -> None:
    for name in ("metadata.csv", "metadata.jsonl", "metadata.json", "metadata.parquet"):
        folder = plant(tmp_path, {"a.jpg": b"i", name: content})
        assert texts(folder) == {"a.jpg": None}


def test_coco_captions(tmp_path: Path) -> None:
    coco = {
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 7, "caption": "one"}, {"image_id": 7, "caption": "two"}],
    }
    folder = plant(tmp_path, {"a.jpg": b"i", "captions.json": json.dumps(coco)})
    source = SourceConfig(path=str(folder))
    (part,) = read_parts(list_shards(source)[0], source)
    assert part.samples[0].fields["captions"] == ["one", "two"]


def test_line_ends_that_only_python_knows(tmp_path: Path) -> None:
    r"""JSON may hold U+2028 and U+0085 in its strings: `splitlines` tears them apart."""
    row = json.dumps({"file_name": "a.jpg", "text": "one\u2028two\x85three"}, ensure_ascii=False)
    folder = plant(tmp_path, {"a.jpg": b"i", "metadata.jsonl": row + "\n"})
    assert texts(folder) == {"a.jpg": "one\u2028two\x85three"} and noted() == {}


def test_a_large_table_is_indexed_and_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "_IN_MEMORY", 0)
    rows = [{"file_name": f"images/{n}.jpg", "text": str(n)} for n in range(5)]
    images = {f"images/{n}.jpg": b"i" for n in (1, 3, 9)}
    folder = plant(tmp_path, {"metadata.jsonl": jsonl(*rows), **images})
    assert texts(folder) == {"images/1.jpg": "1", "images/3.jpg": "3", "images/9.jpg": None}
    told = noted()
    assert told[metadata.NO_IMAGE].count == 3 and "row 1 names" in told[metadata.NO_IMAGE].example
    assert list((tmp_path / "cache" / "index").glob("metadata-*.sqlite"))


def test_a_table_behind_the_images_of_a_tar_is_told(tmp_path: Path) -> None:
    path = tarred(tmp_path, {"a.jpg": b"i", "b.jpg": b"i", "metadata.jsonl": jsonl(ROW)})
    assert texts(path) == {"a": None, "b": None}
    assert any("behind its images" in kind for kind in noted())
