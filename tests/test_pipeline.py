"""The whole pipeline on a real Ray with the echo engine: nothing lost, nothing doubled."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from recaption import keyed, storage
from recaption.config import Recipe
from recaption.corpus.reader import CorpusReader
from recaption.job import open_job
from recaption.pipeline import run_job, run_replay
from recaption.progress import Progress
from recaption.recipe_file import parse_recipe, to_yaml
from recaption.summary import RunFailedError, Summary
from tests.corpora import write_tar
from tests.crash.harness import read_captions
from tests.s3_faults import FaultProxy

pytestmark = pytest.mark.usefixtures("ray_session")

SHARDS = "shapeworld://seed=3,images=40,size=64,shards=4"


def recipe(corpus: Path | str, **sections: dict[str, Any]) -> Recipe:
    """Four shards of 40 images in parts of 16, two styles, two captions each."""
    data: dict[str, Any] = {
        "source": {"path": SHARDS, "part_samples": 16, "dataset": "shapes"},
        "caption": {"styles": ["short", "dense"], "per_style": 2},
        "engine": {"kind": "echo"},
        "corpus": {"path": str(corpus)},
    }
    for name, section in sections.items():
        data[name] = data.get(name, {}) | section
    return parse_recipe(data)


def run(resolved: Recipe, log: io.StringIO | None = None) -> Summary:
    console = Console(file=log or io.StringIO(), width=300)
    return run_job(open_job(resolved), Progress(console, 0.2))


@pytest.fixture(scope="module")
def undisturbed(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = tmp_path_factory.mktemp("undisturbed") / "corpus"
    summary = run(recipe(corpus))
    assert (summary.state, summary.exit_code) == ("complete", 0)
    assert (summary.parts, summary.read, summary.captioned) == (12, 160, 160)
    assert summary.captions == 640
    return corpus


def test_every_image_has_every_caption_once(undisturbed: Path) -> None:
    captions = read_captions(str(undisturbed))
    samples = {key[0] for key in captions}
    assert len(samples) == 160 and len(captions) == 640
    slots = {("full", style, slot) for style in ("short", "dense") for slot in (0, 1)}
    assert {key[1:] for key in captions} == slots


def test_a_caption_tells_where_it_came_from(undisturbed: Path) -> None:
    row = CorpusReader(str(undisturbed)).captions().to_pylist()[0]
    job = open_job(recipe(undisturbed))
    sample = next(s for p in job.preparer.parts(job.shards[0]) for s in p.samples)
    of_sample = [
        r
        for r in CorpusReader(str(undisturbed)).captions().to_pylist()
        if r["sample_id"] == sample.sample.sample_id
    ]
    assert sample.image is not None
    assert {r["image_sha256"] for r in of_sample} == {sample.image.sha256}
    assert {r["prompt"] for r in of_sample} == {r.prompt for r in sample.requests}
    assert row["fingerprint"] == job.made_by.fingerprint
    assert json.loads(row["sampling"])["temperature"] == 0.7
    assert row["engine"] == "echo" and row["finish_reason"] == "stop" and row["seed"] > 0


def test_running_again_does_nothing(undisturbed: Path) -> None:
    before = sorted(storage.list_names(str(undisturbed / "versions")))
    summary = run(recipe(undisturbed))
    assert (summary.parts, summary.parts_before, summary.exit_code) == (0, 12, 0)
    assert sorted(storage.list_names(str(undisturbed / "versions"))) == before


def test_a_part_that_is_missing_is_done_again_and_only_that(
    undisturbed: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    resolved = recipe(corpus)
    run(resolved)
    commits = sorted((corpus / "versions").glob("*/commits/*"))
    for i in (1, 5, 11):
        commits[i].unlink()
    summary = run(resolved)
    assert (summary.parts, summary.parts_before) == (3, 9)
    assert read_captions(str(corpus)) == read_captions(str(undisturbed))


def test_order_and_engines_change_no_caption(undisturbed: Path, tmp_path: Path) -> None:
    engine = {"kind": "echo", "replicas": 2, "num_cpus": 0.5, "args": {"delay_s": 0.003}}
    summary = run(recipe(tmp_path / "corpus", engine=engine))
    assert summary.exit_code == 0
    assert read_captions(str(tmp_path / "corpus")) == read_captions(str(undisturbed))


def sample_ids(corpus: Path, count: int) -> list[str]:
    ids = sorted({key[0] for key in read_captions(str(corpus))})
    return [ids[keyed.integer("pick", i) % len(ids)] for i in range(count)]


def rejects(corpus: Path) -> dict[str, str]:
    rows = CorpusReader(str(corpus)).rejects().to_pylist()
    return {row["sample_id"]: row["reason"] for row in rows}


def test_requests_that_fail_fail_alone_and_can_be_replayed(
    undisturbed: Path, tmp_path: Path
) -> None:
    bad = sample_ids(undisturbed, 3)
    corpus = tmp_path / "corpus"
    resolved = recipe(corpus, engine={"args": {"fail_on": bad}})
    summary = run(resolved)
    assert (summary.captioned, summary.rejected, summary.exit_code) == (157, 3, 0)
    assert rejects(corpus) == dict.fromkeys(bad, "request_failed")
    still_bad = run_replay(open_job(resolved), frozenset(), Progress(Console(file=io.StringIO())))
    assert still_bad.read == 3 and still_bad.captioned == 0
    other = run_replay(
        open_job(resolved), frozenset({"timeout"}), Progress(Console(file=io.StringIO()))
    )
    assert other.read == 0, "no reject has that reason"
    assert rejects(corpus) == dict.fromkeys(bad, "request_failed")


def test_a_request_that_kills_engines_is_found(undisturbed: Path, tmp_path: Path) -> None:
    killer = sample_ids(undisturbed, 1)[0]
    corpus = tmp_path / "corpus"
    summary = run(recipe(corpus, engine={"args": {"die_on": [killer], "delay_s": 0.002}}))
    assert (summary.captioned, summary.rejected, summary.exit_code) == (159, 1, 0)
    assert rejects(corpus) == {killer: "killed_engine"}
    assert summary.engine_deaths >= 4 and summary.retried_requests > 0


def test_a_request_that_kills_the_whole_process_is_found(undisturbed: Path, tmp_path: Path) -> None:
    killer = sample_ids(undisturbed, 2)[1]
    corpus = tmp_path / "corpus"
    summary = run(recipe(corpus, engine={"args": {"exit_on": [killer]}}))
    assert (summary.captioned, summary.rejected, summary.exit_code) == (159, 1, 0)
    assert rejects(corpus) == {killer: "killed_engine"}


def test_if_no_engine_boots_the_run_ends_with_its_error(tmp_path: Path) -> None:
    engine = {"args": {"boot_fails": "no such GPU"}, "boot_attempts": 1, "replicas": 2}
    with pytest.raises(RunFailedError, match="no such GPU"):
        run(recipe(tmp_path / "corpus", engine=engine | {"num_cpus": 0.5}))


def test_one_engine_that_does_not_boot_does_not_end_the_run(tmp_path: Path) -> None:
    flag = tmp_path / "first-one-fails"
    args = {"boot_fails_once_at": str(flag), "delay_s": 0.005}
    engine = {"args": args, "boot_attempts": 1, "replicas": 2, "num_cpus": 0.5}
    summary = run(recipe(tmp_path / "corpus", engine=engine))
    assert flag.exists(), "no engine failed: the test tests nothing"
    assert (summary.captioned, summary.exit_code) == (160, 0)


def test_a_broken_shard_fails_alone(undisturbed: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    for i in range(3):
        url = f"shapeworld://seed=3,images=40,size=64/{i:05d}.tar"
        storage.write_bytes(str(shards / f"{i:05d}.tar"), storage.read_bytes(url))
    whole = (shards / "00001.tar").read_bytes()
    (shards / "00001.tar").write_bytes(whole[: len(whole) * 6 // 10])
    resolved = recipe(tmp_path / "corpus", source={"path": str(shards)})
    summary = run(resolved)
    assert (summary.state, summary.exit_code) == ("incomplete", 1)
    (part, why), *others = summary.failed_parts.items()
    assert part == "00001.tar-00001" and "00001.tar" in why and not others
    assert (summary.parts, summary.read) == (7, 96)
    (shards / "00001.tar").write_bytes(whole)
    assert run(resolved).exit_code == 0
    assert len(read_captions(str(tmp_path / "corpus"))) == 480


def test_images_that_do_not_decode_are_rejects_with_reasons(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for name, data in {"a.jpg": b"", "b.jpg": b"<html></html>", "c.txt": b"text"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    resolved = recipe(tmp_path / "corpus", source={"path": str(path)})
    summary = run(resolved)
    assert (summary.read, summary.captioned, summary.captions) == (3, 0, 0)
    assert summary.rejects == {"empty_file": 1, "no_image": 1, "not_an_image": 1}
    assert (summary.state, summary.exit_code) == ("rejected", 1), "nothing was captioned"
    again = run(resolved)
    assert (again.read, again.state, again.exit_code) == (0, "rejected", 1), "nor is it now"
    accepted = resolved.model_copy(
        update={"run": resolved.run.model_copy(update={"reject_limit": 1.0})}
    )
    assert run(accepted).exit_code == 0, "where the user wants it so"


def test_a_run_that_captions_nothing_is_stopped(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", ((f"{i}.jpg", b"<html>") for i in range(2000)))
    resolved = recipe(tmp_path / "corpus", source={"path": str(path), "part_samples": 100})
    with pytest.raises(RunFailedError, match=r"first 1,000 samples .* rejected \(not_an_image 1,0"):
        run(resolved)


def test_progress_is_told_in_plain_lines(tmp_path: Path) -> None:
    log = io.StringIO()
    run(recipe(tmp_path / "corpus", engine={"args": {"delay_s": 0.5}, "concurrency": 64}), log)
    lines = [line for line in log.getvalue().splitlines() if "images/s" in line]
    assert lines and all(re.search(r"\d+ of (about )?\d+ images .* captions", one) for one in lines)
    assert "\x1b" not in log.getvalue()


@pytest.fixture
def bucket_folder() -> Iterator[str]:
    if "AWS_ENDPOINT_URL" not in os.environ or "S3_TEST_BUCKET" not in os.environ:
        pytest.skip("no S3 server: AWS_ENDPOINT_URL and S3_TEST_BUCKET are not set")
    url = f"s3://{os.environ['S3_TEST_BUCKET']}/pipeline-{uuid.uuid4().hex[:8]}"
    yield url
    storage.delete([storage.join(url, name) for name in storage.list_names(url)])


@pytest.mark.s3
def test_the_corpus_on_s3_is_the_same(undisturbed: Path, bucket_folder: str) -> None:
    summary = run(recipe(f"{bucket_folder}/corpus"))
    assert summary.exit_code == 0
    assert read_captions(f"{bucket_folder}/corpus") == read_captions(str(undisturbed))


@pytest.mark.s3
def test_failing_requests_to_s3_change_nothing(
    undisturbed: Path, bucket_folder: str, tmp_path: Path
) -> None:
    corpus = f"{bucket_folder}/faulty"
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe(corpus)))
    command = [sys.executable, "-m", "recaption", "caption", str(file)]
    with FaultProxy(os.environ["AWS_ENDPOINT_URL"], rate=0.05, seed=5) as proxy:
        environment = {"AWS_ENDPOINT_URL": proxy.url, "RECAPTION_S3_READ_TIMEOUT": "2"}
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, timeout=300
        )
        assert proxy.counts.total() > 0, "no request failed: the test tests nothing"
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_captions(corpus) == read_captions(str(undisturbed))
