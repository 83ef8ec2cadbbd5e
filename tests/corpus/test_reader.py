"""Reading a corpus back: what was committed, all of it, in a fixed order, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from recaption.config import RecipeError
from recaption.corpus.joined import Rows, rows_by_sample
from recaption.corpus.reader import CorpusReader
from recaption.corpus.schema import CAPTIONS, REJECTS
from recaption.sample import Part
from tests.corpora import replay_corpus
from tests.corpus.build import caption, open_only, unless

TWO_STYLES = ("source.part_samples=2", "caption.styles=[short, dense]", "caption.per_style=2")


def test_all_that_was_committed_is_there(corpus: str, photos: Path) -> None:
    caption(corpus, photos, *TWO_STYLES)
    reader = CorpusReader(corpus)
    table = reader.captions()
    assert table.schema == CAPTIONS and table.schema.metadata == CAPTIONS.metadata
    keys = {tuple(row[c] for c in ("sample_id", "style", "slot")) for row in table.to_pylist()}
    assert keys == {
        (f"{s:05d}/{i:04d}", style, slot)
        for s in range(2)
        for i in range(5)
        for style in ("short", "dense")
        for slot in range(2)
    }
    assert table.num_rows == len(keys)
    assert reader.rejects().schema == REJECTS and reader.rejects().num_rows == 0
    assert [p.name for p, _ in reader.iter_parts()] == [
        f"{s:05d}.tar-{i:05d}" for s in range(2) for i in range(3)
    ]


@pytest.mark.parametrize("form", ["plain", "file", "relative", "home"])
def test_a_local_corpus_may_be_named_in_any_way(
    tmp_path: Path, photos: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caption(tmp_path / "corpus", photos)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    full = str(tmp_path / "corpus")
    named = {"plain": full, "file": f"file://{full}", "relative": "corpus", "home": "~/corpus"}
    reader = CorpusReader(named[form])
    assert reader.captions().num_rows == 20


def test_what_is_not_committed_does_not_exist(tmp_path: Path, photos: Path) -> None:
    job = caption(tmp_path / "corpus", photos, *TWO_STYLES)
    commit = job.ledger.folder + "/commits/00000.tar-00001.json"
    Path(commit).unlink()
    reader = CorpusReader(str(tmp_path / "corpus"))
    assert reader.captions().num_rows == 32
    assert "00000/0002" not in reader.captions()["sample_id"].to_pylist()


def test_an_empty_version_reads_as_empty_tables(tmp_path: Path, photos: Path) -> None:
    open_only(tmp_path / "corpus", photos)
    reader = CorpusReader(str(tmp_path / "corpus"))
    assert reader.captions().equals(CAPTIONS.empty_table())
    assert reader.rejects().equals(REJECTS.empty_table())
    assert list(reader.iter_parts()) == []


def by_sample(reader: CorpusReader, part: Part) -> dict[str, Rows]:
    return rows_by_sample(reader.captions(reader.records(part)))


def test_captions_of_a_sample_come_by_region_style_slot(tmp_path: Path, photos: Path) -> None:
    caption(tmp_path / "corpus", photos, *TWO_STYLES)
    reader = CorpusReader(str(tmp_path / "corpus"))
    for index, is_last in ((0, False), (2, True), (2, False)):  # the caller need not know the end
        found = by_sample(reader, Part("00001.tar", index, is_last))
        ordinals = range(2 * index, min(5, 2 * index + 2))
        assert list(found) == [f"00001/{i:04d}" for i in ordinals]
        for rows in found.values():
            order = [(r["region"], r["style"], r["slot"]) for r in rows]
            assert order == [("full", s, k) for s in ("dense", "short") for k in (0, 1)]


def test_a_replay_is_read_with_its_part(tmp_path: Path, photos: Path) -> None:
    job = caption(
        tmp_path / "corpus", photos, *TWO_STYLES, answer=unless("00000/0000", "00000/0003")
    )
    reader = CorpusReader(str(tmp_path / "corpus"))
    assert reader.rejects().num_rows == 8 and reader.captions().num_rows == 32
    replay_corpus(job, unless("00000/0003"))
    assert reader.captions().num_rows == 36
    assert set(reader.rejects()["sample_id"].to_pylist()) == {"00000/0003"}
    part = Part("00000.tar", 0)
    assert list(by_sample(reader, part)) == ["00000/0001", "00000/0000"]
    assert [r.retry for r in reader.records(part)] == [0, 1]
    assert len(list(reader.iter_parts())) == 6, "a replay is no part of its own"


def test_there_must_be_a_corpus_and_a_version(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(RecipeError, match=r"not a corpus, it has no corpus\.json"):
        CorpusReader(str(tmp_path / "nothing"))
    first = caption(tmp_path / "corpus", photos).made_by.fingerprint
    other = caption(
        tmp_path / "corpus", photos, "seed=1", "corpus.on_change=new"
    ).made_by.fingerprint
    with pytest.raises(RecipeError, match="has 2 versions, name one with --version") as error:
        CorpusReader(str(tmp_path / "corpus"))
    assert first in str(error.value) and other in str(error.value)
    assert CorpusReader(str(tmp_path / "corpus"), other[:6]).fingerprint == other
    with pytest.raises(RecipeError, match=r"no version 'zzz' \(versions: "):
        CorpusReader(str(tmp_path / "corpus"), "zzz")


def test_two_versions_are_read_apart(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    first = caption(corpus, photos).made_by
    other = caption(corpus, photos, "seed=1", "corpus.on_change=new").made_by
    for made_by in (first, other):
        table = CorpusReader(str(corpus), made_by.fingerprint).captions()
        assert set(table["fingerprint"].to_pylist()) == {made_by.fingerprint}
        assert table.num_rows == 20
