"""The rows of a part: what they tell of a caption beside its text."""

from __future__ import annotations

import pytest

from recaption import safeguards
from recaption.corpus.rows import PartRows
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption, Reason
from tests.corpus.build import answer, made_by, part, sample


def lewd(caption: Caption, asked: Asked) -> Verdict:
    """A check that someone adds."""
    reason = Reason.EMPTY_CAPTION if "lewd" in caption.text else None
    return Verdict("test_rows.lewd", reason, "no", score=0.5)


def verdicts(*texts: str) -> list[list[tuple[str, str, float | None]]]:
    """Return the verdicts on the captions that were accepted."""
    rows = PartRows(part(sample(0, answer(*texts))), made_by("/corpus")).captions
    return [[(v["check"], v["verdict"], v["score"]) for v in row["verdicts"]] for row in rows]


def test_the_verdicts_are_those_of_the_checks_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safeguards, "CHECKS", safeguards.CHECKS[:1])
    policy = ("policy", "accept", 1.0)
    assert verdicts("a cat") == [[("form.empty", "accept", None), policy]]
    monkeypatch.setattr(safeguards, "CHECKS", (*safeguards.CHECKS, lewd))
    both = [("form.empty", "accept", None), ("test_rows.lewd", "accept", 0.5), policy]
    assert verdicts("a cat", "a lewd cat", "a dog") == [both, both]
