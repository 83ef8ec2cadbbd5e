"""Shares and means over images, with 95% confidence intervals that respect what one image holds.

Several claims of one image are not independent, so images are what is sampled: the variance of a
ratio of sums is that of its linearization (Cochran 1977, Sampling Techniques, eq. 6.13); where a
share is 0 or 1 and that is nothing, the Wilson score interval over images (Wilson 1927) stands in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or mean: its value, of how many, with the ends of its 95% interval."""

    value: float
    n: int
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Return value, n and interval."""
        interval = [round(self.low, 5), round(self.high, 5)]
        return {"value": round(self.value, 5), "n": self.n, "interval": interval}


def ratio(counts: Mapping[Any, tuple[float, float]]) -> Estimate | None:
    """Return sum(x) / sum(y) of the (x, y) of images; None where there is nothing to divide by."""
    pairs = [(x, y) for x, y in counts.values() if y]
    total = sum(y for _, y in pairs)
    if not total:
        return None
    value = sum(x for x, _ in pairs) / total
    images = len(pairs)
    spread = sum((x - value * y) ** 2 for x, y in pairs)
    if value in (0.0, 1.0) or images < 2:
        low, high = wilson(value, images)
    else:
        half = _Z * math.sqrt(spread * images / (images - 1)) / total
        low, high = max(0.0, value - half), min(1.0, value + half)
    return Estimate(value, round(total), low, high)


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the Wilson score interval of a share of n."""
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
