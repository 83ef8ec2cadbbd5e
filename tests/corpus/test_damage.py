"""A corpus whose files say what no run writes: one line that names the file, never a traceback."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption.corpus.schema import CAPTIONS
from recaption.job import Job
from tests.command_line import recaption
from tests.corpus.build import caption

DEEP = b"[" * 200_000
ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b1A\r\nrun x complete‮"


@pytest.fixture
def job(tmp_path: Path, photos: Path) -> Job:
    return caption(tmp_path / "corpus", photos)


def paths(job: Job) -> dict[str, Path]:
    corpus = Path(job.made_by.corpus)
    return {
        "manifest": corpus / "corpus.json",
        "recipe": next((corpus / "recipes").iterdir()),
        "commit": next((Path(job.ledger.folder) / "commits").iterdir()),
        "run": next((corpus / "runs").iterdir(), corpus / "runs/x.json"),
        "beat": corpus / "runs/x.live.json",
        "captions": next((Path(job.ledger.folder) / "captions").iterdir()),
    }


def changed(path: Path, **values: Any) -> bytes:
    return json.dumps(json.loads(path.read_bytes()) | values).encode()


BROKEN = [
    *((name, bad) for name in ("manifest", "commit", "run", "beat") for bad in (DEEP, b"[]", b"7")),
    *((name, b'{"a":' * 100_000) for name in ("manifest", "commit", "run")),
    ("recipe", b"a: " + b"[" * 100_000),
    ("recipe", b"- 1"),
    ("recipe", b"a: &a [*a]"),
    ("captions", b"PAR1 not a table PAR1"),
    ("captions", b""),
]
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("manifest", {"part_samples": 0}),
    ("manifest", {"part_samples": -5}),
    ("manifest", {"part_samples": 10**30}),
    ("manifest", {"root": 7}),
    ("commit", {"read": "x"}),
    ("commit", {"read": -1, "captioned": 0, "rejected": -1}),
    ("commit", {"read": 10**400, "captioned": 10**400}),
    ("commit", {"rejects": [1]}),
    ("commit", {"rejects": {"undecodable": "many"}}),
    ("commit", {"shard": None}),
    ("commit", {"captions_file": "../../../corpus.json"}),
    ("commit", {"extra": 1}),
    ("run", {"parts": "x"}),
    ("run", {"images_per_second": None}),
    ("run", {"notices": 3}),
    ("run", {"notices": [{"kind": 1, "count": "x"}]}),
    ("beat", {"run_id": "x", "host": ["x"], "line": "", "time": 1}),
    ("beat", {"run_id": "x", "host": "x", "line": "", "time": "now"}),
]


@pytest.mark.parametrize("command", ["status", "report", "export", "clean"])
def test_a_damaged_file_is_one_line(job: Job, command: str) -> None:
    corpus = Path(job.made_by.corpus)
    for name, content in BROKEN:
        check(corpus, paths(job)[name], content, command)
    for name, values in WRONG if command in ("status", "report") else ():
        path = paths(job)[name]
        check(
            corpus,
            path,
            changed(path, **values) if path.exists() else json.dumps(values).encode(),
            command,
        )


def check(corpus: Path, path: Path, content: bytes, command: str) -> None:
    """Run a command over a corpus with one file damaged; it says so, or does without the file."""
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(content)
    more = ["--to", "jsonl", "--out", corpus.parent / "x.jsonl"] if command == "export" else []
    result = recaption(command, corpus, *more)
    assert result.code in (0, 1, 2) and "Traceback" not in result.err, (path.name, content[:80])
    if result.code:
        assert len(result.complaint) < 700, result.complaint
    if before is None:
        path.unlink()
    else:
        path.write_bytes(before)


def test_no_number_breaks_the_report_for_good(job: Job) -> None:
    file = paths(job)["captions"]
    rows = pq.read_table(file).to_pylist()
    odd = [float("nan"), float("inf"), float("-inf"), -3.4e38]
    for i, row in enumerate(rows):
        row["mean_logprob"] = odd[i % 4]
        row["width"], row["height"] = [(0, 0), (-5, 7), (2**31 - 1, 1), (None, None)][i % 4]
        row["caption_tokens"] = [-1, 0, 2**31 - 1, None][i % 4]
    write(file, rows)
    result = recaption("report", job.made_by.corpus)
    assert result.code == 0, result.err


def test_rows_without_what_each_has(job: Job) -> None:
    file = paths(job)["captions"]
    whole = pq.read_table(file).to_pylist()
    for name in CAPTIONS.names:
        write(file, [row | {name: None} for row in whole])
        result = recaption("report", job.made_by.corpus)
        assert "Traceback" not in result.err and (result.code == 0 or result.complaint), name


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=CAPTIONS), buffer)
    file.write_bytes(buffer.getvalue())


def test_no_escape_sequence_reaches_a_terminal_or_page(job: Job) -> None:
    corpus, file = Path(job.made_by.corpus), paths(job)
    notice = {"kind": ESCAPES, "count": 1, "example": ESCAPES}
    file["run"].write_bytes(changed(file["run"], state=ESCAPES, notices=[notice]))
    line = {"run_id": ESCAPES, "host": ESCAPES, "line": ESCAPES, "time": 1}
    file["beat"].write_text(json.dumps(line))
    file["commit"].write_bytes(changed(file["commit"], rejects={ESCAPES: 0}))
    rows = pq.read_table(file["captions"]).to_pylist()
    write(file["captions"], [row | {"style": ESCAPES, "prompt": ESCAPES} for row in rows])
    for command in ("status", "report"):
        result = recaption(command, corpus)
        assert result.code == 0, result.err
        assert not any(c in result.out for c in "\x1b\x07\x9b\r‮"), command
    told = recaption("status", corpus).out
    assert not any(one.startswith("run x complete") for one in told.splitlines())
    page = (corpus / "report.html").read_text()
    assert not any(c in page for c in "\x1b\x07\x9b‮")
