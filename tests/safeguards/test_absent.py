"""What people made sure is not in the image must not be mentioned."""

from __future__ import annotations

import pytest

from recaption.safeguards import absent
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption, Hint, HintKind, Hints, Reason


def judge(text: str, *labels: str) -> Verdict:
    others = tuple(Hint(HintKind.ABSENT, label) for label in labels)
    hints = Hints(class_names=("lake",), others=(Hint(HintKind.LABEL, "lake"), *others))
    return absent.mentioned(Caption(text, 1, "stop", 10, 20, None), Asked("dense", hints=hints))


@pytest.mark.parametrize(
    ("text", "label", "is_wrong"),
    [
        ("A dog on a lawn.", "dog", True),
        ("Two DOGS on a lawn.", "Dog", True),
        ("A man, a boy (and a dog).", "dog", True),
        ("Children play.", "child", True),
        ("Many people.", "Person", True),
        ("Three women.", "woman", True),
        ("Two policemen.", "policeman", True),
        ("Some berries.", "berry", True),
        ("Two boxes.", "box", True),
        ("A knife.", "knives", True),
        ("A dog.", "dogs", True),
        ("A dog house.", "dog house", True),
        ("A doghouse.", "dog house", True),
        ("A baseball-bat.", "baseball_bat", True),
        ("A crane.", "crane (bird)", True),
        ("A dog without a leash.", "dog", True),
        ("Without a leash, a dog sits on a lawn.", "dog", True),
        ("A man without a hat walks a dog.", "dog", True),
        ("No leash is on the dog.", "dog", True),
        ("There are no other dogs.", "dog", True),
        ("Not only a dog but a cat.", "dog", True),
        ("It is not a cat but a dog.", "dog", True),
        ("No cat. A dog.", "dog", True),
        ("There is no cat and a dog sits on a mat.", "dog", True),
        ("A dog is not wearing a collar.", "dog", True),
        ("A dog.", "dog house", False),
        ("A house.", "dog house", False),
        ("A dog house.", "dog", False),
        ("A hot dog.", "dog", False),
        ("A teddy bear.", "bear", False),
        ("A dog-shaped cloud.", "dog", False),
        ("A category of hotdogs.", "cat", False),
        ("A short man.", "shorts", False),
        ("A glass of water.", "Glasses", False),
        ("There is no dog.", "dog", False),
        ("There are no visible dogs.", "dog", False),
        ("A lawn without a dog.", "dog", False),
        ("A lawn without cats, birds or dogs.", "dog", False),
        ("Neither a cat nor a dog is there.", "dog", False),
        ("A lawn free of dogs.", "dog", False),
        ("It does not look like a dog.", "dog", False),
        ("The dog is not visible.", "dog", False),
        ("Dogs cannot be seen.", "dog", False),
        ('A sign reading "DOG".', "dog", False),
        ("A lawn.", "dog", False),
        ("A lawn.", "", False),
        ("A lawn.", "( )", False),
        ("", "dog", False),
    ],
)
def test_mentioned(text: str, label: str, is_wrong: bool) -> None:
    verdict = judge(text, label)
    assert verdict.check == "absent.mentioned"
    assert verdict.reason == (Reason.ABSENT_MENTIONED if is_wrong else None), verdict.message


def test_the_score_is_how_many_and_the_message_names_them() -> None:
    verdict = judge("A dog, a cat and another dog by a lake.", "cat", "horse", "dog")
    assert verdict.score == 2 and verdict.message.endswith(": cat, dog")
    assert judge("A lawn.", "dog").score == 0
    assert judge("A dog.").score is None


def test_only_what_was_verified_counts() -> None:
    assert judge("A lake.").reason is None
