"""What an engine gave, before any check: whatever it is, it harms its own caption only."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from recaption.parts import Outcome
from recaption.safeguards import examine
from recaption.safeguards.received import MOST_CHARS, fault_of, received
from recaption.safeguards.verdict import Asked
from recaption.sample import Caption, Hint, HintKind, Hints, Reason, Stage, Trust
from tests.pumped import at_most
from tests.safeguards.test_guard import GOOD, Engine, caption, review

CONTROLS = [
    ("A dog\x1b[2J\x1b]0;owned\x07 runs.", "A dog runs."),
    ("A\x00 dog\x07 runs\x85.", "A dog runs\n."),
    ("A dog \u202esnur\u202c runs.", "A dog snur runs."),
    ("A dog\U000e0041\U000e007f runs\ufeff.", "A dog runs."),
    ("A \ud800dog\udfff runs.", "A ?dog? runs."),
    ("A dog\r\nruns.\u2028So.", "A dog\nruns.\nSo."),
    ("\x1b[31mA dog.\x1b[0m", "A dog."),
]


@pytest.mark.parametrize(("text", "clean"), CONTROLS)
def test_control_characters_go(text: str, clean: str) -> None:
    assert received(caption(text)).text == clean


@pytest.mark.parametrize("text", [GOOD, "نمی‌دانم", "क्‍ष", "👩‍👩‍👧", "A dog.\nA cat.", "Đặng Thị"])
def test_what_a_language_needs_stays(text: str) -> None:
    one = caption(text)
    assert received(one) is one


@pytest.mark.parametrize(("text", "clean"), CONTROLS[:4])
def test_no_engine_brings_control_characters_in(text: str, clean: str) -> None:
    (one,) = review(Engine(), caption(f"{text} It lies on a red sofa."), repairs=0)
    assert one.caption.text == f"{clean} It lies on a red sofa."
    engine = Engine(write=lambda _: f"{text} It lies on a red sofa.")
    (one,) = review(engine, caption(""))
    assert one.caption.text == f"{clean} It lies on a red sofa."


def test_a_finish_reason_is_shown_as_it_is_or_not_at_all() -> None:
    one = received(caption(GOOD, finish_reason="stop\x1b[2J\n" + "x" * 10_000))
    assert one.finish_reason.startswith("stop x") and len(one.finish_reason) <= 40


UNLOOKABLE = [
    ("a" * (MOST_CHARS + 1), Reason.TOO_LONG),
    ("\x00" * 10_000_000, Reason.TOO_LONG),
    ("\ufdfa" * 1_000, Reason.TOO_LONG),  # 18 characters each in Unicode's normal form
    ("a" + "\u0301\u0323" * 8_000, Reason.MARKUP),  # a normal form takes the square of these
]


@pytest.mark.parametrize(("text", "reason"), UNLOOKABLE, ids=range(len(UNLOOKABLE)))
def test_what_would_take_too_long_is_not_looked_at(
    text: str, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recaption.safeguards.examine", lambda *_: pytest.fail("looked at"))
    (one,) = review(Engine(), caption(text), repairs=0, actions="{too_long: accept}")
    assert one.outcome is Outcome.REJECTED and one.rejection is not None
    assert one.rejection.stage is Stage.CHECK and one.rejection.reason is reason
    assert len(one.caption.text) <= MOST_CHARS + 1


def test_what_is_not_looked_at_is_asked_again() -> None:
    (one,) = review(Engine(), caption("a" * 100_000))
    assert one.outcome is Outcome.REPAIRED and one.caption.text == GOOD


NUMBERS: list[dict[str, Any]] = [
    {"prompt_tokens": 10**30},
    {"prompt_tokens": 2**33},
    {"caption_tokens": -1},
    {"caption_tokens": 10**10_000},
    {"caption_tokens": "12"},
    {"caption_tokens": None},
    {"caption_tokens": 1.5},
    {"seed": 2**64},
    {"mean_logprob": math.nan},
    {"mean_logprob": -math.inf},
    {"mean_logprob": math.inf},
    {"mean_logprob": 1e300},
    {"mean_logprob": -1e300},
    {"mean_logprob": "x\x1b[2J"},
]


@pytest.mark.parametrize("numbers", NUMBERS, ids=range(14))
def test_numbers_that_no_column_holds_are_the_captions_fault(numbers: dict[str, Any]) -> None:
    wrong = replace(caption(GOOD), **numbers)
    good, bad = review(Engine(), caption(GOOD), wrong, repairs=0)
    assert good.outcome is Outcome.ACCEPTED
    assert bad.rejection is not None and bad.rejection.reason is Reason.REQUEST_FAILED
    (name,) = numbers
    assert name in bad.rejection.message and bad.rejection.message.isprintable()
    assert abs(bad.request.seed) < 2**63


def test_a_claim_is_not_borne_out_by_what_is_no_number() -> None:
    class Odd(Engine):
        async def answer(self, job: Any) -> Any:
            answer = await super().answer(job)
            if job.request.choices:
                odd = tuple(replace(one, mean_logprob=math.nan) for one in answer.captions)
                return replace(answer, captions=odd)
            return answer

    (one,) = review(Odd(), caption(GOOD), claims=True)
    assert next(v for v in one.verdicts if v.check == "claims.invented").score is None


@pytest.mark.parametrize(
    ("finish_reason", "said"),
    [("length", "raise sampling.max_tokens"), ("content_filter", "filter"), ("stop", "stop")],
)
def test_an_empty_caption_tells_why_it_ended(finish_reason: str, said: str) -> None:
    first, *_ = examine(Caption(" ", 1, finish_reason, 5, 200, None), Asked())
    assert first.reason is Reason.EMPTY_CAPTION and said in first.message
    assert f"finish reason: {finish_reason}" in first.message and "200" in first.message


def test_most_of_what_is_looked_at_is_more_than_any_style_may_have() -> None:
    assert fault_of(caption("word " * 2_000)) is None


STALLS = [
    "0123 " + "0" * 40 + "x",
    "0123 " + "0" * 16_000 + "x",
    "a+" * 8_000,
    "<" + " " * 16_000,
    " " * 16_000 + "x",
    "A cat" + " " * 16_000 + "and",
    "a@" + "b." * 8_000,
    "x at " + "dot-" * 4_000,
    "no a. " * 2_600,
    "A. " * 5_400,
    "a " * 8_000,
    "12 May 2014 " * 1_300,
    "“" * 16_000,
    "\u4e00" * 16_000,
]


@pytest.mark.parametrize("text", STALLS, ids=range(len(STALLS)))
def test_a_caption_made_to_keep_a_check_busy_does_not(text: str) -> None:
    """Forty digits kept the interpreter for ever."""
    hints = Hints(
        alt_text="a " * 400,
        class_names=("a", "crane (bird)", "\u4e00"),
        others=tuple(Hint(HintKind.ABSENT, name) for name in ("a", "b", "x y", "dot")),
        class_trust=Trust.HIGH,
    )
    with at_most(3):
        review(Engine(), caption(text), hints=hints, repairs=0, claims=True, fuse=True)
