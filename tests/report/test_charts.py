"""Numbers behind the charts: round bins that hold every value, words of any language."""

from __future__ import annotations

import numpy as np
import pytest

from recaption.report import charts
from recaption.report.measure import count_words


@pytest.mark.parametrize(
    ("values", "is_whole", "edges"),
    [
        ([3, 4, 7], True, list(range(1, 11))),
        ([5], True, list(range(1, 11))),
        ([1, 2], True, list(range(10))),
        ([-0.5], False, [-0.58, -0.56, -0.54, -0.52, -0.5, -0.48, -0.46, -0.44, -0.42, -0.4]),
        ([0, 100], True, list(range(0, 106, 5))),
        ([0.0, 1.0], False, [round(i * 0.05, 2) for i in range(22)]),
    ],
)
def test_bins_are_round_and_hold_all(
    values: list[float], is_whole: bool, edges: list[float]
) -> None:
    found = charts.bin_edges(np.asarray(values, np.float64), is_whole)
    assert found == pytest.approx(edges)
    assert found[0] <= min(values) and max(values) < found[-1]


def test_outliers_do_not_stretch_the_axis() -> None:
    lengths = np.asarray([float(i % 20) for i in range(999)] + [1e6])
    assert charts.bin_edges(lengths, is_whole=True)[-1] == 20


@pytest.mark.parametrize(
    ("rough", "step"), [(0, 1), (0.03, 0.05), (0.2, 0.2), (3, 5), (7, 10), (1000, 1000)]
)
def test_steps_are_round(rough: float, step: float) -> None:
    assert charts.nice_step(rough) == pytest.approx(step)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", 0), ("a red  house.", 3), ("一只猫", 3), ("富士山 and a cat", 6), ("مرحبا بالعالم", 2)],
)
def test_words_are_counted(text: str, words: int) -> None:
    assert count_words(text) == words
