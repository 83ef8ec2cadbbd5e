"""The page, from what was gathered: template, style and script of this folder put into one file."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import resources

import jinja2
from markupsafe import Markup

from recaption import __version__, keyed
from recaption.engines.scope import BUILT_IN, KNOWS
from recaption.report import charts
from recaption.report.cards import ShownCaption
from recaption.report.gather import Findings
from recaption.report.measure import MEASURED, StyleMeasures
from recaption.report.words import ADVICE, WORDS
from recaption.sample import Reason

_TEXT, _PROMPT, _HINT = 4000, 2000, 500  # characters shown of a text, a prompt, an alt-text
_NAMES = 24  # class names that are shown of an image
_SIZES = 500  # dots in the chart of image sizes
_BARS = 8
_SCORES = dict(zip(MEASURED, ("likeness", "least yes", "facts kept"), strict=True))
_SORTED_BY = ("precision", "recall", "logprob", "likeness", "least_yes")
_HUES = 6
_CONTROL = {i: 0x2400 + i for i in range(32) if chr(i) not in "\n\t"} | {127: 0x2421}


def render(found: Findings) -> str:
    """Return the page as HTML."""
    files = resources.files(__package__)
    style = files.joinpath("style.css").read_text("utf-8")
    script = files.joinpath("page.js").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": "{:,}".format,
        "share": _share,
        "logprob": lambda value: f"{value:.2f}".replace("-", "−"),
        "clip": partial(_clip, most=_TEXT),
        "clip_hint": partial(_clip, most=_HINT),
        "clip_prompt": partial(_clip, most=_PROMPT),
        "bytes": _bytes,
        "seconds": _seconds,
        "time": _time,
    }
    template = environment.from_string(files.joinpath("template.html.j2").read_text("utf-8"))
    return template.render(
        found=found,
        census=found.census,
        measures=found.measures,
        state=_state(found),
        about="≈ " if not found.census.is_exact else "",
        styles=_style_lines(found),
        hues={style: i % _HUES for i, style in enumerate(found.styles)},
        charts=_charts(found),
        rejects=_reject_lines(found),
        marks=_marks(found),
        orders=_orders(found),
        words=WORDS,
        names=_NAMES,
        hint_length=_HINT,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        program=__version__,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )


@dataclass(frozen=True, slots=True)
class StyleLine:
    """A style in the table of styles; `share` is of the captions."""

    style: str
    captions: int
    share: float
    measured: StyleMeasures


@dataclass(frozen=True, slots=True)
class RejectLine:
    """A reason in the table of rejects; `share` is of the images read or the captions asked for."""

    stage: str
    reason: str
    count: int
    share: float
    of: str

    @property
    def advice(self) -> str:
        """What it means, and what to do; "" for a reason that this program does not know."""
        return ADVICE[Reason(self.reason)] if self.reason in tuple(Reason) else ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its title."""

    title: str
    note: str
    svg: Markup


def _style_lines(found: Findings) -> list[StyleLine]:
    lines = []
    for style in found.styles:
        measured = found.measures.styles.get(style, StyleMeasures())
        share = measured.captions / max(1, found.measures.captions)
        lines.append(StyleLine(style, round(found.captions * share), share, measured))
    return lines


def _reject_lines(found: Findings) -> list[RejectLine]:
    census = found.census
    asked = census.captions + census.rejected_captions
    lines = []
    for reason, count in census.reasons.most_common():
        kind = found.reject_kinds.get(reason)
        stage = ", ".join(sorted(kind.stages)) if kind else ""
        of, whole = ("captions", asked) if kind and kind.is_of_captions else ("images", census.read)
        lines.append(RejectLine(stage, reason, census.scaled(count), count / max(1, whole), of))
    return lines


def _shown(found: Findings) -> Iterator[ShownCaption]:
    for card in found.cards:
        for group in card.groups:
            yield from group.captions


def _marks(found: Findings) -> dict[str, int]:
    """Return what a reader may look for among the shown captions, and how many have it."""
    counts = Counter(mark for caption in _shown(found) for mark in caption.marks)
    return dict(sorted(counts.items())) if len(counts) > 1 else {}


def _orders(found: Findings) -> list[tuple[str, str]]:
    """Return the scores that the shown captions can be sorted by: name, and as the page has it."""
    told = {name for caption in _shown(found) for name in caption.scores}
    return [(name, WORDS[name][0]) for name in _SORTED_BY if name in told]


