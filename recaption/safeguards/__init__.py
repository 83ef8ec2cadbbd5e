"""Checks of a caption before it enters the corpus: each a pure function, one file per family."""

from __future__ import annotations

from recaption.safeguards.form import empty
from recaption.sample import Caption, Rejection

CHECKS = (empty,)
"""Each takes a caption and returns why to reject it, or None."""


def check(caption: Caption) -> Rejection | None:
    """Return the first reason to reject a caption, or None."""
    for one in CHECKS:
        rejection = one(caption)
        if rejection is not None:
            return rejection
    return None


def names() -> tuple[str, ...]:
    """Name the checks in force, as FAMILY.CHECK: a caption in the corpus was accepted by each."""
    return tuple(f"{one.__module__.rsplit('.', 1)[-1]}.{one.__name__}" for one in CHECKS)


def digest() -> str:
    """Tell the checks in force: part of the recipe's fingerprint."""
    return ",".join(f"{name}-1" for name in names())
