"""A corpus held against the scenes of its images: over all of it, and caption by caption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recaption.config import RecipeError
from recaption.report.truth import CaptionTruth, Share, TruthLine
from recaption.shapeworld.reading.claims import Verdict
from recaption.shapeworld.score import Row, Truth, hold, read_rows, read_truths, score


class KnownTruth:
    """What is known of a corpus of rendered scenes: a `recaption.report.truth.Truth`.

    `figures` are those of `recaption.shapeworld.score.score`.
    """

    def __init__(self, truths: Mapping[str, Truth], figures: dict[str, Any]) -> None:
        self.figures = figures
        self._truths = truths

    def lines(self) -> list[TruthLine]:
        """Return precision and recall of all captions, then of each style."""
        claims = self.figures["claims"]
        lines = {"all": claims, **claims["by_style"]}.items()
        return [TruthLine(name, _share(x["precision"]), _share(x["recall"])) for name, x in lines]

    def of(self, sample_id: str, region: str, style: str, caption: str) -> CaptionTruth | None:
        """Hold a caption against its scene; None where there is no such image."""
        truth = self._truths.get(sample_id)
        if truth is None:
            return None
        held = hold(Row(sample_id, region, style, 0, caption, frozenset()), truth)
        false = [f"{c.kind}: {c.claim}" for c in held.claims if c.verdict is Verdict.FALSE]
        untold = [f"{one.kind}: {one.what}" for one in held.expected if not one.is_told]
        holds, told = len(held.claims) - len(false), len(held.expected) - len(untold)
        return CaptionTruth(holds, tuple(false), told, tuple(untold))


def hold_corpus(corpus: str, shards: str, version: str = "") -> KnownTruth:
    """Hold all captions of a corpus against the scenes of the rendered shards it was made of.

    Raises RecipeError where the shards are not of rendered scenes, or not those of the corpus.
    """
    try:
        truths = read_truths(shards)
    except ValueError as e:
        raise RecipeError(str(e)) from e
    figures = score(read_rows(corpus, version), truths)
    if not figures["images"]:
        raise RecipeError(
            f"{corpus}: none of its {figures['not_found']:,} images is in {shards}: give the"
            " shards that it was made of"
        )
    return KnownTruth(truths, figures)


def _share(figure: dict[str, Any] | None) -> Share | None:
    if figure is None:
        return None
    low, high = figure["interval"]
    return Share(figure["value"], low, high, figure["n"])
