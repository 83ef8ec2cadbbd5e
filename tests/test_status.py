"""What `recaption status` tells is what is in the corpus, during, after and between runs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from recaption import storage
from recaption.corpus.manifest import read_recipe
from recaption.corpus.reader import CorpusReader
from recaption.status import Status, corpus_status, describe_status, read_runs
from recaption.storage import StorageError
from tests.command_line import recaption
from tests.corpora import jpeg, replay_corpus, write_tar
from tests.corpus.build import caption, open_only, unless, write_photos

RECIPE = ("source.part_samples=3", "caption.styles=[short, dense]", "caption.per_style=2")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two shards of five images and one of four, of which one is none: 14 samples, 6 parts."""
    members = [(f"{i}.jpg", jpeg() if i else b"no image") for i in range(4)]
    write_tar(tmp_path / "photos" / "x.tar", members)
    return write_photos(tmp_path / "photos")


def status_of(corpus: object, version: str = "") -> Status:
    reader = CorpusReader(str(corpus), version)
    return corpus_status(reader, read_recipe(str(corpus), reader.fingerprint))


def test_the_numbers_are_those_of_the_tables(tmp_path: Path, photos: Path) -> None:
    corpus = str(tmp_path / "corpus")
    caption(corpus, photos, *RECIPE, answer=unless("00000/0001", empty=(("x/1", "short"),)))
    status, reader = status_of(corpus), CorpusReader(corpus)
    assert (status.parts, status.shards_done, status.shards) == (6, 3, 3)
    assert (status.read, status.captioned, status.rejected) == (14, 12, 2)
    assert status.captions == reader.captions().num_rows == 12 * 4 - 2
    assert status.captioned == len(set(reader.captions()["sample_id"].to_pylist()))
    assert status.rejects == {"not_an_image": 1, "request_failed": 4, "empty_caption": 2}
    assert status.rejects.total() == reader.rejects().num_rows


def test_a_corpus_half_done(tmp_path: Path, photos: Path) -> None:
    caption(tmp_path / "corpus", photos, *RECIPE, parts=1)
    status = status_of(tmp_path / "corpus")
    assert (status.parts, status.shards_done, status.shards) == (3, 0, 3)
    assert (status.read, status.captions, status.runs) == (9, 8 * 4, [])
    (photos / "00000.tar").unlink()
    caption(tmp_path / "corpus", photos, *RECIPE)
    status = status_of(tmp_path / "corpus")
    assert (status.parts, status.shards_done, status.shards) == (5, 2, 2)
    (run,) = status.runs
    assert (run["parts"], run["parts_before"], run["state"]) == (2, 3, "complete")


def test_replays_are_counted_once(tmp_path: Path, photos: Path) -> None:
    job = caption(tmp_path / "corpus", photos, *RECIPE, answer=unless("00000/0001", "00000/0002"))
    replay_corpus(job, unless("00000/0001"))
    status = status_of(tmp_path / "corpus")
    assert (status.read, status.captioned, status.captions) == (14, 12, 48)
    assert status.rejects == {"not_an_image": 1, "request_failed": 4}
    replay_corpus(job, unless())
    assert status_of(tmp_path / "corpus").rejects == {"not_an_image": 1}


def test_each_version_has_its_own(tmp_path: Path, photos: Path) -> None:
    first = caption(tmp_path / "corpus", photos, *RECIPE).made_by.fingerprint
    other = open_only(
        tmp_path / "corpus", photos, *RECIPE, "seed=1", "corpus.on_change=new"
    ).made_by.fingerprint
    assert status_of(tmp_path / "corpus", first).parts == 6
    assert status_of(tmp_path / "corpus", other).parts == 0


def test_images_out_of_reach_hide_only_the_number_of_shards(tmp_path: Path, photos: Path) -> None:
    caption(tmp_path / "corpus", photos, *RECIPE)
    photos.rename(tmp_path / "moved")
    status = status_of(tmp_path / "corpus")
    assert (status.shards, status.shards_done, status.read) == (None, 3, 14)


