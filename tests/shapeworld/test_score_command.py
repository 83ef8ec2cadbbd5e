"""`recaption shapeworld score` on a corpus as the writer commits it, of true captions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recaption import cli
from recaption.corpus.writer import commit_part
from recaption.job import open_job
from recaption.parts import CaptionedPart, CaptionedSample, PreparedSample
from recaption.recipe_file import parse_recipe
from recaption.sample import Caption, Request
from recaption.shapeworld.known import NOTHING, Known, believed
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.score import Truth, read_truths
from recaption.shapeworld.sets.shards import write_shards
from tests.command_line import recaption
from tests.judging import answered as judged


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    write_shards(str(folder), shards=2, per_shard=20, seed=5, size=64)
    return folder


@pytest.fixture(scope="module")
def corpus(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of true captions with all right facts, two a style."""
    folder = tmp_path_factory.mktemp("scored") / "corpus"
    recipe = parse_recipe(
        {
            "source": {"path": str(shards)},
            "caption": {"styles": list(Style), "per_style": 2},
            "engine": {"kind": "echo"},
            "corpus": {"path": str(folder)},
        }
    )
    job, truths = open_job(recipe), read_truths(str(shards))
    for shard in job.shards:
        for part in job.preparer.parts(shard):
            samples = tuple(answered(s, truths[s.sample.sample_id]) for s in part.samples)
            commit_part(CaptionedPart(shard, part.part, samples), job.made_by)
    return folder


def answered(prepared: PreparedSample, truth: Truth) -> CaptionedSample:
    facts = Known(**truth.alt_facts)
    known = believed(truth.scene, facts, prepared.shown.class_names)
    assert prepared.image is not None
    bare = replace(prepared, image=replace(prepared.image, data=b""))
    asked = prepared.requests
    told = (tuple(written(r, slot, truth, known) for slot in range(r.n)) for r in asked)
    return CaptionedSample(bare, tuple(map(judged, asked, told)))


def written(request: Request, slot: int, truth: Truth, known: Known) -> Caption:
    text = captions(truth.scene, Style(request.style), slot, known or NOTHING)
    return Caption(text, slot, "stop", 1, 1, None)


def test_true_captions_score_one(corpus: Path, shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "score.json"
    command = ["shapeworld", "score", str(corpus), str(shards), "--json", str(out)]
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert report["images"] == 40 and report["not_found"] == 0
    precision = report["claims"]["precision"]
    assert precision["value"] == 1.0 and precision["n"] > 500
    assert precision["interval"][0] > 0.85 and precision["interval"][1] == 1.0
    assert report["claims"]["recall"]["value"] == 1.0
    assert report["retention"]["value"] == 1.0 and report["retention"]["n"] > 20
    assert report["wrong_believed"]["value"] == report["wrong_class_obeyed"]["value"] == 0.0
    assert 0.0 < report["diversity"]["value"] < 1.0
    assert "Claims, full images" in result.output and "relation" in result.output


def test_another_sets_shards_are_refused(corpus: Path, shards: Path, tmp_path: Path) -> None:
    write_shards(str(tmp_path / "other"), shards=1, per_shard=2, seed=5, size=64)
    (tmp_path / "other" / "00000.tar").rename(tmp_path / "other" / "99999.tar")
    done = recaption("shapeworld", "score", str(corpus), str(tmp_path / "other"))
    assert done.code == 2
    assert "none of its 40 images is in" in done.complaint


def test_shards_without_scenes_are_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"no image is needed here")
    done = recaption("shapeworld", "score", str(corpus), str(tmp_path / "photos"))
    assert done.code == 2
    assert "expected the .json of a rendered scene" in done.complaint
