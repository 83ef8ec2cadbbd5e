"""What killed runs leave: found, removed on request, and never one file more."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from recaption import storage
from recaption.config import RecipeError
from recaption.corpus.garbage import find_garbage, remove_garbage
from recaption.corpus.ledger import Ledger
from recaption.corpus.reader import CorpusReader
from recaption.corpus.writer import commit_part
from recaption.parts import Receipt
from recaption.storage import StorageError
from tests.command_line import recaption
from tests.corpora import replay_corpus
from tests.corpus.build import (
    answer,
    caption,
    data_files,
    files_of,
    open_only,
    part,
    sample,
    unless,
)


def test_a_finished_corpus_has_none(corpus: str, photos: Path) -> None:
    """Captions, rejects, replays, two versions, summaries: all of it is named by a record."""
    job = caption(corpus, photos, "source.part_samples=2", answer=unless("00000/0001"))
    replay_corpus(job)
    caption(corpus, photos, "source.part_samples=2", "seed=2", "corpus.on_change=new")
    before = files_of(corpus)
    assert len(before) > 12 and find_garbage(corpus) == []
    assert remove_garbage(corpus) == 0 and files_of(corpus) == before


def test_the_files_of_a_killed_attempt_are_found_and_removed(
    corpus: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*args: object) -> bool:
        raise Killed

    job = open_only(corpus, photos)
    whole = part(sample(0, answer("a")), sample(1, answer("", n=1)), shard="00000.tar")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "put_if_absent", die)
        with pytest.raises(Killed):
            commit_part(whole, job.made_by)
    left = data_files(corpus)
    assert len(left) == 2 and CorpusReader(corpus).captions().num_rows == 0
    assert commit_part(whole, job.made_by).captions == 1
    found = find_garbage(corpus)
    assert sorted(found) == sorted(storage.join(corpus, name) for name in left)
    assert remove_garbage(corpus) == 2 and find_garbage(corpus) == []
    assert CorpusReader(corpus).captions()["caption"].to_pylist() == ["a"]
    assert len(data_files(corpus)) == 2


def test_unfinished_local_writes_are_found_wherever_they_are(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    caption(corpus, photos)
    before = files_of(corpus)
    folders = {corpus, *(file.parent for file in corpus.rglob("*") if file.is_file())}
    for folder in folders:
        (folder / ".0123.recaption-tmp").write_bytes(b"half")
    assert remove_garbage(str(corpus)) == len(folders) == 5
    assert files_of(corpus) == before


def test_what_others_put_there_is_not_touched(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    caption(corpus, photos)
    for name in ("README.md", "report.html", "notes/x.parquet", "versions/old/captions/y.parquet"):
        storage.write_bytes(str(corpus / name), b"mine")
    assert find_garbage(str(corpus)) == []


def test_a_part_that_is_committed_while_we_look_keeps_its_files(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records are read after the files were listed: a record that comes in between counts."""
    corpus = tmp_path / "corpus"
    committed: list[Receipt] = []
    job = open_only(corpus, photos)
    read = Ledger.records

    def commit_then_read(ledger: Ledger, *args: object) -> object:
        if not committed:
            committed.append(commit_part(part(sample(0, answer("a"))), job.made_by))
        return read(ledger)

    monkeypatch.setattr(Ledger, "records", commit_then_read)
    assert find_garbage(str(corpus)) == [] and committed
    assert len(data_files(corpus)) == 1


def test_nothing_is_removed_while_a_run_is_at_work(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    caption(corpus, photos)
    live = corpus / "runs" / "r1.live.json"
    beat = {"run_id": "r1", "host": "node7", "time": time.time(), "line": ""}
    live.write_text(json.dumps(beat))
    stray = corpus / "versions" / "x.recaption-tmp"
    stray.write_bytes(b"")
    with pytest.raises(StorageError, match="run r1 on node7 is at work; clean when it has ended"):
        remove_garbage(str(corpus))
    assert stray.exists()
    os.utime(live, (time.time() - 3600,) * 2)
    assert remove_garbage(str(corpus)) == 1, "one that stopped beating an hour ago is dead"


def test_the_command_tells_how_many(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "[bold]corpus"
    caption(corpus, photos)
    (corpus / "versions" / "a.recaption-tmp").write_bytes(b"")
    result = recaption("clean", corpus)
    assert result.code == 0 and "removed 1 files from" in result.out
    assert "[bold]corpus" in result.out.replace("\n", "")
    with pytest.raises(RecipeError):
        find_garbage(str(tmp_path))


def test_a_link_leads_no_deletion_out_of_the_corpus(tmp_path: Path, photos: Path) -> None:
    """Whatever folder or file of a stranger's corpus is a link, what it names stays."""
    corpus, precious = tmp_path / "corpus", tmp_path / "precious"
    job = caption(corpus, photos)
    names = ("a-00000.0123456789ab.parquet", "b.recaption-tmp", "c-00000.json", "d.txt")
    for folder in ("x", "captions", "regions/captions"):
        for name in names:
            storage.write_bytes(str(precious / folder / name), b"mine")
    kept = files_of(precious)
    version = Path(job.ledger.folder)
    (version / "captions/links").symlink_to(precious)
    (version / "captions/e-00000.0123456789ab.parquet").symlink_to(precious / "x/d.txt")
    (version / "captions/f.recaption-tmp").symlink_to(precious / "x/d.txt")
    (corpus / "runs/away").symlink_to(precious)
    (corpus / "versions/other").symlink_to(precious)
    (corpus / "recipes/other.yaml").write_text("")
    (version / "regions").symlink_to(precious / "regions")
    with suppress(StorageError):  # "... is a link", which is as good
        remove_garbage(str(corpus))
    (version / "regions").unlink()
    (corpus / "versions/other").unlink()
    (version / "captions/g-00000.0123456789ab.parquet").write_bytes(b"")
    assert remove_garbage(str(corpus)) == 1, "what is garbage is still found"
    assert files_of(precious) == kept and (version / "captions/links").is_symlink()


@pytest.mark.parametrize("name", ["versions", "commits", "recipes", "runs", "corpus.json"])
def test_a_corpus_with_a_link_in_it_is_read_nowhere_else(
    tmp_path: Path, photos: Path, name: str
) -> None:
    corpus = tmp_path / "corpus"
    job = caption(corpus, photos)
    folder = Path(job.ledger.folder) if name == "commits" else corpus
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    result = recaption("status", corpus)
    assert result.code == 2 and "is a link: inside" in result.complaint


def test_a_corpus_may_be_a_link_itself(tmp_path: Path, photos: Path) -> None:
    caption(tmp_path / "corpus", photos)
    (tmp_path / "link").symlink_to(tmp_path / "corpus")
    assert CorpusReader(f"{tmp_path}/link/").captions().num_rows == 20
    (tmp_path / "corpus/versions/x.recaption-tmp").write_bytes(b"")
    assert remove_garbage(str(tmp_path / "link")) == 1


def test_a_record_names_no_file_elsewhere(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    job = caption(corpus, photos)
    record = next((Path(job.ledger.folder) / "commits").iterdir())
    for name in ("../../../../etc/passwd", "/etc/passwd"):
        data = json.loads(record.read_text()) | {"captions_file": name}
        record.write_text(json.dumps(data))
        with pytest.raises(StorageError, match=r"stays below .*damaged"):
            CorpusReader(str(corpus)).captions()
