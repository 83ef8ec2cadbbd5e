"""What a run tells of itself, and how that is shown."""

from __future__ import annotations

import io
import time

from rich.console import Console

from train.doing import WAITING, Doing, doing, tell_how_far, what_is_done
from train.progress import News, Pace, Report, Teller, own_share
from train.screen import Screen, picture, plain

VALUES = {"image error": 0.04, "loss": 0.14529, "rate": 1.5e-3, "own": 0.523}
REPORT = Report(3616, 8000, rate=38.21, left_s=115.0, values=VALUES)


def test_what_is_done_is_what_was_begun_last() -> None:
    assert what_is_done() is None
    with doing("evaluating"):
        with doing("painting", 30):
            tell_how_far(12, 30)
            now = what_is_done()
            assert now is not None and (now.what, now.done, now.total) == ("painting", 12, 30)
        now = what_is_done()
        assert now is not None and now.what == "evaluating" and not now.total
    assert what_is_done() is None
    assert Doing("painting", 10, 30, 5.2).line() == "painting 10/30, 5 s, left 10 s"


def test_the_rate_is_that_of_training_and_the_time_left_that_of_all() -> None:
    pace = Pace()
    waits, evaluates = Doing(WAITING, seconds=9.0), Doing("evaluating", seconds=9.0)
    assert pace.update(100.0, Report(0, 1000), waits).left_s == 0
    for now, images, what in ((160.0, 0, waits), (170.0, 100, None), (180.0, 100, evaluates)):
        found = pace.update(now, Report(images, 1000), what)
    assert found.left_s == 900 / (100 / 20)  # the clock starts with the first step
    found = pace.update(190.0, Report(200, 1000), None)
    assert found.left_s == 800 / (200 / 30)
    assert found.rate == 200 / 20  # of the last minute, without the ten seconds of evaluating
    restarted = pace.update(200.0, Report(50, 1000), None)
    assert (restarted.rate, restarted.left_s) == (0, 0)


def test_lines_fit_80_columns_with_the_loss_before_what_else_was_measured() -> None:
    lines = plain(REPORT, "evaluating: validation 3/30, 12 s; " + "x" * 200)
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].endswith("  3,616/8,000 45.2%  38.2 images/s  left 0:01:55")
    assert lines[1].strip() == "loss 0.1453  lr 0.0015  own captions 52%"
    assert "evaluating: validation 3/30, 12 s; xx" in lines[2]
    assert len(plain(Report(8, 16), "")) == 1
    assert plain(None, "starting Ray, 3 s")[0].endswith("starting Ray, 3 s")


def test_a_terminal_shows_a_bar_that_fits_it() -> None:
    for width in (40, 80, 200):
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=width, color_system=None)
        console.print(picture(REPORT, "writing a checkpoint, 3 s", width))
        lines = out.getvalue().splitlines()
        assert all(len(line.rstrip()) <= width for line in lines)
        assert "45.2% ━" in lines[0]
        assert "writing a checkpoint, 3 s" in lines[-1]


def test_it_is_never_silent_and_notes_are_told_once() -> None:
    out = io.StringIO()
    teller = Teller()
    with Screen(Console(file=out, width=80), every_s=0.05) as screen:
        with doing("opening the data"):
            time.sleep(0.7)
        with screen.watching(teller.take, lambda: "crop captioners boot, 2 s"):
            teller.note("a note \x1b[31mof one")
            teller.report(Report(8, 16, values={"loss": 0.5}))
            teller.seen(16, 16)
    lines = out.getvalue().splitlines()
    assert any("opening the data, " in line for line in lines)
    assert sum("a note" in line for line in lines) == 1 and "\x1b" not in out.getvalue()
    assert "16/16 100.0%" in lines[-1] and lines[-1].endswith("loss 0.5")


def test_workers_that_are_not_heard_are_told_of() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=80), every_s=0.05)
    with screen, screen.watching(lambda: News(Report(8, 16), age_s=40.0)):
        time.sleep(0.7)
    assert "nothing heard from the workers for 40 s" in out.getvalue()


def test_the_share_of_crops_with_their_own_caption() -> None:
    counts = {"data/crops kept": 5.0, "data/crops own": 3.0, "data/crops full": 1.0}
    assert own_share(counts) == 0.75
    assert own_share({"data/crops kept": 5.0}) is None
