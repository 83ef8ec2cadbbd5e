"""Charts as inline SVG: histograms, bars, a scatter of sizes. Colours are the page's.

All share a width of `WIDTH` units, about a pixel each, and stretch to the box they stand in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

WIDTH = 330
_LEFT, _RIGHT = 1, 1
_ROW, _BARS = 74, 40  # height of a histogram's row, and of the bars in it
_LINE = 27
_FEWEST_BINS, _MOST_BINS = 9, 42

Floats = NDArray[np.float64]


def histograms(series: Mapping[str, Sequence[float]], decimals: int = 0) -> Markup:
    """Draw a histogram per style over one axis; whole numbers where `decimals` is 0.

    The axis ends at the 99.5th percentile: what is beyond it is counted in the last bar.
    """
    numbers = {name: np.asarray(v, np.float64) for name, v in series.items()}
    finite = {name: v[np.isfinite(v)] for name, v in numbers.items()}
    values = {name: v for name, v in finite.items() if len(v)}
    if not values:
        return Markup("")
    edges = bin_edges(np.concatenate(list(values.values())), is_whole=decimals == 0)
    rows = [
        _histogram(name, list(series).index(name), v, edges, at * _ROW, decimals)
        for at, (name, v) in enumerate(values.items())
    ]
    height = len(rows) * _ROW
    return _svg(height + 22, *rows, _axis(edges, height + 2, decimals))


def bars(counts: Mapping[str, int], total: int) -> Markup:
    """Draw a horizontal bar per name with its count and its share of `total`."""
    most = max(counts.values(), default=0)
    rows = [
        _bar(n, c, c / max(1, most), total, i * _LINE) for i, (n, c) in enumerate(counts.items())
    ]
    return _svg(len(rows) * _LINE + 4, *rows)


def scatter(sizes: Sequence[tuple[int, int]]) -> Markup:
    """Draw image sizes, width to the right and height upwards, in logarithmic steps of two."""
    sizes = [size for size in sizes if min(size) > 0]
    if not sizes:
        return Markup("")
    low = math.floor(math.log2(min(min(s) for s in sizes)))
    high = max(low + 1, math.ceil(math.log2(max(max(s) for s in sizes))))
    left, top, side = 42, 8, 220

    def x(pixels: float) -> float:
        return left + (math.log2(pixels) - low) / (high - low) * (WIDTH - left - _RIGHT)

    def y(pixels: float) -> float:
        return top + side - (math.log2(pixels) - low) / (high - low) * side

    step = max(1, math.ceil((high - low) / 6))
    grid = [_grid(2**p, x(2**p), y(2**p), left, top, side) for p in range(low, high + 1, step)]
    diagonal = _line(x(2**low), y(2**low), x(2**high), y(2**high), "square")
    dots = [_dot(w, h, x(w), y(h)) for w, h in sizes]
    return _svg(top + side + 24, *grid, diagonal, *dots)


def bin_edges(values: Floats, is_whole: bool) -> Floats:
    """Return the edges of equal bins of a round width, without the outermost half percents."""
    low, high = np.percentile(values, (0.5, 99.5)) if len(values) > 200 else _ends(values)
    step = nice_step((high - low) / _MOST_BINS) if high > low else 0.02
    if is_whole:
        step = max(1.0, math.ceil(step))
    first, last = math.floor(low / step), math.floor(high / step) + 1
    bins = max(_FEWEST_BINS, last - first)
    start = first - (bins - last + first) // 2
    start = max(0, start) if low >= 0 else start
    return np.arange(start, start + bins + 1) * step


def nice_step(rough: float) -> float:
    """Return the smallest 1, 2 or 5 times a power of ten that is not below `rough`."""
    if rough <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999999)


def _ends(values: Floats) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _histogram(
    name: str, hue: int, values: Floats, edges: Floats, top: float, decimals: int
) -> Markup:
    inside = np.clip(values, edges[0], np.nextafter(edges[-1], -np.inf))
    counts, _ = np.histogram(inside, edges)
    base = top + _ROW - 4
    x = _scale(edges)
    rects = [
        _rect(x(a), x(b), base, count / counts.max() * _BARS, hue, _range(a, b, decimals), count)
        for a, b, count in zip(edges, edges[1:], counts, strict=False)
        if count
    ]
    low, middle, high = np.percentile(values, (5, 50, 95))
    told = f"median {_say(middle, decimals)}, {_say(low, decimals)} to {_say(high, decimals)}"
    return Markup("").join(
        [
            _text(_LEFT, top + 16, _short(name, 16), "name"),
            _text(WIDTH - _RIGHT, top + 16, told, "end"),
            *rects,
            _line(_LEFT, base, WIDTH - _RIGHT, base, "axis"),
        ]
    )


def _range(a: float, b: float, decimals: int) -> str:
    if decimals == 0:
        return _say(a, 0) if b - a == 1 else f"{_say(a, 0)} to {_say(b - 1, 0)}"
    return f"{_say(a, decimals)} to {_say(b, decimals)}"


def _say(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace("-", "−")


def _axis(edges: Floats, top: float, decimals: int) -> Markup:
    x = _scale(edges)
    step = nice_step((edges[-1] - edges[0]) / 6)
    if decimals == 0:
        step = max(1.0, step)
    ticks = np.arange(math.ceil(edges[0] / step - 1e-9), edges[-1] / step + 1e-9) * step
    return Markup("").join(
        _text(min(max(x(t), 10), WIDTH - 14), top + 14, _say(t, decimals), "middle") for t in ticks
    )


def _scale(edges: Floats) -> Scale:
    return Scale(float(edges[0]), float(edges[-1]))


class Scale:
    """From values to places on the page."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def __call__(self, value: float) -> float:
        """Return the place of a value, from the left."""
        share = (value - self._low) / (self._high - self._low)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _bar(name: str, count: int, length: float, total: int, top: float) -> Markup:
    share = f"{count:,}  ·  {count / max(1, total):.1%}"
    full = WIDTH - _LEFT - _RIGHT
    return Markup("").join(
        [
            Markup("<g><title>{}</title>").format(name),
            _text(_LEFT, top + 14, _short(name, 28), "name"),
            _text(WIDTH - _RIGHT, top + 14, share, "end"),
            _block(_LEFT, top + 19, full, 4, "track"),
            _block(_LEFT, top + 19, max(1.5, full * length), 4, "bar"),
            Markup("</g>"),
        ]
    )


