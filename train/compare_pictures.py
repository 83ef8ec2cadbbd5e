"""What a comparison found, as pictures: a metric by arm, and what each arm's model paints."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recaption import storage
from train.outputs import SAMPLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Result:
    """A metric of an arm: its mean over seeds, half of its 95% interval (None: one seed)."""

    mean: float
    half: float | None
    values: tuple[float, ...]


def draw_results(by_arm: Mapping[str, Result], metric: str) -> bytes:
    """Draw each arm's seeds, mean and interval; return a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.6 * len(by_arm) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    arms = list(by_arm)[::-1]  # the first one at the top
    for y, result in enumerate(by_arm[arm] for arm in arms):
        axes.errorbar(result.mean, y, xerr=result.half or 0, fmt="o", color="#1f4e79", capsize=4)
        axes.plot(result.values, [y - 0.2] * len(result.values), "|", color="#888888")
    axes.set_yticks(range(len(arms)), arms)
    seeds = max(len(result.values) for result in by_arm.values())
    axes.set_xlabel(f"{metric} (mean and 95% interval of {seeds} seeds)")
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return _png(figure)


def draw_samples(runs: Mapping[str, str]) -> bytes:
    """Draw the last grid of samples of each arm's run, two in a row; b'' where there is none.

    `runs` maps arms to folders of runs.
    """
    from matplotlib.figure import Figure
    from PIL import Image

    grids = {}
    for arm, folder in runs.items():
        place = storage.join(folder, SAMPLES)
        names = [name for name in storage.list_names(place) if name.endswith(".png")]
        if names:
            data = storage.read_bytes(storage.join(place, max(names)))
            grids[arm] = Image.open(io.BytesIO(data)).convert("RGB")
    if not grids:
        return b""
    rows, columns = -(-len(grids) // 2), min(2, len(grids))
    height = max(grid.height / grid.width for grid in grids.values())
    figure = Figure(figsize=(6 * columns, (6 * height + 0.3) * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in places:
        axes.set_axis_off()
    for axes, (arm, grid) in zip(places, grids.items(), strict=False):
        axes.imshow(np.asarray(grid))
        axes.set_title(arm, fontsize=10, loc="left", wrap=True)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
