"""What a run shows: in a terminal of 80 and of 40 columns, in a log, from the first images on."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from recaption.coordinator import ShownCaption, Snapshot
from recaption.engines.boot_log import BootLog
from recaption.extent import Bulk, Extent, Known, LookedInto, images_in_shard
from recaption.parts import PreparedPart, PreparedSample
from recaption.progress import Progress, _Watch
from recaption.progress_view import View, duration, log_line
from recaption.sample import Part, Sample, Shard
from recaption.summary import Tally
from tests.corpora import make_corpus
from tests.corpus.build import write_photos

VIEW = View(
    done=126,
    total=300,
    rate=1.84,
    left_s=95,
    captions=1008,
    parts=2,
    rejects=(("too_small", 8), ("corrupt", 4)),
    engines="engines 1 ready",
    caption=(
        "shards/a/very/long/folder/of/photos/0012",
        "short",
        "A large red circle above a small green square on a wooden table in the evening sun.",
    ),
)

AT_80 = """
 42% ━━━━━━━━━━━━━━━━━━━━━━━━━━━                                       95 s left
126 of about 300 images  1.8 images/s  1,008 captions  2 parts
rejects 12: too_small 8, corrupt 4
engines 1 ready
…g/folder/of/photos/0012 short: A large red circle above a small green square o…
"""

AT_40 = """
 42% ━━━━━━━━━━╸               95 s left