def _grid(pixels: int, x: float, y: float, left: float, top: float, side: float) -> Markup:
    return Markup("").join(
        [
            _line(x, top, x, top + side, "grid"),
            _line(left, y, WIDTH - _RIGHT, y, "grid"),
            _text(min(x, WIDTH - 18), top + side + 16, f"{pixels:,}", "middle"),
            _text(left - 6, max(y + 4, 12), f"{pixels:,}", "end"),
        ]
    )


def _svg(height: float, *parts: Markup) -> Markup:
    inside = Markup("").join(parts)
    return Markup('<svg viewBox="0 0 {} {:.0f}" role="img">{}</svg>').format(WIDTH, height, inside)


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(x, y, kind, text)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    line = '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>'
    return Markup(line).format(x1, y1, x2, y2, kind)


def _block(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    block = '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2" class="{}"/>'
    return Markup(block).format(x, y, width, height, kind)


def _rect(
    a: float, b: float, base: float, height: float, hue: int, what: str, count: int
) -> Markup:
    gap = 1.0 if b - a > 4 else 0.3
    rect = (
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="hue{}">'
        "<title>{}: {:,}</title></rect>"
    )
    height = max(height, 1.0)
    return Markup(rect).format(a, base - height, b - a - gap, height, hue % 6, what, int(count))


def _dot(width: int, height: int, x: float, y: float) -> Markup:
    dot = '<circle cx="{:.1f}" cy="{:.1f}" r="3.5" class="dot"><title>{} × {}</title></circle>'
    return Markup(dot).format(x, y, width, height)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
