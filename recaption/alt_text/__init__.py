"""Alt-text found on the web: made clean, judged for use, and read for what no viewer could see."""

from __future__ import annotations

from recaption.alt_text.clean import clean
from recaption.alt_text.facts import Fact, FactKind, facts_of, keeps
from recaption.alt_text.judge import AltTextKind, Judgement, judge

__all__ = [
    "AltTextKind",
    "Fact",
    "FactKind",
    "Judgement",
    "clean",
    "facts_of",
    "judge",
    "keeps",
    "usable",
]


VERSION = 1
"""The number of the rules by which alt-text is cleaned, judged and read for facts.

It goes up where ordinary alt-text comes out in another way than before.
"""


def usable(found: str) -> str:
    """Return an alt-text clean, or nothing where it is junk."""
    cleaned = clean(found)
    return "" if judge(cleaned, found).is_junk else cleaned
