"""Safeguards: what a caption must pass before it enters the corpus.

A check is a pure function, one file per family, that says of one caption what is wrong with it, a
reason from a closed set, or nothing. `claims` takes a caption apart into claims for the captioner
to answer, `kept` looks at all captions of an image together, `policy` decides what becomes of a
caption. `recaption/guard.py` puts them to work beside the engine.
"""

from __future__ import annotations

from recaption import alt_text as alt_text_rules
from recaption.safeguards.absent import mentioned
from recaption.safeguards.copied import alt_text, class_contradicted, meta_text
from recaption.safeguards.form import (
    boilerplate,
    cut_off,
    empty,
    language,
    length,
    markup,
    prompt_leak,
    refusal,
    repetition,
)
from recaption.safeguards.harm import personal_data
from recaption.safeguards.verdict import Asked, Check, Verdict
from recaption.sample import Caption

CHECKS: tuple[Check, ...] = (
    empty,
    cut_off,
    markup,
    prompt_leak,
    refusal,
    repetition,
    boilerplate,
    length,
    language,
    alt_text,
    meta_text,
    class_contradicted,
    mentioned,
    personal_data,
)
"""In this order; of an empty caption only the first is asked."""


VERSIONS: dict[str, int] = {}
"""The number of a check's rule by FAMILY.CHECK, 1 where it is not here.

It goes up where captions of ordinary people are judged in another way than before: so that no
version of a corpus holds captions of two rules. `tests/safeguards/test_versions.py` tells when.
"""


def examine(caption: Caption, asked: Asked) -> tuple[Verdict, ...]:
    """Return the verdict of each check."""
    first = CHECKS[0](caption, asked)
    if first.reason is not None:
        return (first,)
    return (first, *(check(caption, asked) for check in CHECKS[1:]))


def names() -> tuple[str, ...]:
    """Name the checks, as FAMILY.CHECK."""
    return tuple(f"{one.__module__.rpartition('.')[2]}.{one.__name__}" for one in CHECKS)


def digest() -> str:
    """Tell the rules in force, checks and alt-text's: part of the recipe's fingerprint."""
    told = [f"{name}-{VERSIONS.get(name, 1)}" for name in names()]
    if alt_text_rules.VERSION > 1:  # corpora are older than this number
        told.append(f"alt_text-{alt_text_rules.VERSION}")
    return ",".join(told)
