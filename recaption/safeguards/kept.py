"""Whether what the alt-text knows and a viewer could not guess is kept in an image's captions."""

from __future__ import annotations

from collections.abc import Sequence

from recaption.alt_text import Fact, facts_of, keeps
from recaption.safeguards.verdict import Verdict
from recaption.sample import Reason


def facts(captions: Sequence[str], alt_text: str) -> tuple[Verdict, tuple[Fact, ...]]:
    """Return the verdict on an image's captions together, and the facts that none of them keeps.

    Its score is the share of facts kept, None where the alt-text tells none.
    """
    known = facts_of(alt_text) if alt_text else ()
    lost = tuple(fact for fact in known if not any(keeps(text, fact) for text in captions))
    if not known:
        return Verdict("kept.facts"), ()
    share = 1 - len(lost) / len(known)
    if not lost:
        return Verdict("kept.facts", score=share), ()
    said = ", ".join(fact.text for fact in lost)
    return Verdict("kept.facts", Reason.FACTS_LOST, f"lost: {said}", share), lost
