"""Personal data: what is to be found, and the many numbers that are none."""

from __future__ import annotations

import pytest

from recaption.safeguards import harm
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption, Reason


def judge(text: str) -> Verdict:
    return harm.personal_data(Caption(text, 1, "stop", 10, 20, None), Asked("dense"))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Write to mira.holt+x@example.co.uk today.", 1),
        ("mira＠example．com", 1),
        ("Mail mira at example dot com.", 1),
        ("mira (at) example (dot) org", 1),
        ("mira [at] mail [dot] example [dot] net", 1),
        ("A card: +49 (0)30 1234567", 1),
        ("+1 555 123 4567", 1),
        ("+44 20 7946 0958", 1),
        ("+33 1 23 45 67 89", 1),
        ("0044 20 7946 0958", 1),
        ("(555) 123-4567", 1),
        ("555-123-4567", 1),
        ("1-800-555-0199", 1),
        ("555.123.4567", 1),
        ("020 7946 0958", 1),
        ("030/1234567", 1),
        ("0171 2345678", 1),
        ("(030) 123456", 1),
        ("01 23 45 67 89", 1),
        ("07911123456", 1),
        ("Call 555-0199 now", 1),
        ("Tel: 5551234567", 1),
        ("See https://example.com/a?b=c for more", 1),
        ("ftp://files.example.org", 1),
        ("www.example.museum", 1),
        ("A van with example.com on it.", 1),
        ("Visit EXAMPLE.COM!", 1),
        ("shop.example.co.uk/sale", 1),
        ("Follow @mira_holt on the wall", 1),
        ("@mira, @jon and mira@example.com at www.example.com", 4),
        ("Built 1914-1918, painted in 1889.", 0),
        ("dated 1950-03-01, 01.02.2003 and 12/05/1999", 0),
        ("A poster of 1920x1080 pixels, 10 x 20 x 30 cm", 0),
        ("The score is 21-15, then 103-98.", 0),
        ("A price of $1,000,000 or 10 000 000 euros", 0),
        ("The clock shows 10:30:45.", 0),
        ("A budget of 10 000 000 000, from 05/1999 on", 0),
        ("Number 123456789012 on a locomotive", 0),
        ("ISBN 978-3-16-148410-0", 0),
        ("Room 101, bus 42, route 66 and 0.123456 litres", 0),
        ("A dog on a sofa.In the corner a cat.It sleeps.", 0),
        ("e.g. the U.S.A. at 3.5 m, No.5 and photo.jpg", 0),
        ("An @ sign, 5 @ 10 and a man at home.", 0),
        ("A man at the bus stop; a dot on a map.", 0),
        ("", 0),
    ],
)
def test_personal_data(text: str, count: int) -> None:
    verdict = judge(text)
    assert verdict.check == "harm.personal_data"
    assert verdict.score == count, verdict.message
    assert verdict.reason == (Reason.PERSONAL_DATA if count else None)


def test_the_message_does_not_repeat_the_data() -> None:
    message = judge("mira@example.com, jon@example.com, +49 30 1234567").message
    assert message == "e-mail addresses: 2, phone numbers: 1"


def test_a_hostile_caption_costs_little() -> None:
    for text in (
        "a." * 5000,
        "1 " * 5000,
        "a@" * 5000,
        "+1" * 5000,
        "x" * 10_000,
        " at a dot" * 2000,
    ):
        assert judge(text).score is not None
