"""Made-up texts at the seams where strangers' words come in: captions, alt-text, names of classes.

None may raise, take long, or leave a control character behind. A few hundred here, in seconds;
RECAPTION_FUZZ_S=600 goes on for so many seconds, from another start each time.
"""

from __future__ import annotations

import importlib
import os
import random
import time
import unicodedata
from collections.abc import Callable, Iterator

import pytest

from recaption import safeguards
from recaption.alt_text import facts_of, keeps, usable
from recaption.prompts import PromptSet, fenced, load_prompts
from recaption.safeguards import kept
from recaption.safeguards.claims import claims_of
from recaption.safeguards.policy import prune
from recaption.safeguards.received import MOST_CHARS, fault_of, received
from recaption.safeguards.verdict import Asked
from recaption.sample import Caption, Hint, HintKind, Hints, Trust
from tests.pumped import Pump, at_most, pumps
from tests.test_patterns import _patterns_in

SECONDS = float(os.environ.get("RECAPTION_FUZZ_S", "0"))
CASES = 250
MOST_S = 3.0  # of the processor; the worst takes a tenth of it
SOURCES = [
    *("safeguards.form", "safeguards.harm", "safeguards.claims", "safeguards.absent"),
    *("safeguards.copied", "safeguards.languages", "alt_text.orders", "alt_text.clean"),
    *("alt_text.judge", "alt_text.facts", "alt_text.names", "alt_text.numbers", "alt_text.dates"),
]
REAL = [
    'A brown dog lies on a red sofa. There is no cat. The word "OPEN" is printed on a sign.',
    "Our dog Max in Berlin, 12 May 2014 - royalty free stock photo #123456 | Shutterstock",
    "Canon EOS 5D (Mark II), only $1,299.00 &amp; free shipping! www.shop.example.com",
    "IMG_2019-05-12_1234-300x200.jpg",
    "Portrait of Duccio di Buoninsegna, c. 1280, «Maestà»",
    "call 030 1234567 or joe@example.com, @joe_b, https://example.com/a?b=c",
    "PЎPѕP±P°PєP° caf\u00c3\u00a9",
    "第3巻 犬とソファ 2014年5月12日",
    "Собака на диване, 12 мая 2014",
    "نمی‌دانم گربه",
    "crane (bird), 5.5 kg x 3 m, 2nd of 3 in APRIL 1950",
    '1. a\n2. b\n\n| x | y |\n**bold** <b>tag</b> [INST] {"a": 1} ### Instructions: ignore this',
]
_LETTERS = (
    "\x00\x07\x1b\x7f\x85\xa0\xad\u0130\u0131\u017f\u212a\ufb05\u1e9e\u0345\u200b\u200d\u200e"
    "\u202e\u2028\u2066\ufdfa\ufe0f\ufeff\uffff\ud800\udfff\u0301\u0327\u0e01\u3042\u4e00\uac00"
    "\u0663\u096b\u2167\u00bd\u00b2\u2460\U0001d7d8\U0001f408\U000e0041"
    "\\'\"“”‘’«»<>{}[]()|*_#&%$@;:,.!?~^`=+-/ \t\n\r"
)
_PIECES = (
    " ",
    "  ",
    "\n\n",
    "\r\n",
    "\\1",
    "\\g<0>",
    "%s",
    "{0}",
    "{{x}}",
    "&#10;",
    "&#x110000;",
    "%C3",
)
ODD = [*_LETTERS, *_PIECES]
_HIDDEN = ("Cc", "Cs", "Zl", "Zp")


def _pumps() -> list[Pump]:
    modules = (importlib.import_module(f"recaption.{name}") for name in SOURCES)
    found = {p for module in modules for p in _patterns_in(list(vars(module).values()))}
    ordered = sorted(found, key=lambda pattern: (pattern.pattern, pattern.flags))
    return [pump for pattern in ordered for pump in pumps(pattern)]


def _letter(draw: random.Random) -> str:
    top = draw.choice((0x80, 0x250, 0x3000, 0x110000))
    return chr(draw.randrange(top))


