"""Checks on what a caption does with its hints: tables of text and reason, near misses included."""

from __future__ import annotations

import random

import pytest

from recaption.safeguards import copied
from recaption.safeguards.verdict import Asked, Check, Verdict
from recaption.sample import Caption, Hint, HintKind, Hints, Reason, Trust
from tests.pumped import at_most


def judge(check: Check, text: str, hints: Hints) -> Verdict:
    return check(Caption(text, 1, "stop", 10, 20, None), Asked("dense", hints=hints))


ALT = "Buy this wonderful hand made wooden rocking chair with free shipping to all countries today"
ALT_WORDS = ALT.split()


@pytest.mark.parametrize(
    ("text", "alt", "is_wrong"),
    [
        (ALT, ALT, True),
        (f"{ALT.upper()}!", ALT, True),
        (f"A photo. {ALT}.", ALT, True),
        (", ".join(ALT_WORDS), ALT, True),
        (" ".join(ALT_WORDS[:12]), ALT, True),
        (f"{' '.join(ALT_WORDS[:12])}, on a lawn in the sun, brown", ALT, True),
        (
            "一只红色的猫坐在沙发上旁边是一只很大的黑色的狗在睡觉",
            "一只红色的猫坐在沙发上旁边是一只很大的黑色的狗在睡觉",
            True,
        ),
        (" ".join(ALT_WORDS[:11]), ALT, False),
        (f"{' '.join(ALT_WORDS[:12])} {'and a lawn in the sun ' * 3}", ALT, False),
        (" ".join([*ALT_WORDS[:8], "old", *ALT_WORDS[8:]]), ALT, False),
        (" ".join(reversed(ALT_WORDS)), ALT, False),
        ("The Night Watch by Rembrandt", "The Night Watch by Rembrandt", False),
        ("A wooden rocking chair.", ALT, False),
        (ALT, "", False),
        ("", ALT, False),
    ],
)
def test_alt_text(text: str, alt: str, is_wrong: bool) -> None:
    verdict = judge(copied.alt_text, text, Hints(alt))
    assert verdict.check == "copied.alt_text"
    assert verdict.reason == (Reason.COPIED_ALT_TEXT if is_wrong else None)


def test_the_score_is_the_share_of_the_longest_run() -> None:
    def score(text: str, alt: str) -> float | None:
        return judge(copied.alt_text, text, Hints(alt)).score

    assert score("one two three four", "zero two three five") == 0.5
    assert score("one", "two") == 0 and score("one", "") is None
    assert score(ALT, f"{ALT} and more") == 1


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("a b c d", "x b c y", "b c"),
        ("a b a b c", "a b c", "a b c"),
        ("a a a", "a a", "a a"),
        ("c a b", "a b c", "a b"),
        ("a", "b", ""),
        ("", "a", ""),
    ],
)
def test_longest_run(a: str, b: str, expected: str) -> None:
    assert copied.longest_run(tuple(a.split()), tuple(b.split())) == tuple(expected.split())


CRANE = Hints("a big bird", ("crane, a bird",), (Hint(HintKind.LABEL, "heron"),))


@pytest.mark.parametrize(
    ("text", "is_wrong"),
    [
        ("A tall bird. Class: crane.", True),
        ("class: crane", True),
        ("A tall bird, class = crane", True),
        ("The label says crane.", True),
        ('The label says "crane".', True),
        ("It is a heron, as the label suggests: the label says heron.", True),
        ("Alt text: a big bird.", True),
        ("According to the hint, it is a crane.", True),
        ("A bird, according to the provided label.", True),
        ("A bird labelled as crane.", True),
        ('A bird labeled as "crane".', True),
        ("A bird that is classified as a crane.", True),
        ("The alt-text mentions a bird.", True),
        ("The hints suggest a crane.", True),
        ("The given class name is crane.", True),
        ("A crane, as indicated by the tags.", True),
        ("Laut dem Hinweis ein Kranich.", True),
        ('A sign reading "CLASS".', False),
        ('A sign reading "class: crane".', False),
        ('A bottle; the label says "Heinz".', False),
        ("A jar on which the label reads HEINZ KETCHUP.", False),
        ('A jar labelled as "poison".', False),
        ("A jar labelled POISON.", False),
        ("A class of children in a first-class carriage.", False),
        ("The bottle has a white label and a price tag.", False),
        ("A book with a title and a caption below a photo.", False),
        ("A crane by a lake.", False),
        ("", False),
    ],
)
def test_meta_text(text: str, is_wrong: bool) -> None:
    verdict = judge(copied.meta_text, text, CRANE)
    assert verdict.check == "copied.meta_text"
    assert verdict.reason == (Reason.META_TEXT if is_wrong else None), verdict.message


@pytest.mark.parametrize(
    ("text", "is_wrong"),
    [
        ("It is not a crane.", True),
        ("There is no crane in the image.", True),
        ("There are no cranes.", True),
        ("A bird that does not look like a crane.", True),
        ("A bird. It isn't a crane but a heron.", True),
        ("A heron rather than a crane.", True),
        ("A lake without any crane.", True),
        ("A lake. A crane is not visible.", True),
        ("A lake with no sign of a crane", True),
        ("A crane by a lake.", False),
        ("A heron by a lake.", False),
        ("A crane, not a heron.", False),
        ("It is not only a crane but also a heron.", False),
        ("There is no other crane.", False),
        ("A construction site with no crane operator.", False),
        ("A crane by a lake. No crane is behind it.", False),
        ('A sign reading "no cranes".', False),
        ("A crane that is not in flight.", False),
        ("", False),
    ],
)
def test_class_contradicted(text: str, is_wrong: bool) -> None:
    hints = Hints(class_names=("crane, a bird",), class_trust=Trust.HIGH)
    verdict = judge(copied.class_contradicted, text, hints)
    assert verdict.check == "copied.class_contradicted"
    assert verdict.reason == (Reason.CLASS_CONTRADICTED if is_wrong else None), verdict.message


@pytest.mark.parametrize("trust", [Trust.LOW, Trust.MEDIUM])
def test_only_a_verified_class_may_not_be_denied(trust: Trust) -> None:
    hints = Hints(class_names=("crane",), class_trust=trust)
    assert judge(copied.class_contradicted, "It is not a crane.", hints).reason is None


def test_each_of_several_classes_counts() -> None:
    hints = Hints(class_names=("", "()", "lake", "hot dog (food)"), class_trust=Trust.HIGH)
    verdict = judge(copied.class_contradicted, "A lake. There are no hot dogs.", hints)
    assert verdict.reason is Reason.CLASS_CONTRADICTED and "hot dog" in verdict.message


def test_the_longest_run_is_what_trying_all_finds() -> None:
    draw = random.Random(0)
    for _ in range(2_000):
        a, b = (tuple(draw.choices("abc", k=draw.randint(0, 12))) for _ in range(2))
        runs = [a[i:j] for i in range(len(a)) for j in range(i + 1, len(a) + 1)]
        common = [run for run in runs if any(b[k : k + len(run)] == run for k in range(len(b)))]
        assert copied.longest_run(a, b) == max(common, key=len, default=())


def test_what_repeats_takes_no_longer() -> None:
    with at_most(2):
        assert len(copied.longest_run(("a",) * 50_000, ("a",) * 20_000)) == 20_000
