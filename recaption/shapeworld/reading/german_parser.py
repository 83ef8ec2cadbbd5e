"""Caption to claims, for the German of the short style."""

from __future__ import annotations

import re

from recaption.shapeworld.content import Shape
from recaption.shapeworld.known import Known
from recaption.shapeworld.reading.claims import Ground, Mention, Printed, Reading
from recaption.shapeworld.words import lexicon

_ITEM = re.compile(
    r'das Wort "(?P<word>[^"]*)"|ein Teil von etwas (?P<part>\S+)'
    r"|(?P<number>eine?|zwei|drei|vier|fünf) (?P<hue>\S+) (?P<shape>\w+)",
    re.IGNORECASE,
)
_GROUND = re.compile(
    r"(?P<mostly>überwiegend )?(?P<first>\S+?)(?: und (?P<second>\S+))? Grund", re.IGNORECASE
)
_FACT = re.compile(r'"(?P<class_word>\w+)"|(?P<label>genannt|von|aus|datiert) (?P<text>.+)')
_LABELS = {"genannt": "name", "von": "maker", "aus": "place", "datiert": "date"}
_START = re.compile(
    r"(?:ein|eine|zwei|drei|vier|fünf|das wort|nichts als)\b.* Grund\.", re.IGNORECASE
)


def read_german(text: str) -> Reading | None:
    """Return what a German caption claims, None for a caption that does not begin as one."""
    if not _START.match(text):
        return None
    sentence, _, rest = text.partition(". Bekannt: ")
    unknown: list[str] = []
    known = _known(rest.removesuffix("."), unknown) if rest else None
    things, _, ground = sentence.removesuffix(".").rpartition(" auf ")
    if text.startswith("Nichts als "):
        ground = sentence.removesuffix(".").removeprefix("Nichts als ")
    mentions, words, parts = _items(things, unknown)
    return Reading(
        mentions=tuple(mentions),
        words=tuple(words),
        fragments=tuple(parts),
        grounds=_grounds(ground, unknown),
        known=known,
        unknown=tuple(unknown),
    )


def _items(text: str, unknown: list[str]) -> tuple[list[Mention], list[Printed], list[str]]:
    mentions, words, parts = list[Mention](), list[Printed](), list[str]()
    for item in filter(None, re.split(r", | und ", text)):
        match = _ITEM.fullmatch(item)
        if match is None:
            unknown.append(item)
        elif match["word"] is not None:
            words.append(Printed(match["word"]))
        elif match["part"]:
            parts += [hue for hue in [_hue(match["part"], unknown)] if hue]
        else:
            hue, shape = _hue(match["hue"], unknown), _shape(match["shape"], unknown)
            count = lexicon.GERMAN_NUMBERS.get((match["number"].lower(),), 1)
            if hue and shape:
                mentions.append(Mention(hue, shape, count))
    return mentions, words, parts


def _hue(word: str, unknown: list[str]) -> str | None:
    hue = lexicon.GERMAN_HUES.get((word.lower(),))
    if hue is None:
        unknown.append(word)
    return hue


def _shape(word: str, unknown: list[str]) -> Shape | None:
    shape = lexicon.GERMAN_SHAPES.get((word.lower(),))
    if shape is None:
        unknown.append(word)
    return shape


def _grounds(text: str, unknown: list[str]) -> tuple[Ground, ...]:
    match = _GROUND.fullmatch(text)
    if match is None:
        unknown.append(text)
        return ()
    first = _hue(match["first"], unknown)
    if match["second"]:
        second = _hue(match["second"], unknown)
        return (Ground("both", (first, second)),) if first and second else ()
    return (Ground("mostly" if match["mostly"] else "plain", (first,)),) if first else ()


def _known(text: str, unknown: list[str]) -> Known | None:
    facts: dict[str, str] = {}
    for part in text.split(", "):
        match = _FACT.fullmatch(part)
        if match is None:
            unknown.append(part)
        elif match["class_word"]:
            facts["class_word"] = match["class_word"]
        else:
            facts[_LABELS[match["label"]]] = match["text"]
    return Known(**facts) if facts else None
