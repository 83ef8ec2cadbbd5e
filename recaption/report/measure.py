"""Distributions over the captions of some parts: lengths, tokens, log-probabilities, sizes."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pyarrow as pa

from recaption.corpus.schema import POLICY

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
_OPENING = 3  # words
MEASURED = ("clip.likeness", "claims.invented", "kept.facts")
"""The checks whose scores are a measure of their own."""


@dataclass(slots=True)
class StyleMeasures:
    """What was measured of the captions of one style, a value per caption."""

    words: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    cut_off: int = 0
    texts: set[bytes] = field(default_factory=set)

    @property
    def captions(self) -> int:
        """How many captions were measured."""
        return len(self.words)

    @property
    def distinct(self) -> float:
        """The share of captions that are not a repetition of another's text."""
        return len(self.texts) / max(1, len(self.words))

    @property
    def median_words(self) -> float:
        """Half of the captions are longer."""
        return median(self.words)

    @property
    def median_tokens(self) -> float:
        """Half of the captions have more."""
        return median(self.tokens)

    @property
    def median_logprob(self) -> float | None:
        """Of the captions' mean log-probabilities; None where the engine told none."""
        return median(self.logprobs) if self.logprobs else None


@dataclass(slots=True)
class Measures:
    """What was measured so far; `add` takes one part after the other."""

    captions: int = 0
    parts: int = 0
    styles: dict[str, StyleMeasures] = field(default_factory=dict)
    finish_reasons: Counter[str] = field(default_factory=Counter)
    openings: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    scores: dict[str, list[float]] = field(default_factory=dict)
    captions_per_image: Counter[int] = field(default_factory=Counter)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    formats: Counter[str] = field(default_factory=Counter)
    made_by: set[MadeBy] = field(default_factory=set)
    templates: dict[str, str] = field(default_factory=dict)

    def add(self, captions: pa.Table) -> None:
        """Measure a part's captions, see recaption.corpus.schema.CAPTIONS."""
        self.parts += 1
        self.captions += captions.num_rows
        wanted = captions.select(_COLUMNS)
        for batch in wanted.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                self._add_caption(row)
        self._add_images(captions)

    def _add_caption(self, row: dict[str, Any]) -> None:
        text, style = row["caption"] or "", row["style"] or "?"
        measures = self.styles.setdefault(style, StyleMeasures())
        measures.words.append(count_words(text))
        measures.tokens.append(row["caption_tokens"] or 0)
        if row["mean_logprob"] is not None:
            measures.logprobs.append(row["mean_logprob"])
        measures.cut_off += row["finish_reason"] == "length"
        measures.texts.add(hashlib.blake2b(text.encode(), digest_size=8).digest())
        self.finish_reasons[row["finish_reason"] or "not told"] += 1
        self.openings[" ".join(text.lower().split()[:_OPENING])] += 1
        for verdict in row["verdicts"] or ():
            if verdict["check"] == POLICY:
                self.policies[verdict["verdict"]] += 1
            elif verdict["check"] in MEASURED and verdict["score"] is not None:
                self.scores.setdefault(verdict["check"], []).append(verdict["score"])
        self.made_by.add(MadeBy(*(row[name] or "" for name in _MADE_BY)))
        self.templates[row["template"] or "?"] = row["template_hash"] or ""

    def _add_images(self, captions: pa.Table) -> None:
        images = captions.group_by("sample_id").aggregate(
            [("caption", "count"), ("width", "max"), ("height", "max"), ("image_format", "max")]
        )
        self.captions_per_image.update(images["caption_count"].to_pylist())
        self.formats.update(f or "not told" for f in images["image_format_max"].to_pylist())
        both = zip(images["width_max"].to_pylist(), images["height_max"].to_pylist(), strict=True)
        self.sizes += [(width, height) for width, height in both if width and height]


@dataclass(frozen=True, slots=True, order=True)
class MadeBy:
    """Who wrote captions."""

    model: str
    model_revision: str
    engine: str
    engine_version: str


_MADE_BY = ("model", "model_revision", "engine", "engine_version")
_COLUMNS = [
    *("caption", "style", "caption_tokens", "mean_logprob", "finish_reason"),
    *("template", "template_hash", "verdicts"),
    *_MADE_BY,
]


def count_words(text: str) -> int:
    """Count words; of Chinese and Japanese, which have no spaces, characters."""
    return len(_WORD.findall(text))
