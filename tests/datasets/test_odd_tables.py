"""Tables of every adapter, empty, cut short or of another kind: one line that names the file."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path

import pytest

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import ODD_ROWS, UNKNOWN, load_adapter, open_reader
from recaption.notices import Notice, take_notices
from recaption.sample import Sample
from recaption.storage import StorageError

ADAPTERS = (
    *("imagenet", "inaturalist", "openimages", "osv5m", "places365", "plantnet", "web", "yfcc100m"),
)
TABLES = [(name, table.name) for name in ADAPTERS for table in load_adapter(name).TABLES]
CONTENTS = {
    "empty": b"",
    "zeros": bytes(300),
    "half an object": b'{"a": {"b": "c',
    "half a list": b'[{"filename": "a", "title": "x", "desc',
    "a number": b"3",
    "bytes": bytes(range(256)) * 20,
    "brackets": b"[" * 200_000,
    "a quote": b'"a\nb',
    "digits": b'{"a": ' + b"9" * 5000 + b"}",
    "a long cell": b"a,b\n" + b"x" * 200_000 + b",c\n",
    "half a letter": b'{"a": {"species_id": "\\ud800"}, "\\ud800": {"species_id": 3}}',
}
SAMPLES = (
    Sample("s/a", "a", 0, b"x", "n01440764/a.jpg", {"json": {"a": [1]}, "label": 3}),
    Sample("\ud800/a", "\ud800", 0, b"x", "\ud800.jpg", {}),
)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAPTION_CACHE", str(tmp_path / "cache"))
    take_notices()


def noted() -> dict[str, Notice]:
    return {notice.kind: notice for notice in take_notices()}


@pytest.mark.parametrize(("adapter", "table"), TABLES)
@pytest.mark.parametrize("content", CONTENTS)
def test_odd_content(tmp_path: Path, adapter: str, table: str, content: str) -> None:
    raw = CONTENTS[content]
    endings = ("", ".json", ".csv", ".tsv", ".parquet", ".jsonl") if adapter == "web" else ("",)
    packed = {".gz": gzip.compress(raw)[:-6], ".bz2": bz2.compress(raw)[:-6]}
    damaged = gzip.compress(raw * 9)
    bent = {".bent.gz": damaged[:12] + bytes([damaged[12] ^ 255]) + damaged[13:]}
    for ending, data in {**dict.fromkeys(endings, raw), **packed, **bent}.items():
        path = tmp_path / f"table{ending}"
        path.write_bytes(data)
        _try(adapter, {table: str(path)}, tmp_path)


def _try(adapter: str, tables: dict[str, str], folder: Path) -> None:
    (folder / "classes.csv").write_text("/m/01,Cat\n")
    (folder / "words.txt").write_text("n01440764\ttench\n")
    words = str(folder / "words.txt")  # instead of timm's 21,841, which take a second to read
    others = {
        "openimages": {"classes": str(folder / "classes.csv")},
        "imagenet": {"lemmas": words, "definitions": words},
    }.get(adapter, {})
    source = SourceConfig(path="x", adapter=adapter, tables={**others, **tables})
    try:
        read = open_reader(source)
    except (RecipeError, StorageError) as error:
        message = str(error)
        assert "\n" not in message and len(message) < 800
        assert "source." in message or any(path in message for path in tables.values())
        return
    for sample in SAMPLES:
        read(sample)


def table(tmp_path: Path, name: str, content: str) -> str:
    (tmp_path / name).write_text(content)
    return str(tmp_path / name)


def test_images_that_the_tables_do_not_have_are_counted(tmp_path: Path) -> None:
    osv = "id,city,sub-region,region,country,captured_at,creator_username\n1234567890123,,,,,,\n"
    yfcc = "\t".join(["7", *"abcdefghijklmnopqrstu", "0"]) + "\n"
    images = "ImageID,Title,License,Author,OriginalLandingURL\n" + "0" * 16 + ",t,l,a,u\n"
    cases = {
        "osv5m": ({"metadata": table(tmp_path, "o.csv", osv)}, "999999999999999"),
        "yfcc100m": ({"lines": table(tmp_path, "y.txt", yfcc)}, "8"),
        "openimages": ({"images": table(tmp_path, "i.csv", images)}, "f" * 16),
        "plantnet": ({"species": table(tmp_path, "p.json", '{"1": "Lactuca"}')}, "a" * 32),
        "web": ({"metadata": table(tmp_path, "w.csv", "url,text\nhttp://a,b\n")}, "x"),
    }
    for adapter, (tables, stem) in cases.items():
        read = open_reader(SourceConfig(path="x", adapter=adapter, tables=tables))
        for _ in range(2):
            read(Sample(f"s/{stem}", stem, 0, b"x", f"2/{stem}.jpg"))
        told = noted()[UNKNOWN]
        assert told.count == 2 and told.example == f"s/{stem}", adapter


def test_a_cut_row_of_web_metadata_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [{"url": f"http://x/{n}", "text": str(n)} for n in range(3)]
    lines = "\n".join(map(json.dumps, rows))
    for name, content in {
        "m.jsonl": lines + '\n{"url": "http://x/9", "te',
        "m.csv": "url,text\nhttp://x/0,0\nhttp://x/1\nhttp://x/2,2\n",
        "m.tsv": "url\ttext\nhttp://x/0\t0\nhttp://x/9\na\tb\tc\nhttp://x/2\t2\n",
    }.items():
        source = SourceConfig(
            path="x", adapter="web", tables={"metadata": table(tmp_path, name, content)}
        )
        hints = open_reader(source)(Sample("s/a", "a", 0, b"x", fields={"url": "http://x/2"}))
        assert hints.alt_text == "2"
        told = noted()[ODD_ROWS]
        assert told.count == 1 + (name == "m.tsv") and name in told.example
