"""Captions judged by the checks alone, for tests that make their answers by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from recaption import safeguards
from recaption.config import SafeguardsConfig
from recaption.parts import Answer, Judged, Outcome
from recaption.safeguards.policy import Action, action_for
from recaption.safeguards.verdict import Asked
from recaption.sample import Caption, Rejection, Request, Stage

_LENIENT = SafeguardsConfig(actions={"too_short": "accept"})
"""So that a test may write captions of a word."""


def answered(request: Request, captions: Sequence[Caption], attempts: int = 1) -> Answer:
    """Return an answer whose captions the checks of the default recipe have judged."""
    judged = tuple(_judge(request, slot, caption) for slot, caption in enumerate(captions))
    return Answer(request, tuple(captions), attempts=attempts, judged=judged)


def _judge(request: Request, index: int, caption: Caption) -> Judged:
    alone = replace(request, n=1, seed=caption.seed, first_slot=request.first_slot + index)
    verdicts = safeguards.examine(caption, Asked(request.style))
    action, why = action_for(verdicts, _LENIENT)
    if action in (Action.ACCEPT, Action.PRUNE):
        return Judged(alone, caption, verdicts, Outcome.ACCEPTED)
    assert why.reason is not None
    rejection = Rejection(Stage.CHECK, why.reason, why.message)
    return Judged(alone, caption, verdicts, Outcome.REJECTED, rejection)
