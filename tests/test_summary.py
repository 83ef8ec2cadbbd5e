"""The count of a run."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from recaption.notices import Notice
from recaption.parts import HANDED_BACK, Receipt
from recaption.sample import Part
from recaption.summary import Summary, Tally, steady_rate, tell_end


def test_a_part_that_is_done_in_a_later_pass_has_not_failed() -> None:
    tally = Tally()
    tally.add(Receipt(Part("a.tar", 0), fault=HANDED_BACK + "its engine was lost"))
    tally.add(Receipt(Part("b.tar", 0), fault="truncated"))
    tally.forget(HANDED_BACK)
    assert tally.failed == {"b.tar-00000": "truncated"}
    tally.add(Receipt(Part("b.tar", 0), read=2, captioned=2, captions=4))
    assert (tally.failed, tally.parts, tally.read) == ({}, 1, 2)


@pytest.mark.parametrize(
    ("timeline", "rate"),
    [
        ([], 0.0),
        ([(0.0, 0)], 0.0),
        ([(0.0, 0), (10.0, 50)], 5.0),
        # a slow start and a slow end do not count
        ([(0.0, 0), (50.0, 10), (51.0, 50), (52.0, 90), (99.0, 100)], 40.0),
    ],
)
def test_steady_rate_leaves_out_start_and_drain(
    timeline: list[tuple[float, int]], rate: float
) -> None:
    assert steady_rate(timeline) == pytest.approx(rate)


def summary(**fields: Any) -> Summary:
    """Return the summary of a run of one part."""
    numbers = dict.fromkeys(("captioned", "rejected", "captions", "retried_requests"), 0)
    numbers |= dict.fromkeys(("shards", "parts", "parts_before", "read", "engine_deaths"), 0)
    base = {
        "run_id": "run-1",
        "corpus": "/corpora/[bold]a",
        "fingerprint": "0123",
        "state": "complete",
        "failed_parts": {},
        "rejects": {},
        "passes": 1,
        "seconds": 1.0,
        "images_per_second": 2.0,
    }
    return Summary(**(numbers | base | fields))


@pytest.mark.parametrize("state", ["complete", "incomplete", "stopped"])
def test_the_end_of_a_run_is_told_in_whole_lines(state: str) -> None:
    out = io.StringIO()
    fault = "truncated " * 20
    end = summary(state=state, failed_parts={"a.tar-00000": fault})
    tell_end(end, Console(file=out, width=40))
    lines = out.getvalue().splitlines()
    assert lines[0].startswith(f"{state}: 0 parts")
    assert "  corpus    /corpora/[bold]a (version 0123)" in lines
    assert f"  FAILED    a.tar-00000: {fault}".rstrip() in [line.rstrip() for line in lines]
    is_told = lines[-1] == "stopped; the same command continues where it ended"
    assert is_told is (state == "stopped")


@pytest.mark.parametrize(
    ("read", "captioned", "limit", "state"),
    [
        (10, 10, 0.2, "complete"),
        (10, 8, 0.2, "complete"),
        (10, 7, 0.2, "rejected"),
        (10, 0, 0.99, "rejected"),
        (10, 0, 1.0, "complete"),
        (10, 9, 0.0, "rejected"),
        (0, 0, 0.0, "complete"),
    ],
)
def test_a_complete_run_is_held_to_its_limit(
    read: int, captioned: int, limit: float, state: str
) -> None:
    told = summary(read=read, captioned=captioned, rejected=read - captioned).held_to(limit)
    assert (told.state, told.exit_code) == (state, int(state == "rejected"))


def test_what_was_lost_stays_what_the_run_is_called_after() -> None:
    lost = summary(state="incomplete", read=10, rejected=10)
    assert lost.held_to(0.1).state == "incomplete"


def test_the_end_tells_what_was_noted_and_no_escape_sequence() -> None:
    out = io.StringIO()
    failed = {"a\x1b[2J.tar-00000": "broken\ncomplete: 1 parts"}
    noted = (Notice("rows that name no image", 3, "meta.csv row 2"),)
    tell_end(summary(state="incomplete", failed_parts=failed, notices=noted), Console(file=out))
    assert "NOTE      3 x rows that name no image, first: meta.csv row 2" in out.getvalue()
    assert "FAILED    a.tar-00000: broken complete: 1 parts\n" in out.getvalue()
    assert "\x1b" not in out.getvalue()