def write_beat(corpus: Path, run_id: str, age_s: float) -> Path:
    file = corpus / "runs" / f"{run_id}.live.json"
    beat = {"run_id": run_id, "host": "node7", "time": time.time(), "line": "shards 1/3"}
    file.write_text(json.dumps(beat))
    os.utime(file, (time.time() - age_s,) * 2)
    return file


def test_runs_under_way_are_told_from_dead_ones(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    caption(corpus, photos, *RECIPE)
    write_beat(corpus, "now", 5)
    write_beat(corpus, "dead", 600)
    ended, live = read_runs(str(corpus))
    assert [run["run_id"] for run in live] == ["now"] and len(ended) == 1
    write_beat(corpus, ended[0]["run_id"], 5)  # its end was written, its beat not yet removed
    assert [run["run_id"] for run in read_runs(str(corpus))[1]] == ["now"]
    result = recaption("status", corpus)
    assert "running   now on node7: shards 1/3" in result.out and "dead" not in result.out


def test_a_run_that_ends_while_we_look_is_no_error(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beat of a run is listed, then removed by the run, then read."""
    corpus = tmp_path / "corpus"
    caption(corpus, photos, *RECIPE)
    beat, list_own = write_beat(corpus, "now", 5), storage.list_own

    def list_then_end(corpus: str, folder: str) -> list[str]:
        names = list(list_own(corpus, folder))
        beat.unlink(missing_ok=True)
        return names

    monkeypatch.setattr(storage, "list_own", list_then_end)
    ended, live = read_runs(str(corpus))
    assert len(ended) == 1 and live == []


def test_a_damaged_summary_is_named(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    caption(corpus, photos, *RECIPE)
    (corpus / "runs" / "x.json").write_bytes(b"{")
    with pytest.raises(StorageError, match=r"damaged corpus file .*runs/x\.json"):
        read_runs(str(corpus))


def test_the_command_tells_it_in_lines(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "[b]corpus"
    version = caption(corpus, photos, *RECIPE).made_by.fingerprint
    result = recaption("status", corpus)
    assert result.code == 0
    assert result.out.splitlines()[:6] == [
        f"{corpus} (version {version})",
        "  shards    3 of 3 done",
        "  parts     6 committed",
        "  samples   14 read = 13 captioned + 1 rejected",
        "  captions  52",
        "  rejects   not_an_image 1",
    ]
    assert " complete: 6 parts," in result.out.splitlines()[6]


def test_a_corpus_just_begun(tmp_path: Path, photos: Path) -> None:
    open_only(tmp_path / "corpus", photos)
    lines = describe_status("c", "v", status_of(tmp_path / "corpus"))
    assert "  shards    0 of 3 done" in lines and "  rejects   none" in lines


@pytest.mark.parametrize("skew_s", [-7200.0, 7200.0])
def test_no_clock_but_the_stores_tells_live_runs_from_dead(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, skew_s: float
) -> None:
    """The clock of the machine that runs is off, then that of the one that looks."""
    corpus = tmp_path / "corpus"
    caption(corpus, photos, *RECIPE)
    for run_id, age_s in (("live", 5), ("dead", 600)):
        beat = write_beat(corpus, run_id, age_s)
        written = os.stat(beat).st_mtime_ns
        beat.write_text(json.dumps(json.loads(beat.read_text()) | {"time": time.time() + skew_s}))
        os.utime(beat, ns=(written, written))
    assert [run["run_id"] for run in read_runs(str(corpus))[1]] == ["live"]
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + skew_s)
    assert [run["run_id"] for run in read_runs(str(corpus))[1]] == ["live"]
    assert "running   live on node7" in recaption("status", corpus).out


def test_a_store_that_tells_no_time_leaves_the_clocks(tmp_path: Path) -> None:
    corpus = f"memory://{tmp_path.name}"
    for run_id, age_s in (("live", 5), ("dead", 600), ("ahead", -600)):
        beat = {"run_id": run_id, "host": "h", "line": "", "time": time.time() - age_s}
        storage.write_bytes(f"{corpus}/runs/{run_id}.live.json", json.dumps(beat).encode())
    assert [run["run_id"] for run in read_runs(corpus)[1]] == ["live"]
