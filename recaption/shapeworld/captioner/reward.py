"""What an answer of the captioner is worth: what it tells of what it should, less what is false.

The world is known exactly, so this needs no model: an answer is taken apart into claims, which are
held against the scene. A captioner that learns by it (see `self_critical`) says what it sees, and
not what a caption would most often say there.
"""

from __future__ import annotations

from dataclasses import dataclass

from recaption.safeguards.claims import sentences_of
from recaption.shapeworld.known import Known
from recaption.shapeworld.language import Style
from recaption.shapeworld.reading.claims import ClaimKind, Verdict
from recaption.shapeworld.reading.expected import expect
from recaption.shapeworld.reading.judge import judge
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.scenes import Scene

FALSE, INVENTED, REPEATED, STRANGE = 2.0, 1.0, 1.0, 2.0
"""What a false claim costs, a thing that is not there beyond that, a sentence told again, a word
that is not of the language; to tell a thing that should be told is worth 1."""

CLASS, WRONG_CLASS, WRONG_FACT = 2.0, 3.0, 2.0
"""What a right class is worth that a hint offers; what a wrong one, or a wrong fact, costs."""

_FACTS = ("name", "maker", "place", "date")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was shown, in which style it was asked for, what of the hints should be told."""

    shown: Scene
    style: Style
    known: Known


def worth_of(answer: str, asked: Asked) -> float:
    """Return what an answer is worth, in claims."""
    reading = parse(answer)
    told = sum(one.is_told for one in expect(asked.shown, asked.style, reading))
    seen = [
        c for c in judge(asked.shown, reading) if c.kind not in (ClaimKind.CLASS, ClaimKind.FACT)
    ]
    false = sum(c.verdict is Verdict.FALSE for c in seen)
    invented = sum(c.is_invented for c in seen)
    sentences = sentences_of(answer)
    repeated = len(sentences) - len(set(sentences))
    cost = FALSE * false + INVENTED * invented + REPEATED * repeated
    return told - cost - STRANGE * len(reading.unknown) + _worth_of_known(reading.known, asked)


def _worth_of_known(told: Known | None, asked: Asked) -> float:
    said, right = told or Known(), asked.known
    worth = 0.0
    for name in _FACTS:
        fact, wanted = getattr(said, name), getattr(right, name)
        if fact:
            worth += 1.0 if fact == wanted else -WRONG_FACT
    if said.class_word:
        worth += CLASS if said.class_word == right.class_word else -WRONG_CLASS
    return worth
