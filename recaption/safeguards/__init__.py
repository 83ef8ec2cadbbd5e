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


def digest() -> str:
    """Name the checks in force: part of the recipe's fingerprint."""
    return ",".join(f"{one.__module__.rsplit('.', 1)[-1]}.{one.__name__}-1" for one in CHECKS)
