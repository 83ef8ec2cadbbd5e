"""A corpus as others read it: by DuckDB, pandas, Polars, `datasets`; committed parts only."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
import ray.data._internal.object_extensions.arrow  # noqa: F401 - what registers hostile types

import recaption
from recaption.corpus.schema import CAPTIONS
from tests.corpora import replay_corpus
from tests.corpus.build import BUCKET, caption, needs_s3, unless, write_photos
from tests.corpus.conftest import corpus as corpus_place
from tests.parquet.hostile import extension_types, hostile_column, nested, pickled, write_claiming

__all__ = ["BUCKET", "corpus_place", "needs_s3"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def uncommitted(corpus: Path) -> recaption.Corpus:
    """Leave beside the files of a corpus one that no record names, as a killed run does."""
    opened = recaption.open_corpus(corpus)
    first = Path(opened.files[0])
    shutil.copy(first, first.with_name("00000.tar-00009.abc.parquet"))
    return opened


def test_every_reader_sees_what_was_committed(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caption(tmp_path / "corpus", photos, "source.part_samples=2", "caption.per_style=2")
    corpus = uncommitted(tmp_path / "corpus")
    expected = sorted(corpus.arrow()["caption"].to_pylist())
    assert len(expected) == 40 and len(corpus.files) == 6

    captions = corpus.dataset()
    assert captions.schema == CAPTIONS
    assert captions.to_table().equals(corpus.arrow())
    told = duckdb.sql("SELECT caption FROM captions").fetchall()
    assert sorted(text for (text,) in told) == expected
    told = duckdb.read_parquet(corpus.files).project("caption").fetchall()
    assert sorted(text for (text,) in told) == expected
    assert sorted(corpus.pandas()["caption"]) == expected
    lazy = pl.scan_pyarrow_dataset(captions).filter(pl.col("style") == "short")
    assert lazy.select("caption").collect().height == 20
    assert sorted(pl.read_parquet(corpus.files)["caption"]) == expected

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    import datasets

    read = datasets.load_dataset(
        "parquet", data_files=corpus.files, split="train", cache_dir=str(tmp_path / "hf")
    )
    assert sorted(read["caption"]) == expected
    in_memory = datasets.Dataset(datasets.table.InMemoryTable(corpus.arrow(["caption"])))
    assert sorted(in_memory["caption"]) == expected


def test_it_is_read_from_disk_and_s3(corpus_place: str, photos: Path) -> None:
    caption(corpus_place, photos)
    corpus = recaption.open_corpus(corpus_place)
    assert corpus.dataset().count_rows() == 20
    captions = corpus.dataset()
    (count,) = duckdb.sql("SELECT count(*) FROM captions").fetchone() or (0,)
    assert count == 20 and corpus.counts().captions == 20
    assert [image.sample_id for image in corpus.samples()][:2] == ["00000/0000", "00000/0001"]
    assert all(file.startswith(corpus_place) for file in corpus.files)
    assert corpus.pandas(["style"]).shape == (20, 1) and captions.schema == CAPTIONS


def test_samples_have_captions_hints_and_rejects(tmp_path: Path, photos: Path) -> None:
    job = caption(tmp_path / "corpus", photos, "source.part_samples=2", answer=unless("00000/0001"))
    corpus = recaption.open_corpus(tmp_path / "corpus")
    first, second, *rest = corpus.samples()
    assert (first.sample_id, len(first.captions), first.rejects) == ("00000/0000", 2, ())
    assert first.hints[0] == recaption.HintRow("alt_text", "photo 0 of shard 0", "generic low")
    assert second.captions == () and {r.reason for r in second.rejects} == {"request_failed"}
    assert second.alt_text == "photo 1 of shard 0" and len(rest) == 8
    counts = corpus.counts()
    assert (counts.samples, counts.captioned, counts.rejected) == (10, 9, 1)
    assert counts.rejects == {"request_failed": 2} and corpus.rejects().num_rows == 2
    replay_corpus(job, unless())
    again = recaption.open_corpus(tmp_path / "corpus")
    assert [len(image.captions) for image in again.samples()] == [2] * 10
    assert all(not image.rejects for image in again.samples())
    assert len(again.reject_files) == 0 and len(again.files) == 7


def test_samples_are_read_part_by_part(tmp_path: Path, photos: Path) -> None:
    caption(tmp_path / "corpus", photos, "source.part_samples=2")
    corpus = recaption.open_corpus(tmp_path / "corpus")
    Path(corpus.files[2]).write_bytes(b"damaged")
    samples = corpus.samples()
    assert [next(samples).sample_id for _ in range(4)][-1] == "00000/0003"
    with pytest.raises(recaption.StorageError, match="truncated or damaged"):
        next(samples)


def test_what_is_wrong_is_told(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(recaption.RecipeError, match="not a corpus"):
        recaption.open_corpus(tmp_path)
    caption(tmp_path / "corpus", photos)
    with pytest.raises(recaption.RecipeError, match="no version 'zzz'"):
        recaption.open_corpus(tmp_path / "corpus", "zzz")
    with pytest.raises(recaption.RecipeError, match=r"no 'captoin', did you mean caption"):
        recaption.open_corpus(tmp_path / "corpus").arrow(["captoin"])


def test_a_dataset_brings_no_code(tmp_path: Path, photos: Path) -> None:
    """A stranger's file that claims a type whose values are unpickled: it is read as bytes."""
    caption(tmp_path / "corpus", photos)
    corpus, marker = recaption.open_corpus(tmp_path / "corpus"), tmp_path / "code-ran"
    kind = extension_types()["pickled"]
    table = pa.table({f.name: pa.nulls(1, f.type) for f in CAPTIONS}, schema=CAPTIONS)
    column = hostile_column(kind, "column", pickled(marker), b"")
    hostile = table.set_column(CAPTIONS.get_field_index("caption"), "caption", column)
    for file in corpus.files:
        Path(file).write_bytes(write_claiming(hostile, {"caption": nested(kind, "column")}))
    with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):  # bytes that are no text
        corpus.dataset().to_table().to_pylist()
    assert not marker.exists()
