"""Claims: what a caption says, in sentences that can be asked."""

from __future__ import annotations

import pytest

from recaption.safeguards.claims import ClaimKind, claims_of, sentences_of
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.scenes import draw_scene

CLAIMS = [
    (
        "A blue triangle, two purple rings and a red star.",
        [
            ("object", "There is a blue triangle."),
            ("count", "There are two purple rings."),
            ("object", "There is a red star."),
        ],
    ),
    (
        "This is a line drawing with a plain pink background. It shows three shapes.",
        [
            ("medium", "This is a line drawing."),
            ("ground", "This is a picture with a plain pink background."),
            ("count", "There are three shapes."),
        ],
    ),
    (
        "There is a large white striped star towards the left.",
        [
            ("object", "There is a white star."),
            ("attribute", "The white star is large."),
            ("attribute", "The white star is striped."),
            ("place", "The white star is towards the left."),
        ],
    ),
    (
        "A black disc with stripes in the top right. The disc is behind the ring.",
        [
            ("object", "There is a black disc."),
            ("attribute", "The black disc is striped."),
            ("place", "The black disc is in the top right."),
            ("relation", "The disc is behind the ring."),
        ],
    ),
    (
        'A cat and a sign reading "OPEN" on a red background.',
        [
            ("text", 'The word "OPEN" is printed.'),
            ("ground", "This is a picture with a red background."),
            ("object", "There is a cat."),
        ],
    ),
    ('The word "BANK" is printed at the top.', [("text", 'The word "BANK" is printed.')]),
    (
        "Medium: flat graphic. Style: crisp. Colours: blue on a cream background. Mood: calm.",
        [
            ("medium", "This is a flat graphic."),
            ("ground", "This is a picture with a cream background."),
        ],
    ),
    (
        "A watercolour of a yellow arrow and a disc.",
        [
            ("medium", "This is a watercolour."),
            ("object", "There is a yellow arrow."),
            ("object", "There is a disc."),
        ],
    ),
    (
        "A brown dog and two cats on a sofa. The dog is wearing a blue collar.",
        [
            ("object", "There is a brown dog."),
            ("count", "There are two cats."),
            ("attribute", "The dog is wearing a blue collar."),
        ],
    ),
    ("The mood is calm. It is a kite called Zopika, by Mira Holt, dated 1950.", []),
    ("", []),
    ("Hmm!", []),
]


@pytest.mark.parametrize(("caption", "expected"), CLAIMS)
def test_what_a_caption_claims(caption: str, expected: list[tuple[str, str]]) -> None:
    assert [(str(c.kind), c.text) for c in claims_of(caption) if c.kind != "other"] == expected


def test_a_claim_knows_its_sentence() -> None:
    claims = claims_of("A cat. There is a dog. The cat is on the left.")
    assert [claim.sentence for claim in claims] == [0, 1, 2]


def test_each_claim_comes_once() -> None:
    assert len(claims_of("A cat. There is a cat. A cat and a cat.")) == 1


def test_sentences_keep_quoted_ends_together() -> None:
    assert sentences_of('A sign reading "STOP!" Then a dog. 2 cats.') == [
        'A sign reading "STOP!"',
        "Then a dog.",
        "2 cats.",
    ]


@pytest.mark.parametrize("style", Style)
def test_every_thing_of_a_rendered_caption_is_claimed(style: Style) -> None:
    """Nothing is passed over: a sentence about what is seen makes a claim."""
    silent = []
    for index in range(150):
        caption = captions(draw_scene(11, index), style, index)
        claimed = {claim.sentence for claim in claims_of(caption)}
        for number, sentence in enumerate(sentences_of(caption)):
            is_seen = not sentence.startswith(
                ("Style", "Mood", "The mood", "Nothing", "There is no", "No object", "Part of")
            )
            if is_seen and number not in claimed:
                silent.append(sentence)
    assert len(silent) <= 3, silent[:10]


def test_kinds_are_a_closed_set() -> None:
    assert {c.kind for text, _ in CLAIMS for c in claims_of(text)} <= set(ClaimKind)
