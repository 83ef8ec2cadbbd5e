"""Images that moved, and names of places that are one: the corpus goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from recaption.config import RecipeError
from recaption.corpus.manifest import pick_version, read_manifest, read_recipe
from recaption.corpus.moved import move_source
from recaption.corpus.reader import CorpusReader
from recaption.notices import take_notices
from recaption.storage import StorageError
from tests.command_line import recaption
from tests.corpora import jpeg, write_tar
from tests.corpus.build import caption, files_of, open_only


def test_a_corpus_is_told_where_its_images_are_now(
    tmp_path: Path, corpus: str, photos: Path
) -> None:
    version = caption(corpus, photos).made_by.fingerprint
    caption(corpus, photos, "seed=2", "corpus.on_change=new")
    new = tmp_path / "other" / "photos"
    new.parent.mkdir()
    photos.rename(new)
    assert not open_only(corpus, new).pending(CorpusReader(corpus, version).committed())
    assert "another place than when they were captioned" in take_notices()[0].kind
    assert read_manifest(corpus).root == str(photos), "a run does not decide it for good"
    export = ["export", corpus, "--version", pick_version_of(corpus), "--to", "webdataset"]
    result = recaption(*export, "--out", tmp_path / "out")
    assert result.code == 2 and f"`recaption move {corpus} --source PLACE`" in result.complaint
    before = CorpusReader(corpus, pick_version_of(corpus)).captions()

    told = recaption("move", corpus, "--source", f"{new}/")
    assert (told.code, told.out) == (0, f"moved: 2 shards below {new}\n")
    assert read_manifest(corpus).root == str(new)
    job = open_only(corpus, new)
    assert not job.pending(job.ledger.committed()), "nothing is paid again"
    assert read_recipe(corpus, job.made_by.fingerprint).source.path == str(new)
    assert recaption(*export, "--out", tmp_path / "out").code == 0
    assert CorpusReader(corpus, pick_version_of(corpus)).captions() == before
    moves = [name for name in files_of(corpus) if name.startswith("moves/")]
    assert len(moves) == 1


def pick_version_of(corpus: str) -> str:
    return sorted(name.partition(".")[0] for name in files_of(f"{corpus}/recipes"))[0]


WRONG = [
    ("other", "00000.tar is not the image that was captioned|is not the image that was captioned"),
    ("fewer", r"1 of its 2 captioned shards are not below .*fewer, such as 00001.tar; give as"),
    ("empty", "neither shards nor images there"),
    ("none", "there is no such file or folder"),
]


@pytest.mark.parametrize(("place", "message"), WRONG)
def test_a_place_without_its_images_changes_nothing(
    tmp_path: Path, photos: Path, place: str, message: str
) -> None:
    made = str(tmp_path / "corpus")
    caption(made, photos)
    (tmp_path / "empty").mkdir()
    (tmp_path / "fewer").mkdir()
    os.link(photos / "00000.tar", tmp_path / "fewer" / "00000.tar")
    for i in range(2):
        members = [(f"{j:04d}.jpg", jpeg("white", "black", (16, 16))) for j in range(5)]
        write_tar(tmp_path / "other" / f"{i:05d}.tar", members)
    before = {name: (tmp_path / "corpus" / name).read_bytes() for name in files_of(made)}
    with pytest.raises((RecipeError, StorageError), match=message):
        move_source(made, str(tmp_path / place))
    with pytest.raises((RecipeError, StorageError), match=f"recaption move|{message}"):
        open_only(made, tmp_path / place, "source.dataset=photos")
    assert before == {name: (tmp_path / "corpus" / name).read_bytes() for name in files_of(made)}


def test_two_versions_tell_how_to_name_one(tmp_path: Path, photos: Path) -> None:
    made = str(tmp_path / "corpus")
    caption(made, photos)
    open_only(made, photos, "seed=2", "corpus.on_change=new")
    with pytest.raises(RecipeError, match="with --version"):
        pick_version(made)


def test_one_source_by_any_name(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative, through a link, as a url: the same corpus, and nothing is captioned again."""
    made = tmp_path / "corpus"
    first = caption(made, photos)
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "to-corpus").symlink_to(made)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERE", str(tmp_path))
    for source in ("photos", "./photos/", "$HERE/photos", f"file://{photos}", "x/../photos"):
        job = open_only("corpus", source)
        assert job.made_by.corpus == str(made) and job.root == str(photos)
        assert job.made_by.fingerprint == first.made_by.fingerprint
        assert not job.pending(job.ledger.committed())
    linked = open_only("to-corpus", "link", "source.dataset=photos")
    assert not linked.pending(linked.ledger.committed())
    assert read_manifest(str(made)).root == str(photos)


def test_a_corpus_in_a_jobs_working_directory_is_refused(tmp_path: Path, photos: Path) -> None:
    job = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_0"
    with pytest.raises(RecipeError, match=r"in Ray's copy of the job's working directory"):
        open_only(job / "corpus", photos)
    assert not job.exists()


def test_a_retry_makes_no_corpus(tmp_path: Path, photos: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    sections = {"engine": {"kind": "echo"}, "source": {"path": str(photos)}}
    recipe.write_text(json.dumps(sections | {"corpus": {"path": str(tmp_path / "corpus")}}))
    result = recaption("retry", recipe)
    assert result.code == 2 and "not a corpus, it has no corpus.json" in result.complaint
    assert not (tmp_path / "corpus").exists()
    caption(tmp_path / "corpus", photos)
    before = files_of(tmp_path / "corpus")
    other = recaption("retry", recipe, "seed=7", "corpus.on_change=new")
    assert other.code == 2 and "no version " in other.complaint
    assert files_of(tmp_path / "corpus") == before


def test_a_strangers_dollar_is_no_variable(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A corpus's own recipe must not carry what stands in our environment to where it points."""
    monkeypatch.setenv("A_KEY", "secret")
    made = str(tmp_path / "corpus")
    version = caption(made, photos).made_by.fingerprint
    file = Path(made, "recipes", f"{version}.yaml")
    file.write_text(file.read_text().replace(str(photos), "/data/$A_KEY/photos"))
    assert read_recipe(made, version).source.path == "/data/$A_KEY/photos"
    result = recaption("export", made, "--to", "webdataset", "--out", tmp_path / "out")
    assert result.code == 2 and "$A_KEY" in result.complaint and "secret" not in result.complaint
    listed = tmp_path / "list.txt"
    listed.write_text(f"{tmp_path}/$A_KEY.tar\n")
    with pytest.raises(RecipeError, match=r"\$A_KEY\.tar"):
        open_only(tmp_path / "corpus2", listed)