126 of about 300 images  1.8 images/s
rejects 12: too_small 8, corrupt 4
engines 1 ready
…g/folder/of/photos/0012 short: A large…
"""


def shown(view: View, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None, force_terminal=True).print(view)
    return "\n" + "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize(("width", "golden"), [(80, AT_80), (40, AT_40)])
def test_a_terminal(width: int, golden: str) -> None:
    assert shown(VIEW, width) == golden


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_no_bar_stands_before_anything_is_known(
    width: int,
) -> None:
    many = tuple((f"reason_{i}", 10**6) for i in range(9))
    wide = replace(VIEW, done=10**9, total=10**10, captions=10**11, rejects=many, failed_parts=5)
    assert all(len(line) <= width for line in shown(wide, width).splitlines())
    assert "━" not in shown(replace(VIEW, total=None), width)


def test_a_log() -> None:
    line = log_line(VIEW)
    told = "42%  126 of about 300 images  1.8 images/s  95 s left  1,008 captions"
    assert line == f"{told}  rejects 12: too_small 8, corrupt 4"
    assert len(f"23:59:59  {told}") <= 80
    booting = View(engines="engines 1 booting 0:07: loading the model", is_waiting=True)
    assert log_line(booting) == "0 images  engines 1 booting 0:07: loading the model"


@pytest.mark.parametrize(
    ("done", "total", "percent"), [(0, 300, 0), (299, 300, 99), (900, 300, 99), (0, 0, 0)]
)
def test_a_percentage_is_never_silly(done: int, total: int, percent: int) -> None:
    view = View(done=done, total=total)
    assert view.percent == percent
    assert f"{done:,} of about {max(done, total):,} images" in shown(view, 80)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (99, "99 s"), (100, "2 min"), (7200, "2.0 h"), (10**6, "12 days")],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


# How many images there are.


def part(
    index: int, images: int, *, last: bool = False, size: int | None = 100_000
) -> PreparedPart:
    shard = Shard("a.tar", "/a.tar", "webdataset", size)
    samples = tuple(PreparedSample(Sample(str(i), str(i), i, None)) for i in range(images))
    return PreparedPart(shard, Part("a.tar", index, last), samples, sample_bytes=1000)


def test_a_shard_is_estimated_by_bytes_and_counted_at_its_end() -> None:
    assert images_in_shard(part(0, 16), 16) == 100
    assert images_in_shard(part(9, 16), 16) == 160, "never less than were read"
    assert images_in_shard(part(2, 5, last=True), 16) == 37
    assert images_in_shard(part(0, 16, size=None), 16) == 16


def test_the_first_part_of_a_real_tar_tells_how_many_images_it_has(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", shards=1, images=40, size=64)
    job = make_corpus(tmp_path / "corpus", photos, "source.part_samples=8", parts=1)
    first = next(job.preparer.parts(job.shards[0]))
    assert images_in_shard(first, 8) == pytest.approx(40, rel=0.2)


def test_a_folder_is_counted_by_its_listing(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(7):
        (photos / f"{i}.jpg").write_bytes(b"not looked into")
    job = make_corpus(tmp_path / "corpus", photos, parts=0)
    assert Bulk.of(job.shards) == Bulk(images=7)


def test_shards_count_once_as_they_were_told_last() -> None:
    seen = LookedInto()
    for shard, images in (("a", 90.0), ("b", 50.0), ("a", 100.0)):
        seen.add(shard, 1000, images)
    assert seen.known() == Known(shards=2, bytes=2000, images=150.0)


KNOWN = Known(shards=2, bytes=2000, images=200)


@pytest.mark.parametrize(
    ("extent", "known", "total", "before"),
    [
        (Extent(exact=10), Known(), 10, 0),
        (Extent(shards=Bulk(shards=10, bytes=5000)), Known(), None, 0),
        (Extent(shards=Bulk(shards=10, bytes=5000)), KNOWN, 500, 0),
        (Extent(shards=Bulk(shards=10)), KNOWN, 1000, 0),
        (Extent(shards=Bulk(images=70)), Known(), 70, 0),
        # Four shards were done before, and two parts of 16 of a fifth.
        (
            Extent(
                shards=Bulk(shards=10, bytes=5000),
                done=Bulk(shards=4, bytes=2000),
                part_images=32,
            ),
            KNOWN,
            500,
            232,
        ),
    ],
)
def test_how_many_images_a_job_has(
    extent: Extent, known: Known, total: float | None, before: float
) -> None:
    assert extent.total(known) == total
    assert extent.before(known) == before


# From a run's figures to what is shown.


def watch(extent: Extent, last_boot_s: float = 0.0) -> _Watch:
    return _Watch(Tally(), None, extent, last_boot_s)


def test_within_one_shard_of_one_part_percent_and_time_left_come_with_the_first_images() -> None:
    """No receipt has come: of a single part they come when all is over."""
    looking = watch(Extent(shards=Bulk(shards=1, bytes=1000)))
    booting = Snapshot(booting=1, booting_s=42, known=Known(1, 1000, 256))
    for second in range(60):
        view = looking.view_of(booting, second)
    assert (view.percent, view.left_s, view.rate) == (0, None, 0.0)
    for second in range(60, 71):
        ready = replace(booting, ready=1, booting=0, samples=(second - 60) * 8, captions=1)
        view = looking.view_of(ready, second)
    assert (view.done, view.total, view.percent) == (80, 256, 31)
    assert view.rate == pytest.approx(8, rel=0.15), "the boot does not count as slow captioning"
    assert view.left_s == pytest.approx(22, rel=0.15)


def test_what_earlier_runs_did_counts_as_done_and_not_for_the_rate() -> None:
    extent = Extent(
        shards=Bulk(shards=10, bytes=10_000), done=Bulk(shards=8, bytes=8000), part_images=0
    )
    looking = watch(extent)
    engines = Snapshot(ready=1, known=Known(1, 1000, 100))
    looking.view_of(engines, 0)
    view = looking.view_of(replace(engines, samples=50, captions=50), 10)
    assert (view.done, view.total, view.percent, view.rate) == (850, 1000, 85, 5.0)
    assert view.left_s == 30


def test_what_a_boot_is_doing_how_long_and_how_long_it_took_last_time() -> None:
    looking = watch(Extent(), last_boot_s=48)
    engines = Snapshot(booting=1, booting_s=34, waiting=("loading the model (50%)",))
    told = "engines 1 booting 0:34 (last time 0:48): loading the model (50%)"
    assert looking.view_of(engines, 0).engines == told


def test_a_caption_is_shown_for_a_while_and_cannot_drive_the_terminal() -> None:
    looking = watch(Extent())
    first = Snapshot(ready=1, caption=ShownCaption("a\x1b[2J", "short", "red\nand [bold]\x07blue"))
    assert looking.view_of(first, 100).caption == ("a", "short", "red and [bold]blue")
    other = Snapshot(ready=1, caption=ShownCaption("b", "short", "green"))
    assert looking.view_of(other, 101).caption == ("a", "short", "red and [bold]blue")
    view = looking.view_of(other, 105)
    assert view.caption == ("b", "short", "green")
    assert looking.view_of(other, 110, shows_captions=False).caption is None
    assert "[bold]blue" in shown(replace(VIEW, caption=("a", "short", "[bold]blue")), 80)


# Before there is a run to look at.


def test_a_log_says_at_once_what_is_done_and_goes_on_saying_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("recaption.progress._BUSY_S", 0.1)
    log = io.StringIO()
    with Progress(Console(file=log), every_s=0.05).showing() as progress:
        progress.doing("starting Ray")
        assert log.getvalue().endswith("  starting Ray\n")
        deadline = time.monotonic() + 30
        while log.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert len(log.getvalue().splitlines()) >= 3
    assert log.getvalue().splitlines()[-1].endswith("  starting Ray  0:00")


def test_nothing_heavy_is_imported_before_the_first_line() -> None:
    import subprocess
    import sys

    code = (
        "import sys; import recaption.cli, recaption.progress;"
        "print([m for m in ('ray', 'torch', 'vllm', 'pyarrow', 'pandas', 'numpy', 'PIL',"
        " 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


BOOT = [
    ("INFO [model.py:684] Resolved architecture: Qwen2VL", "starting its processes"),
    ("(Worker pid=1) INFO [m.py:131] Starting to load model /m...", "loading the model"),
    (
        "Loading safetensors checkpoint shards:  50% Completed | 1/2 [00:00]",
        "loading the model (50%)",
    ),
    ("(Worker pid=1) INFO [d.py:430] Loading weights took 0.14 seconds", "setting up the model"),
    ("INFO [b.py:1156] Dynamo bytecode transform time: 8.30 s", "compiling"),
    ("Capturing CUDA graphs (mixed):  10%|", "capturing CUDA graphs"),
    ("INFO [core.py:368] init engine (profile, create) took 9 s", "captioning a test image"),
]


def test_how_far_a_boot_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "worker.out"
    path.write_text("Capturing CUDA graphs of a boot before\n")
    monkeypatch.setattr("recaption.engines.boot_log._files", lambda: [path])
    log: Any = BootLog()
    assert log.stage() == "importing vLLM"
    for line, stage in BOOT:
        with path.open("a") as file:
            file.write(line + "\n")
        assert log.stage() == stage
