"""Words and what they mean: the language's own tables, turned around."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from recaption.shapeworld import language
from recaption.shapeworld.content import Colour, Fill, Medium, Shape, Size, Tone
from recaption.shapeworld.words import english, german

Meaning = TypeVar("Meaning")
Words = tuple[str, ...]

_TOKEN = re.compile(r'"[^"]*"|[^\W\d_]+(?:-[^\W\d_]+)*|\d+|[^\w\s]')


def split(text: str) -> Words:
    """Return words, numbers, quoted words and punctuation; all but what is quoted in lower case."""
    found = _TOKEN.findall(text)
    return tuple(token if token.startswith('"') else token.lower() for token in found)


def table(pairs: Iterable[tuple[str, Meaning]]) -> dict[Words, Meaning]:
    """Return a table of phrases, by their words."""
    return {split(phrase): meaning for phrase, meaning in pairs}


def longest(entries: Mapping[Words, Meaning]) -> int:
    """Return the number of words of the longest phrase."""
    return max(map(len, entries))


HUES = table((str(hue), str(hue)) for hue in (*Colour, *Tone))
SHAPES = table((word, shape) for shape, words in english.SHAPE_WORDS.items() for word in words)
PLURALS = table(
    (english.plural(word), shape) for shape, words in english.SHAPE_WORDS.items() for word in words
)
MEDIA: dict[Words, Medium] = table(
    (word, medium) for medium, words in english.MEDIUM_WORDS.items() for word in words
)
LOOKS: dict[Words, str] = table(
    (words, words) for choices in language.LOOK_WORDS.values() for words in choices
)
MOODS = table(
    (mood, mood)
    for mood in (
        "empty and dark",
        "empty and still",
        "dramatic",
        "striking",
        "sombre",
        "dark and heavy",
        "lively",
        "cheerful",
        "calm",
        "quiet",
    )
)
SIZES = table((str(size), size) for size in Size)
FILLS = table((str(fill), fill) for fill in Fill)
MARKS = table([("stripes", Fill.STRIPED), ("dots", Fill.DOTTED)])
SIDES = table((side, side) for side in ("left", "right", "top", "bottom"))
DIRECTIONS = table((side, side) for side in ("up", "right", "down", "left"))
NUMBERS = table((word, number) for number, word in enumerate(english.NUMBERS))
ARTICLES = table([("a", 1), ("an", 1)])
PLACES = table(
    [
        ("in the middle", "middle"),
        ("in the centre", "middle"),
        *((f"at the {side}", f"{side} middle") for side in ("left", "right", "top", "bottom")),
        *((f"towards the {side}", side) for side in ("left", "right", "top", "bottom")),
        *(
            (f"in the {row} {column}{corner}", f"{row} {column}")
            for row in ("top", "bottom")
            for column in ("left", "right")
            for corner in ("", " corner")
        ),
    ]
)
"""A place is one side, a side `middle` of the other direction, a corner, or the middle."""

GERMAN_NUMBERS = table((word, number) for number, word in enumerate(german.NUMBERS) if number > 1)
GERMAN_SHAPES: dict[Words, Shape] = table(
    (form, shape) for shape, forms in german.SHAPE_WORDS.items() for form in (forms[0], forms[2])
)
GERMAN_HUES = table(
    (f"{stem}{ending}", hue)
    for hue, stem in german.HUE_WORDS.items()
    for ending in ("e", "er", "es", "em")
)
