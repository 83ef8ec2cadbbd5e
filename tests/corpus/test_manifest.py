"""What is fixed of a corpus: a run that does not fit it is told so, and never mixes into it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from recaption import storage
from recaption.config import RecipeError
from recaption.corpus.manifest import (
    Manifest,
    list_versions,
    pick_version,
    read_manifest,
    read_recipe,
)
from recaption.corpus.reader import CorpusReader
from recaption.storage import StorageError
from tests.command_line import recaption
from tests.corpus.build import caption, files_of, open_only


def test_a_corpus_says_what_it_is_of(corpus: str, photos: Path) -> None:
    job = open_only(corpus, photos, "source.part_samples=7", "source.dataset=mine")
    found = read_manifest(corpus)
    assert (found.format, found.dataset, found.root) == (1, "mine", str(photos))
    assert (found.part_samples, found.created[:2]) == (7, "20")
    assert list_versions(corpus) == [job.made_by.fingerprint]
    assert read_recipe(corpus, job.made_by.fingerprint) == job.recipe
    assert pick_version(corpus) == job.made_by.fingerprint


def test_opening_again_changes_nothing(corpus: str, photos: Path) -> None:
    open_only(corpus, photos)
    before = {name: storage.read_bytes(storage.join(corpus, name)) for name in files_of(corpus)}
    open_only(corpus, photos, "run.progress_s=1", "engine.replicas=3")
    after = {name: storage.read_bytes(storage.join(corpus, name)) for name in files_of(corpus)}
    assert before == after, "the recipe that is kept is the one that made it"


def test_many_runs_may_start_it_at_once(corpus: str, photos: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: open_only(corpus, photos), range(8)))
    assert len({job.made_by.fingerprint for job in jobs}) == 1
    assert len({job.made_by.run_id for job in jobs}) == 8
    assert len(files_of(corpus)) == 2


CHANGES = [
    ("source.part_samples=3", ["have 256 samples", "source.part_samples=3; use 256, or another"]),
    (
        "source.dataset=other",
        ["holds data set 'photos'", "'other'; set source.dataset=photos"],
    ),
    (
        "source.root={up}",
        ["paths below {photos}", "below {up}; if the images moved: `recaption move "],
    ),
]


@pytest.mark.parametrize(("change", "messages"), CHANGES)
@pytest.mark.parametrize("on_change", ["error", "new"])
def test_another_part_size_root_or_data_set_is_an_error(
    tmp_path: Path, photos: Path, change: str, messages: list[str], on_change: str
) -> None:
    """Each would give other samples the same part number or id, in whatever version."""
    corpus, names = tmp_path / "corpus", {"up": str(tmp_path), "photos": str(photos)}
    caption(corpus, photos)
    before = files_of(corpus)
    extra = [] if "dataset" in change else ["source.dataset=photos"]
    with pytest.raises(RecipeError) as error:
        open_only(corpus, photos, change.format(**names), *extra, f"corpus.on_change={on_change}")
    for message in (*messages, str(corpus)):
        assert message.format(**names) in str(error.value)
    assert "\n" not in str(error.value) and files_of(corpus) == before


def test_a_changed_recipe_is_an_error_that_names_both(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    first = caption(corpus, photos).made_by.fingerprint
    before = files_of(corpus)
    with pytest.raises(RecipeError) as error:
        open_only(corpus, photos, "seed=5")
    assert all(text in str(error.value) for text in (first, "corpus.on_change=new", str(corpus)))
    assert files_of(corpus) == before


def test_or_a_version_beside_the_old_one(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    first = caption(corpus, photos).made_by.fingerprint
    old = {name: (corpus / name).read_bytes() for name in files_of(corpus)}
    second = caption(corpus, photos, "seed=5", "corpus.on_change=new").made_by.fingerprint
    assert list_versions(str(corpus)) == sorted([first, second])
    assert {name: (corpus / name).read_bytes() for name in old} == old
    tables = [CorpusReader(str(corpus), version).captions() for version in (first, second)]
    assert tables[0]["caption"].to_pylist() != tables[1]["caption"].to_pylist()
    assert tables[0]["sample_id"].to_pylist() == tables[1]["sample_id"].to_pylist()
    open_only(corpus, photos)  # both go on without being told again
    open_only(corpus, photos, "seed=5")
    assert read_recipe(str(corpus), second).seed == 5


def test_what_changes_no_caption_continues(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    caption(corpus, photos, parts=0)
    job = caption(corpus, photos, "engine.replicas=2", "engine.concurrency=3", "run.passes=1")
    assert len(list_versions(str(corpus))) == 1 and job.ledger.committed().count() == 2


NO_CORPUS = [
    (None, "not a corpus, it has no corpus.json; check the path"),
    (b"", "damaged corpus file .*corpus.json"),
    (b"[]", "damaged corpus file .*corpus.json"),
    (b'{"format": 1}', "damaged corpus file .*corpus.json"),
    (b"\xff\xfe", "damaged corpus file .*corpus.json"),
]


@pytest.mark.parametrize(("content", "message"), NO_CORPUS)
def test_what_is_no_corpus_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "corpus.json").write_bytes(content)
    with pytest.raises((RecipeError, StorageError), match=message) as error:
        read_manifest(str(tmp_path))
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_a_corpus_of_a_later_format_is_left_alone(tmp_path: Path) -> None:
    later = Manifest(2, "data", "/root", 256, "2030-01-01")
    data = {name: getattr(later, name) for name in Manifest.__slots__}
    (tmp_path / "corpus.json").write_text(json.dumps(data))
    with pytest.raises(RecipeError, match="corpus format 2, this program reads format 1"):
        read_manifest(str(tmp_path))


def test_killed_between_manifest_and_recipe_it_goes_on(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    open_only(corpus, photos)
    for file in (corpus / "recipes").iterdir():
        file.unlink()
    with pytest.raises(RecipeError, match="no caption has been written yet"):
        pick_version(str(corpus))
    caption(corpus, photos)
    assert CorpusReader(str(corpus)).captions().num_rows == 20


@pytest.mark.parametrize("command", ["status", "report", "clean", "export"])
@pytest.mark.parametrize("place", ["nothing", "folder", "file"])
def test_commands_on_what_is_no_corpus(tmp_path: Path, command: str, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("hello")
    options = ["--to", "jsonl", "--out", tmp_path / "x.jsonl"] if command == "export" else []
    result = recaption(command, tmp_path / place, *options)
    assert result.code == 2 and "not a corpus" in result.complaint


def test_a_damaged_recipe_in_a_corpus_is_named(tmp_path: Path, photos: Path) -> None:
    corpus = tmp_path / "corpus"
    version = caption(corpus, photos).made_by.fingerprint
    file = corpus / "recipes" / f"{version}.yaml"
    for content in ("source: [", "- a", yaml.safe_dump({"source": 3}), ""):
        file.write_text(content)
        with pytest.raises((RecipeError, StorageError)) as error:
            read_recipe(str(corpus), version)
        assert f"{version}.yaml" in str(error.value) and "\n" not in str(error.value)
