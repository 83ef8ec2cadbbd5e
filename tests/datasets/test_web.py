"""Web collections: text beside the image, and joined out of each collection's own metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import Tables, check_tables, open_reader, web
from recaption.datasets.web_tables import find_tables, read_rows
from recaption.sample import Hint, HintKind, Hints, Reason, Sample, Trust
from recaption.sources import list_shards, read_parts
from tests.corpora import jpeg, write_tar
from tests.shared_data import shared_data

URL = "http://example.org/{}.jpg"
UID = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
SHA = "5deae804561b162ebb827a0cee0c503045733a25d1524188bcd50e7cc128927a"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))


def source(path: Path, metadata: Path | None = None, **options: Any) -> SourceConfig:
    tables = {"metadata": str(metadata)} if metadata else {}
    return SourceConfig(path=str(path), adapter="web", tables=tables, **options)


def read_samples(config: SourceConfig) -> list[Sample]:
    parts = [part for shard in list_shards(config) for part in read_parts(shard, config)]
    assert all(part.fault is None for part in parts)
    return [sample for part in parts for sample in part.samples]


def read(config: SourceConfig) -> dict[str, Hints]:
    check_tables(config)
    reader = open_reader(config)
    return {sample.sample_id: reader(sample) for sample in read_samples(config)}


def hint(kind: HintKind, text: str) -> Hint:
    return Hint(kind, text, Trust.LOW)


def page(name: str) -> Hint:
    return hint(HintKind.PAGE, URL.format(name))


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
    return path


def write_shard(path: Path, *samples: tuple[str, dict[str, Any]]) -> Path:
    """Write a tar as img2dataset does: the .txt only where there is a caption column."""
    members = []
    for key, fields in samples:
        members.append((f"{key}.jpg", jpeg()))
        if "caption" in fields:
            members.append((f"{key}.txt", str(fields["caption"] or "").encode()))
        body = {**fields, "key": key, "status": "success"}
        members.append((f"{key}.json", json.dumps(body, indent=4).encode()))
    return write_tar(path, members)


# img2dataset's own output


def test_tars_of_img2dataset(tmp_path: Path) -> None:
    write_shard(
        tmp_path / "00000.tar",
        ("000000003", {"caption": "a cat", "url": URL.format("a"), "license": "?"}),
        ("000000001", {"caption": None, "url": URL.format("b")}),
        ("000000002", {"url": URL.format("c"), "TEXT": "kept column", "NSFW": "NSFW"}),
        ("000000004", {"caption": "x", "url": "not a url", "license": "CC0", "license_url": "u"}),
        ("000000005", {"caption": "a dog", "similarity": 0.1}),
        ("000000006", {"caption": "a bat", "similarity": 0.31, "punsafe": 0.75}),
    )
    note = "alt-text left out: similarity 0.100 is below 0.20"
    unsafe = "the collection holds it for unsafe: punsafe 0.75"
    nsfw = hint(HintKind.NOTE, "the collection marks it as NSFW")
    assert read(source(tmp_path)) == {
        "000000003": Hints("a cat", (), (page("a"),), source="web"),
        "000000001": Hints("", (), (page("b"),), source="web"),
        "000000002": Hints("kept column", (), (page("c"), nsfw), source="web"),
        "000000004": Hints("x", (), (hint(HintKind.LICENCE, "CC0 (u)"),), source="web"),
        "000000005": Hints("", (), (hint(HintKind.NOTE, note),), source="web"),
        "000000006": Hints("a bat", (), (hint(HintKind.NOTE, unsafe),), source="web"),
    }


def test_folders_of_img2dataset(tmp_path: Path) -> None:
    folder = tmp_path / "00000"
    folder.mkdir()
    for key in ("000000000", "000000001"):
        (folder / f"{key}.jpg").write_bytes(jpeg())
    (folder / "000000000.txt").write_text("a cat")
    (folder / "000000000.json").write_text(json.dumps({"url": URL.format("a")}))
    assert read(source(tmp_path)) == {
        "000000000": Hints("a cat", (), (page("a"),), source="web"),
        "000000001": Hints(source="web"),
    }


def test_parquet_of_img2dataset_with_a_failed_row(tmp_path: Path) -> None:
    good = {"jpg": jpeg(), "key": "000000000", "caption": "a cat", "url": URL.format("a")}
    lost = {"key": "000000001", "caption": "gone", "status": "failed_to_download"}
    write_parquet(tmp_path / "00000.parquet", [good, lost])
    config = source(tmp_path)
    assert read(config)["000000000"] == Hints("a cat", (), (page("a"),), source="web")
    failed = read_samples(config)[1]
    assert failed.sample_id == "000000001"
    assert failed.rejection is not None
    assert failed.rejection.reason is Reason.NO_IMAGE


def test_the_real_shards() -> None:
    folder = shared_data() / "photos-wds"
    hints = read(source(folder))
    assert len(hints) == 51
    for key, found in hints.items():
        assert key.isdigit()
        assert len(key) == 9
        assert len(found.alt_text) > 10
        assert found.texts(HintKind.PAGE)[0].startswith("http://")
        assert "License (http://creativecommons.org/" in found.texts(HintKind.LICENCE)[0]


def test_the_real_shards_with_their_own_parquet_as_metadata(tmp_path: Path) -> None:
    folder = shared_data() / "photos-wds"
    keys = [sample.key for sample in read_samples(source(folder))]
    for number in range(3):
        here = [(f"{key}.jpg", jpeg()) for key in keys if key.startswith(f"0000{number}")]
        write_tar(tmp_path / f"0000{number}.tar", here)
    assert not any(found.alt_text for found in read(source(tmp_path)).values())
    assert read(source(tmp_path, folder)) == read(source(folder))


def test_the_real_alt_text(tmp_path: Path) -> None:
    table = shared_data() / "alt-text" / "alt_text_1000.parquet"
    rows = pq.read_table(table).to_pylist()
    write_shard(
        tmp_path / "00000.tar",
        *((f"{number:09d}", {"url": row["URL"]}) for number, row in enumerate(rows[:20])),
    )
    by_url: dict[str, str] = {}
    for row in rows:
        by_url.setdefault(row["URL"], " ".join(row["TEXT"].split()))
    found = [read(source(tmp_path, table))[f"{number:09d}"] for number in range(20)]
    assert [hints.alt_text for hints in found] == [by_url[row["URL"]] for row in rows[:20]]


# Ids


@pytest.mark.parametrize(
    ("given", "key", "fields", "expected"),
    [
        ("00000/000000017", "000000017", {"json": {"key": "000000017", "uid": UID}}, "000000017"),
        ("00000/000000017", "000000017", {}, "000000017"),
        ("00000/000000017#3", "000000017", {}, "000000017"),
        ("00000/000000017.jpg", "000000017.jpg", {}, "000000017"),
        ("cc3m/00000/000000017", "000000017", {}, "cc3m/000000017"),
        ("laion/a/00000/x", "x", {"json": {"key": "000000017"}}, "laion/a/000000017"),
        ("00001/000000017", "000000017", {}, ""),
        ("1/100", "100", {}, ""),  # a shard 10 may have the same key
        ("00000/x", "x", {"json": {"uid": UID, "id": 5}}, UID),
        ("00000/x", "x", {"ID": 841814333321}, "841814333321"),
        ("00000/x", "x", {"id": 5.0, "uid": ""}, "5"),
        ("00000/x", "x", {"id": float("nan"), "key": None, "uid": ["a"]}, ""),
        ("00000/x", "x", {"id": True}, ""),
        ("00000/x", "x", {"json": "{broken"}, ""),
        ("00000.tar/a/b", "a/b", {}, ""),
        ("", "", {}, ""),
    ],
)
def test_ids(given: str, key: str, fields: dict[str, Any], expected: str) -> None:
    assert web.sample_id(Sample(given, key, 0, None, fields=fields)) == expected


def test_keys_of_two_downloads_stay_apart(tmp_path: Path) -> None:
    for name in ("cc3m", "cc12m"):
        write_shard(tmp_path / name / "00000.tar", ("000000000", {"caption": name}))
    assert {key: found.alt_text for key, found in read(source(tmp_path)).items()} == {
        "cc3m/000000000": "cc3m",
        "cc12m/000000000": "cc12m",
    }


# Collections


A, B = URL.format("a"), URL.format("b")
LAION = [
    {
        "SAMPLE_ID": 7.0,
        "URL": A,
        "TEXT": "a cat",
        "similarity": 0.33,
        "LICENSE": "?",
        "NSFW": "UNSURE",
    },
    {
        "SAMPLE_ID": 8.0,
        "URL": B,
        "TEXT": "buy now",
        "similarity": 0.05,
        "LICENSE": "?",
        "NSFW": None,
    },
]
RELAION = [{"url": A, "caption": "a cat", "punsafe": 0.1}, {"url": B, "caption": "a dog"}]
DATACOMP = [
    {"uid": UID, "url": A, "text": "a cat", "clip_l14_similarity_score": 0.2, "sha256": SHA},
    {"uid": "f" * 32, "url": B, "text": "x", "clip_l14_similarity_score": 0.1, "sha256": "0"},
]
COYO = [
    {"id": 841814333321, "url": A, "text": "a cat", "clip_similarity_vitl14": 0.25},
    {"id": 841814333322, "url": B, "text": "b", "clip_similarity_vitb32": 0.19},
]
JOINED = [LAION[0], {"URL": B, "TEXT": "a dog", "hash": -4611686018427387905, "similarity": None}]


@pytest.mark.parametrize(
    ("rows", "key", "fields", "alt_text", "note"),
    [
        (LAION, "x", {"url": A}, "a cat", ""),
        (LAION, "x", {"SAMPLE_ID": 7}, "a cat", ""),
        (LAION, "x", {"json": {"sample_id": 7.0}}, "a cat", ""),
        (LAION, "7", {}, "a cat", ""),
        (LAION, "7", {"url": B}, "", "similarity 0.050 is below 0.20"),  # another's number
        (LAION, "x", {"url": B}, "", "similarity 0.050 is below 0.20"),
        (LAION, "x", {"url": B, "similarity": 0.3}, "buy now", ""),
        (LAION, "x", {"url": URL.format("c")}, "", ""),
        (LAION, "x", {"url": A, "txt": "own"}, "own", ""),
        (LAION, "x", {"url": A, "txt": ""}, "a cat", ""),
        (RELAION, "x", {"URL": B}, "a dog", ""),
        (DATACOMP, UID, {}, "a cat", ""),
        (DATACOMP, f"{UID}.jpg", {}, "a cat", ""),
        (DATACOMP, "x", {"json": {"uid": UID, "url": B}}, "a cat", ""),  # the uid is trusted
        (DATACOMP, "x", {"sha256": SHA.upper()}, "a cat", ""),
        (DATACOMP, "x", {"url": B}, "", "clip_l14_similarity_score 0.100 is below 0.16"),
        (
            DATACOMP,
            "x",
            {"txt": "own", "url": B},
            "",
            "clip_l14_similarity_score 0.100 is below 0.16",
        ),
        (COYO, "841814333321", {}, "a cat", ""),
        (COYO, "x", {"id": 841814333322}, "", "clip_similarity_vitb32 0.190 is below 0.20"),
        (JOINED, "x", {"hash": -4611686018427387905}, "a dog", ""),
        (JOINED, "x", {}, "", ""),
    ],
)
def test_joined_metadata(
    tmp_path: Path,
    rows: list[dict[str, Any]],
    key: str,
    fields: dict[str, Any],
    alt_text: str,
    note: str,
) -> None:
    table = write_parquet(tmp_path / "part-00000.snappy.parquet", rows)
    found = open_reader(source(tmp_path, table))(Sample(f"s/{key}", key, 0, b"x", fields=fields))
    assert found.alt_text == alt_text
    assert found.texts(HintKind.NOTE) == ([f"alt-text left out: {note}"] if note else [])


def test_what_the_row_adds_besides_text(tmp_path: Path) -> None:
    table = write_parquet(
        tmp_path / "m.parquet", [{"uid": UID, "url": A, "text": "t", "license": "CC0"}]
    )
    reader = open_reader(source(tmp_path, table))
    expected = Hints("t", (), (page("a"), hint(HintKind.LICENCE, "CC0")), source="web")
    assert reader(Sample(f"s/{UID}", UID, 0, b"x")) == expected


TSV_CAPTION_FIRST = 'a "big" cat\thttp://example.org/a.jpg\n"a dog"\thttp://example.org/b.jpg\n'
TSV_URL_FIRST = 'http://example.org/a.jpg\ta "big" cat\nhttp://example.org/b.jpg\t"a dog"\n'
CSV = 'url,caption\nhttp://example.org/a.jpg,"a ""big"" cat"\nhttp://example.org/b.jpg,a dog\n'
SBU = {"image_urls": [A, B], "captions": ['a "big" cat', "a dog"], "user_ids": ["u"]}
LIST = [{"URL": A, "Text": 'a "big" cat'}, {"URL": B, "Text": "a dog"}, "odd"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Train_GCC-training.tsv", TSV_CAPTION_FIRST),
        ("cc12m.tsv", TSV_URL_FIRST),
        ("cc12m.tsv", TSV_URL_FIRST.replace("\n", "\r\n")),
        ("photos.tsv000", "URL\tAlt\tX\n" + TSV_URL_FIRST.replace("\n", "\t1\n") + "broken\t\n"),
        ("first_is_stray.tsv", '"stray\thttp://x.org/c.jpg\n' + TSV_CAPTION_FIRST),
        ("links_in_text.tsv", "https://x.org\thttp://x.org/c.jpg\n" + TSV_CAPTION_FIRST),
        ("mark.tsv", "\ufeffcaption\turl\n" + TSV_CAPTION_FIRST),
        ("list.csv", CSV),
        ("sbu-captions-all.json", json.dumps(SBU)),
        ("list.json", json.dumps(LIST)),
        ("list.jsonl", "\n".join(map(json.dumps, LIST))),
    ],
)
def test_metadata_as_text(tmp_path: Path, name: str, content: str) -> None:
    table = tmp_path / name
    table.write_bytes(content.encode())
    reader = open_reader(source(tmp_path, table))
    texts = [reader(Sample("s/x", "x", 0, b"x", fields={"url": url})).alt_text for url in (A, B)]
    assert texts == ['a "big" cat', "a dog"]


@pytest.mark.parametrize("place", ["", "*.parquet", "part-0000?.parquet"])
def test_many_files(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "laion.parquet"  # a folder, as Spark names it
    write_parquet(folder / "part-00000.parquet", LAION[:1])
    write_parquet(folder / "part-00001.parquet", RELAION[1:])
    (folder / "_SUCCESS").touch()
    (folder / ".part-00000.parquet.crc").write_bytes(b"x")
    (folder / "00000_stats.json").write_text("{}")
    tables = Tables({"metadata": f"{folder}/{place}".rstrip("/")})
    reader = web.open_reader(tables, SourceConfig(path="x", adapter="web"))
    texts = [reader(Sample("s/x", "x", 0, b"x", fields={"url": url})).alt_text for url in (A, B)]
    assert texts == ["a cat", "a dog"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"PAR1 and no more"),
        ("a.tsv", b""),
        ("a.tsv", b"width\theight\n1\t2\n"),
        ("a.tsv", b"caption\twidth\nx\t2\n"),
        ("a.tsv", b"http://x.org/a.jpg\thttp://x.org/b.jpg\n"),
        ("a.tsv", b"a\tb\thttp://x.org/b.jpg\n"),
        ("a.csv", b"url,width\nhttp://x.org/b.jpg,1\n"),
        ("a.json", b"{"),
        ("a.json", b"[]"),
        ("a.json", b"3"),
        ("a.json", b'[{"url": "http://x.org/b.jpg"}]'),
        ("a.json", b'{"image_urls": ["http://x.org/b.jpg"], "captions": []}'),
        ("a.json", b'{"info": {}}'),
        ("a.jsonl", b'{"url": "u", "text": "t"}\n{'),
        ("a.zip", b"PK"),
        ("a.parquet", None),
    ],
)
def test_metadata_of_another_make(tmp_path: Path, name: str, content: bytes | None) -> None:
    table = tmp_path / name
    if content is None:
        write_parquet(table, [{"width": 1, "text": "t"}])
    else:
        table.write_bytes(content)
    with pytest.raises(RecipeError, match=r"(?s)source\.tables\.metadata: .* got .* expected"):
        open_reader(source(tmp_path, table))


def test_only_the_columns_that_count_are_read(tmp_path: Path) -> None:
    row = {"URL": A, "TEXT": "t", "face_bboxes": [[0.1, 0.2]], "__index_level_0__": 3}
    table = write_parquet(tmp_path / "m.parquet", [row])

    def fail(got: str, expected: str) -> RecipeError:
        return RecipeError(got + expected)

    assert find_tables(str(table), fail) == [str(table)]
    assert list(read_rows(str(table), fail)) == [{"URL": A, "TEXT": "t"}]


@pytest.mark.parametrize(
    "fields",
    [
        {"json": ["key"]},
        {"json": {"url": {"a": 1}, "uid": "\ud800", "key": "\0"}},
        {"txt": b"\xff", "url": b"\xff", "similarity": "x" * 1000},
        {"similarity": 10**400},
        {"json": {"caption": ["a", 1]}},
    ],
)
def test_odd_fields_do_no_harm(tmp_path: Path, fields: dict[str, Any]) -> None:
    reader = open_reader(source(tmp_path, write_parquet(tmp_path / "m.parquet", LAION)))
    sample = Sample("s/\ud800", "\ud800", 0, b"x", fields=fields)
    web.sample_id(sample)
    assert reader(sample).source == "web"
