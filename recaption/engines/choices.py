"""Questions with given answers: what a model makes of each, from its first token's chances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from recaption.sample import Caption, Request

CANDIDATES = 20
"""Most likely first tokens that are looked at: what engines tell at most."""

_LEAST = 1e-9


def weigh(
    request: Request, first_tokens: Iterable[tuple[str, float]], prompt_tokens: int
) -> list[Caption]:
    """Return a caption for each choice of a question, with the log of its share of the chance.

    `first_tokens` are texts with their natural log-probabilities. Tokens count for the choice that
    they spell, in any case and with or without a space; where no choice is among them, nothing is
    known and `mean_logprob` is None.
    """
    chances = [0.0 for _ in request.choices]
    names = [choice.casefold() for choice in request.choices]
    for text, logprob in first_tokens:
        name = text.strip().strip('."').casefold()
        if name in names:
            chances[names.index(name)] += math.exp(logprob)
    return [
        Caption(
            text=choice,
            seed=request.seed + index,
            finish_reason="stop",
            prompt_tokens=prompt_tokens,
            caption_tokens=1,
            mean_logprob=_log_share(chances, index),
        )
        for index, choice in enumerate(request.choices)
    ]


def _log_share(chances: Sequence[float], index: int) -> float | None:
    total = sum(chances)
    return math.log(max(_LEAST, chances[index] / total)) if total else None
