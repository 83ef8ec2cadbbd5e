"""What a check is given and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from recaption.sample import Caption, Hints, Reason


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caption answers: style and language asked for, the prompt, and the hints it showed."""

    style: str = ""
    language: str = "English"
    prompt: str = ""
    hints: Hints = field(default_factory=Hints)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check says of a caption: `reason` is None where it finds nothing wrong.

    `score` is the check's own measure, as its docstring defines it, where it has one.
    """

    check: str
    reason: Reason | None = None
    message: str = ""
    score: float | None = None


Check = Callable[[Caption, Asked], Verdict]
"""A pure function; named FAMILY.CHECK in its verdicts."""
