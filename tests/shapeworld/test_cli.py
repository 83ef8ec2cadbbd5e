"""`recaption shapeworld render`: the same bytes wherever it runs, clear words where it cannot."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recaption import cli, storage
from recaption.config import SourceConfig
from recaption.datasets import generic
from recaption.shapeworld import cli as shapeworld
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.samples import draw_sample
from recaption.shapeworld.sets.shards import shard_bytes
from recaption.sources import list_shards, read_parts
from tests.command_line import recaption
from tests.corpus.build import BUCKET, needs_s3

SMALL = ("--shards", 3, "--per-shard", 4, "--size", 48)


def render(out, *options, small=SMALL):
    command = ["shapeworld", "render", "--out", str(out), *map(str, (*small, *options))]
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 0, result.output
    return result.output


def files_below(out):
    return {name: storage.read_bytes(f"{out}/{name}") for name in storage.list_names(str(out))}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process writes."""
    out = tmp_path_factory.mktemp("alone")
    render(out, "--seed", 5, "--workers", 1)
    return files_below(out)


def test_shards_are_written_and_read_as_a_source(tmp_path, alone):
    told = render(tmp_path / "out", "--seed", 5)
    assert f"3 shards of 4 images in 1 process -> {tmp_path}/out" in told
    assert "rendered 12 images in " in told
    assert files_below(tmp_path / "out") == alone
    assert set(alone) == {"rendered.json", "00000.tar", "00001.tar", "00002.tar"}
    assert alone["00002.tar"] == shard_bytes(5, 2, 4, 48)
    source = SourceConfig(path=str(tmp_path / "out"))
    parts = [part for shard in list_shards(source) for part in read_parts(shard, source)]
    samples = [sample for part in parts for sample in part.samples]
    assert len(samples) == 12 and all(sample.image for sample in samples)
    for index, sample in enumerate(samples):
        drawn = draw_sample(RenderedSet(5, 3, 4, 48), index)
        found = generic.hints(sample, source)
        assert found.alt_text == " ".join(drawn.alt_text.text.split())
        assert found.class_names == (drawn.class_hint.text,)


def test_two_processes_write_the_same(tmp_path, alone):
    assert "in 2 processes" in render(tmp_path, "--seed", 5, "--workers", 2)
    assert files_below(tmp_path) == alone


@pytest.mark.usefixtures("ray_session")
def test_ray_writes_the_same(tmp_path, alone):
    assert "on Ray" in render(tmp_path, "--seed", 5, "--workers", 0)
    assert files_below(tmp_path) == alone


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("layout", ["imagenet", "openimages", "yfcc"])
def test_ray_writes_the_same_layouts(tmp_path, layout):
    render(tmp_path / "ray", "--layout", layout, "--workers", 0)
    render(tmp_path / "here", "--layout", layout, "--workers", 1)
    assert files_below(tmp_path / "ray") == files_below(tmp_path / "here")


def test_the_same_command_again_changes_nothing_and_mends_what_is_broken(tmp_path, alone):
    render(tmp_path, "--seed", 5)
    (tmp_path / "00001.tar").write_bytes(b"half a sh")
    (tmp_path / "00002.tar").unlink()
    render(tmp_path, "--seed", 5)
    assert files_below(tmp_path) == alone


def test_another_seed_gives_other_bytes(tmp_path, alone):
    render(tmp_path, "--seed", 6)
    found = files_below(tmp_path)
    assert set(found) == set(alone)
    assert all(found[name] != alone[name] for name in alone)


def test_options_reach_the_shards(tmp_path):
    render(tmp_path / "png", "--format", "png", "--crops", "--seed", 7)
    expected = shard_bytes(7, 1, 4, 48, "png", crops=True)
    assert (tmp_path / "png" / "00001.tar").read_bytes() == expected
    render(tmp_path / "drawn", small=("--shards", 1, "--per-shard", 3))
    assert (tmp_path / "drawn" / "00000.tar").read_bytes() == shard_bytes(0, 0, 3)


@pytest.mark.s3
@needs_s3
def test_s3_gets_the_same(alone):
    url = f"s3://{BUCKET}/test-shapeworld/{uuid.uuid4().hex}"
    try:
        render(url, "--seed", 5, "--workers", 2)
        assert files_below(url) == alone
    finally:
        storage.delete(storage.join(url, name) for name in storage.list_names(url))


