"""Every snippet of docs/api.md and every example runs: with the echo engine, on a real Ray."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.corpora import jpeg

ROOT = Path(__file__).resolve().parents[2]
MODEL = '"Qwen/Qwen3-VL-2B-Instruct"'
pytestmark = pytest.mark.usefixtures("ray_session")


def test_the_snippets_of_the_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    for name, colour in (("one", "red"), ("two", "green")):
        (tmp_path / "photos" / f"{name}.jpg").write_bytes(jpeg(colour))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    snippets = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/api.md").read_text(), re.S | re.M)
    assert len(snippets) == 5
    names: dict[str, object] = {"__name__": "docs"}
    for snippet in snippets:
        cheap = snippet.replace(f'"model": {MODEL}', '"kind": "echo"').replace(MODEL, '"echo"')
        exec(compile(cheap, "docs/api.md", "exec"), names)
    told = capsys.readouterr().out
    assert "complete 2 0" in told
    assert "Counts(parts=1, samples=2, captioned=2, rejected=0, captions=4" in told
    assert "num_rows: 4" in told


def run(example: str, *arguments: str) -> None:
    path = ROOT / "examples" / f"{example}.py"
    before, sys.argv = sys.argv, [str(path), *arguments]
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = before


def test_the_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("caption_images")
    told = capsys.readouterr().out
    assert told.count("image ") == 3 and told.count("  short: ") == told.count("  dense: ") == 3
    corpus = str(tmp_path / "corpus")
    run("custom_recipe", corpus)
    told = capsys.readouterr().out
    assert "complete: 16 captioned, 64 captions" in told and told.count("  -0.") > 3
    run("read_corpus", corpus)
    told = capsys.readouterr().out
    assert "16 samples, 64 captions" in told
    assert "DuckDB: [('dense', 32), ('short', 32)]" in told
    assert "sure captions" in told and "num_rows: 64" in told