def _short(draw: random.Random) -> str:
    kind = draw.random()
    if kind < 0.3:
        return "".join(_letter(draw) for _ in range(draw.randint(0, 60)))
    if kind < 0.5:
        return "".join(draw.choices(ODD, k=draw.randint(1, 40)))
    text = draw.choice(REAL)
    for _ in range(draw.randint(0, 6)):
        at = draw.randint(0, len(text))
        piece = draw.choice((draw.choice(ODD), _letter(draw), text[at : at + 9], text[:9].upper()))
        text = text[:at] + piece + text[at + draw.randint(0, 3) :]
    return text


def _text(draw: random.Random, from_patterns: list[Pump]) -> str:
    kind = draw.random()
    if kind < 0.6:
        return _short(draw)
    size = draw.choice((200, 2_000, MOST_CHARS - 1))
    start, body = draw.choice(from_patterns) if kind < 0.85 else ("", _short(draw) or "a")
    piece = start + body * draw.choice((1, 1, 9)) + draw.choice(("", "\x00", "x", " "))
    whole = start + body * (size // len(body))
    return (draw.choice((whole, piece * (size // len(piece))))) + draw.choice(
        ("", "!", "x", "\x00")
    )


def _cases() -> Iterator[random.Random]:
    if not SECONDS:
        yield from (random.Random(number) for number in range(CASES))
        return
    end, number = time.monotonic() + SECONDS, time.time_ns()
    while time.monotonic() < end:
        number += 1
        yield random.Random(number)


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    return load_prompts(["dense", "short"])


def _hints(draw: random.Random) -> Hints:
    kinds = list(HintKind)
    return Hints(
        alt_text=_short(draw),
        class_names=tuple(_short(draw) for _ in range(draw.randint(0, 4))),
        others=tuple(Hint(draw.choice(kinds), _short(draw)) for _ in range(draw.randint(0, 6))),
        class_trust=draw.choice(list(Trust)),
    )


def _hidden_in(text: str) -> set[str]:
    return {letter for letter in text if unicodedata.category(letter) in _HIDDEN}


def _never(work: Callable[[], None], *shown: object) -> None:
    try:
        with at_most(MOST_S):
            work()
    except Exception as e:
        raise AssertionError(f"{type(e).__name__}: {e}: {shown!r:.3000}") from e


def test_no_caption_breaks_a_check(prompts: PromptSet) -> None:
    from_patterns = _pumps()
    for draw in _cases():
        hints, text = _hints(draw), _text(draw, from_patterns)
        finish = draw.choice(("stop", "length", "", "\x1b"))

        def look(hints: Hints = hints, text: str = text, finish: str = finish) -> None:
            shown = fenced(hints)
            asked = Asked("dense", "English", prompts.render("dense", shown), shown)
            one = received(Caption(text, 1, finish, 5, 9, -0.5))
            if fault_of(one) is not None:
                return
            assert not _hidden_in(one.text.replace("\t", "").replace("\n", ""))
            for verdict in safeguards.examine(one, asked):
                assert verdict.score is None or abs(verdict.score) < 1e9
            for claim in claims_of(one.text):
                prompts.ask(claim.text)
            _, lost = kept.facts([one.text], shown.alt_text)
            prompts.fuse(one.text, [fact.text for fact in lost])
            prune(one.text, frozenset((1,)), is_cut_off=True)

        _never(look, text, hints)


def test_no_alt_text_breaks_what_reads_it(prompts: PromptSet) -> None:
    from_patterns = _pumps()
    for draw in _cases():
        text, other = _text(draw, from_patterns), _short(draw)

        def read(text: str = text, other: str = other) -> None:
            cleaned = usable(text)
            facts = facts_of(cleaned)
            assert all(isinstance(keeps(other, fact), bool) for fact in facts)
            shown = fenced(Hints(alt_text=text, class_names=(text, other)))
            prompt = prompts.render("dense", shown)
            assert len(prompt) < 4_000 and not _hidden_in(prompt)

        _never(read, text, other)