def _charts(found: Findings) -> list[Chart]:
    m = found.measures
    by_style = {style: m.styles.get(style, StyleMeasures()) for style in found.styles}
    images = sum(m.captions_per_image.values())
    per_image = {_captions(n): c for n, c in sorted(m.captions_per_image.items())}
    logprobs = {style: one.logprobs for style, one in by_style.items()}
    drawn = [
        Chart("Length", "words", charts.histograms({s: o.words for s, o in by_style.items()})),
        Chart("Length", "tokens", charts.histograms({s: o.tokens for s, o in by_style.items()})),
        Chart("Confidence", "mean log-probability of a token", charts.histograms(logprobs, 2)),
        Chart("How captions ended", "", _top(m.finish_reasons, m.captions)),
        Chart("What the safeguards did", "", _top(m.policies, m.captions)),
        Chart(
            "Scores",
            "cosine to the image, least sure claim, facts",
            charts.histograms(
                {what: m.scores[check] for check, what in _SCORES.items() if check in m.scores}, 2
            ),
        ),
        Chart("How captions begin", "first three words", _top(m.openings, m.captions)),
        Chart("Captions per image", "", _top(per_image, images)),
        Chart("Image sizes", "width → and height ↑ in pixels", charts.scatter(_some(m.sizes))),
        Chart("Image formats", "", _top(m.formats, images)),
    ]
    return [chart for chart in drawn if chart.svg]


def _top(counts: Mapping[str, int], total: int) -> Markup:
    """Draw the largest counts; the rest together."""
    largest = sorted(counts.items(), key=lambda item: -item[1])[:_BARS]
    rest = sum(counts.values()) - sum(count for _, count in largest)
    shown = dict(largest) | ({f"{len(counts) - _BARS:,} others": rest} if rest else {})
    return charts.bars(shown, total) if shown else Markup("")


def _some(sizes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Choose `_SIZES` sizes by key; the same ones in whatever order they come."""
    ranked = sorted(sizes)
    order = sorted(range(len(ranked)), key=lambda i: keyed.digest("report", "size", i))
    return [ranked[i] for i in order[:_SIZES]]


def _captions(count: int) -> str:
    return f"{count} caption" if count == 1 else f"{count} captions"


def _state(found: Findings) -> str:
    """Say what is missing in the corpus; "" where nothing is."""
    if not found.versions:
        return "This corpus is empty: it was opened, but no recipe has written to it yet."
    if not found.census.parts:
        return _unfinished(found) + " No part has been committed yet."
    no_captions = "" if found.captions else "There is no caption: every image was rejected."
    return " ".join(filter(None, (_unfinished(found), no_captions, _scope(found))))


def _scope(found: Findings) -> str:
    """Say what the captions of a built-in captioner are worth; "" for another's."""
    models = sorted(by.model for by in found.measures.made_by if by.model.startswith(BUILT_IN))
    return f"{models[0]} {KNOWS}." if models else ""


def _unfinished(found: Findings) -> str:
    census, runs = found.census, found.runs.newest
    if found.runs.under_way:
        return f"A run is under way {found.runs.under_way}"
    if not runs:
        return "No run has ended in order yet: this is what is there so far."
    if runs[0].state == "rejected":
        return "The newest run rejected more of its samples than its recipe allows."
    if runs[0].state != "complete":
        failed = f", {runs[0].failed_parts:,} parts failed" if runs[0].failed_parts else ""
        return f"The newest run is {runs[0].state}{failed}: the same command again continues it."
    if census.unfinished_shards:
        return f"{census.unfinished_shards:,} shards are unfinished: a run is under way or broke."
    return ""


def _policy(style: str, script: str) -> str:
    """Allow the browser nothing but this page's own style, script and embedded images."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none';"
        f" style-src '{_sha256(style)}'; script-src '{_sha256(script)}'"
    )


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _clip(text: str, most: int) -> str:
    """Make control characters visible, and cut what is very long; the page says by how much."""
    shown = text[:most].translate(_CONTROL)
    return shown if len(text) <= most else f"{shown}… ({len(text) - most:,} more characters)"


def _share(value: float) -> str:
    if 0 < value < 0.001:
        return "< 0.1%"
    return f"{value:.1%}"


def _bytes(size: int) -> str:
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    return f"{size / 1e3:,.1f} KB" if size < 1e6 else f"{size / 1e6:,.1f} MB"


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _time(stamp: str) -> str:
    """Shorten an ISO time to the minute."""
    return stamp[:16].replace("T", " ")
