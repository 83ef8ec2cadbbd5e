"""Checks against what people made sure is not in the image; and how a text mentions a thing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from recaption.safeguards.languages import unquoted
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption, HintKind, Reason

_IRREGULAR = {
    "man": "men",
    "woman": "women",
    "child": "children",
    "person": "people",
    "foot": "feet",
    "tooth": "teeth",
    "goose": "geese",
    "mouse": "mice",
    "knife": "knives",
    "leaf": "leaves",
    "shelf": "shelves",
    "wolf": "wolves",
    "loaf": "loaves",
    "scarf": "scarves",
}
_PLURAL_ONLY = frozenset("clothes glasses goggles jeans pants shorts tights trousers".split())
# What makes another thing of the one named before it, or behind it.
_HEADS = (
    "house|food|collar|bed|bowl|toy|park|sign|crossing|shop|logo|print|costume|sticker|figurine"
    "|statue|emblem|pattern|shaped|like"
)
_COMPOUNDS = {
    "dog": ("hot", "corn"),
    "bear": ("teddy", "gummy"),
    "horse": ("rocking", "sea", "clothes"),
    "lion": ("sea", "mountain"),
}

_DENIALS = re.compile(
    r"\b(?:free of|free from|devoid of|absence of|instead of|rather than|\w+n't|cannot"
    r"|lacks?|lacking|neither|nor|never|no|not)\b"
)
_ONE_OF_MORE = frozenset("other others second only just merely more further additional".split())
_DETERMINERS = frozenset("a an the any single one this that its his her their".split())
# What may stand between a denial and an article: `does not look like a`, `no sign of a`.
_BRIDGES = frozenset(
    "appear be contain depict evidence feature have hint in include like look of presence really"
    " resemble see seem show sign signs to trace traces".split()
)
_MOST_MENTIONS = 50  # of one label; who says it more often has said it
_AROUND = 160  # characters before and behind a mention that may deny it
_DENIED_AFTER = re.compile(
    r"(?: \w+)? (?:(?:is|are) (?:not|nowhere|never) (?:to be )?"
    r"(?:visible|present|seen|shown|depicted|there|here|in (?:the (?:image|picture|photo)|sight))\b"
    r"|(?:is|are) (?:absent|missing)\b|(?:cannot|can not|can't) be seen"
    r"|(?:isn't|aren't) (?:visible|present|shown|there)\b)"
)


@lru_cache(maxsize=4096)
def _pattern(label: str) -> re.Pattern[str] | None:
    """Return what finds a label in lower-case text, in the singular and the plural."""
    name = re.sub(r"\(.{0,200}?\)", " ", label.casefold().replace("_", " "))
    parts = re.findall(r"[\w'&.]+", name)
    if not parts:
        return None
    *first, last = parts
    compounds = () if first else _COMPOUNDS.get(last, ())
    no_compound = "".join(rf"(?<!\b{word} )" for word in compounds)
    start = "".join(rf"{re.escape(part)}[\s-]*" for part in first)
    forms = "|".join(re.escape(form) for form in sorted(_forms(last), key=len, reverse=True))
    return re.compile(rf"(?<![\w-]){no_compound}{start}(?:{forms})(?!\w|-\w| (?:{_HEADS})\b)")


def _forms(noun: str) -> set[str]:
    """Return a noun in the singular and the plural, whichever it comes in."""
    forms = {noun, *_plurals(noun)}
    forms |= {one for one, many in _IRREGULAR.items() if many == noun}
    if noun.endswith("s") and noun not in _PLURAL_ONLY and not noun.endswith(("ss", "us", "is")):
        forms |= {one for one in (noun[:-1], noun[:-2], f"{noun[:-3]}y") if noun in _plurals(one)}
    return forms


def _plurals(noun: str) -> set[str]:
    if noun in _IRREGULAR:
        return {_IRREGULAR[noun]}
    if re.search(r"[^aeiou]y$", noun):
        return {f"{noun[:-1]}ies"}
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return {f"{noun}es"}
    return {f"{noun}s", f"{noun[:-3]}men"} if noun.endswith("man") else {f"{noun}s"}


@lru_cache(maxsize=64)
def _plain(text: str) -> str:
    """Return a text in lower case on one line, without what it quotes."""
    return " ".join(unquoted(text).replace("’", "'").casefold().split())


def mentions(text: str, label: str) -> Iterator[tuple[str, bool]]:
    """Yield each mention of a label: what follows it in its sentence, and whether it is denied.

    What is printed in the image, in quotes, is no mention, nor is a part of a longer name.
    """
    pattern = _pattern(label)
    if pattern is None:
        return
    plain = _plain(text)
    for match in islice(pattern.finditer(plain), _MOST_MENTIONS):
        start, end = match.span()
        before = re.split(r"[.;:!?]\s|\bbut\b", plain[max(0, start - _AROUND) : start])[-1]
        after = re.split(r"[.;:!?](?:\s|$)", plain[end : end + _AROUND])[0]
        yield after, _is_denied(before) or _DENIED_AFTER.match(after) is not None


def _is_denied(before: str) -> bool:
    """Walk back over `any visible`, and over a list `cats, birds or`, to a word that denies.

    What describes the thing takes two words at most; behind an article only a bridge may stand.
    """
    left, has_article = 2, False
    for token in reversed(re.findall(r"[\w-]+|,|\x00", _DENIALS.sub("\x00", before))):
        if token == "\x00" or token == "without":
            return True
        if token in _ONE_OF_MORE or (token in (",", "and") and has_article):
            return False
        if token in (",", "and", "or"):
            left, has_article = 3, False
        elif token in _DETERMINERS:
            has_article = True
        elif token not in _BRIDGES:
            left -= 1
            if has_article or left < 0:
                return False
    return False


def mentioned(caption: Caption, asked: Asked) -> Verdict:
    """Find labels that people checked are not in the image; the score is how many."""
    labels = asked.hints.texts(HintKind.ABSENT)
    if not labels:
        return Verdict("absent.mentioned")
    text = caption.text
    found = [one for one in labels if not all(denied for _, denied in mentions(text, one))]
    if not found:
        return Verdict("absent.mentioned", score=0.0)
    message = f"mentions what is not in the image: {', '.join(found)}"
    return Verdict("absent.mentioned", Reason.ABSENT_MENTIONED, message, float(len(found)))