@pytest.mark.parametrize(
    ("shards", "cpus", "workers"), [(8, 2, 1), (9, 2, 0), (9, 1, 1), (100, None, 1)]
)
def test_many_shards_go_to_ray_where_there_are_cpus(monkeypatch, shards, cpus, workers):
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    assert shapeworld._workers(None, RenderedSet(0, shards, 1)) == workers
    assert shapeworld._workers(3, RenderedSet(0, shards, 1)) == 3


WRONG = [
    (["--shards", 0], "got 0 shards of 4 images, expected 1 to 100000 shards"),
    (["--shards", 100_001], "got 100001 shards"),
    (["--per-shard", 10_001], "of 10001 images, expected"),
    (["--size", 47], "got size 47, expected 48 to 512 pixels"),
    (["--size", 513], "got size 513"),
    (["--format", "jpeg"], "got format 'jpeg', expected jpg or png, did you mean jpg?"),
    (
        ["--only-large"],
        "only large things in scenes of all kinds, expected --most-things 1 or more",
    ),
    (["--layout", "yfc"], "got layout 'yfc', expected one of webdataset, imagenet, openimages, y"),
    (["--layout", "yfcc", "--format", "png"], "got format 'png', expected jpg"),
    (["--workers", -1], "--workers: got -1, expected"),
    (["--out", ""], "--out: got nothing, expected a folder or an s3:// URL"),
    (["--out", "/proc/nowhere"], "could not write /proc/nowhere/"),
    (["--out", "{tmp}/file"], "{tmp}/file/rendered.json: a part of its path is a file"),
    (["--out", "s4://bucket/x"], "no driver knows the scheme s4://"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, options, message):
    (tmp_path / "file").write_text("hello")
    filled = [str(option).replace("{tmp}", str(tmp_path)) for option in options]
    command = ["shapeworld", "render", "--out", tmp_path / "out", *SMALL, *filled]
    result = recaption(*command)
    assert result.code == 2
    assert message.replace("{tmp}", str(tmp_path)) in result.complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.s3
@needs_s3
def test_a_bucket_that_does_not_exist():
    result = recaption("shapeworld", "render", "--out", "s3://no-such-bucket-7/x", *SMALL)
    assert result.code == 2
    assert "there is no bucket 'no-such-bucket-7'" in result.complaint


@pytest.mark.parametrize("workers", [1, 2, pytest.param(0, id="ray")])
def test_what_fails_in_a_worker_is_told_as_if_it_had_failed_here(tmp_path, workers, request):
    if workers == 0:
        request.getfixturevalue("ray_session")
    (tmp_path / "00001.tar").mkdir()
    command = ["shapeworld", "render", "--out", tmp_path, "--workers", workers, *SMALL]
    result = recaption(*command)
    assert result.code == 2
    assert f"could not write {tmp_path}/00001.tar" in result.complaint


def test_help_does_not_wait_for_the_renderer():
    """Of the rendered world, `recaption --help` imports its commands alone."""
    command = [sys.executable, "-c", "import sys; import recaption.cli; print(*sys.modules)"]
    root = Path(cli.__file__).parents[1]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    found = [name for name in told.split() if name.startswith(("recaption.shapeworld", "cv2"))]
    assert found == ["recaption.shapeworld", "recaption.shapeworld.cli"]
    assert "ray" not in told.split()


def heed_ctrl_c():
    """Take Ctrl-C as a terminal's processes do; those of a shell's background are begun deaf."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.2, 0.8, 2.5])
def test_ctrl_c_ends_it_also_while_workers_start(tmp_path, seconds):
    """Ctrl-C reaches every process of the terminal; none may leave another waiting."""
    options = ["--out", str(tmp_path), "--shards", "50", "--per-shard", "50", "--workers", "2"]
    command = [sys.executable, "-m", "recaption", "shapeworld", "render", *options]
    with subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, preexec_fn=heed_ctrl_c
    ) as run:
        try:
            while not (tmp_path / "rendered.json").exists():
                time.sleep(0.02)
            time.sleep(seconds)
            os.killpg(run.pid, signal.SIGINT)
            assert run.wait(timeout=60) == 130
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
        assert b"Traceback" not in run.stderr.read()
    assert len(list(tmp_path.glob("*.tar"))) < 50
