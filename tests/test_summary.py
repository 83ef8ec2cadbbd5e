"""The count of a run."""

from __future__ import annotations

import pytest

from recaption.parts import HANDED_BACK, Receipt
from recaption.sample import Part
from recaption.summary import Tally, steady_rate


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
