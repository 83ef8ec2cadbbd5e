"""What is done about a caption that a check finds fault with: pure, by the recipe's table."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from recaption.config import SafeguardsConfig
from recaption.safeguards.claims import sentences_of
from recaption.safeguards.verdict import Verdict
from recaption.sample import Reason


class Action(StrEnum):
    """What to do; the later the stronger."""

    ACCEPT = "accept"
    PRUNE = "prune"
    REPAIR = "repair"
    REJECT = "reject"


DEFAULTS: dict[Reason, Action] = {
    Reason.BOILERPLATE: Action.ACCEPT,
    Reason.FACTS_LOST: Action.ACCEPT,
    Reason.CUT_OFF: Action.PRUNE,
    Reason.REPETITION: Action.PRUNE,
    Reason.INVENTED: Action.PRUNE,
}
"""By reason; what is not here is repaired."""

_STRENGTH = tuple(Action)


def action_for(verdicts: Sequence[Verdict], config: SafeguardsConfig) -> tuple[Action, Verdict]:
    """Return the strongest action that the verdicts ask for, and the verdict that asks for it.

    A reason's verdict stays in the corpus where the action is ACCEPT: it is a flag then.
    """
    strongest = (Action.ACCEPT, verdicts[0])
    for verdict in verdicts:
        if verdict.reason is not None:
            default = DEFAULTS.get(verdict.reason, Action.REPAIR)
            action = Action(config.actions.get(verdict.reason, default))
            if _STRENGTH.index(action) > _STRENGTH.index(strongest[0]):
                strongest = (action, verdict)
    return strongest


def prune(text: str, doubted: frozenset[int], is_cut_off: bool) -> str:
    """Return a caption without the sentences of these indices, an unfinished end, and repeats."""
    sentences = sentences_of(text)
    first = {one: k for k, one in reversed(list(enumerate(sentences)))}
    doubted |= {k for k, one in enumerate(sentences) if first[one] < k}
    if is_cut_off and sentences and sentences[-1][-1] not in ".!?\"”'":
        doubted |= {len(sentences) - 1}
    return " ".join(one for index, one in enumerate(sentences) if index not in doubted)
