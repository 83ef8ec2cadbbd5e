"""What an alt-text knows and a viewer could not guess, and whether a caption still says it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from recaption.alt_text.dates import Date, dates_in
from recaption.alt_text.names import names_in
from recaption.alt_text.numbers import in_digits, numbers_in
from recaption.alt_text.words import FUNCTION_WORDS, is_common


class FactKind(StrEnum):
    """What kind of fact an alt-text tells. A closed set."""

    NAME = "name"
    TITLE = "title"
    SPECIES = "species"
    DATE = "date"
    NUMBER = "number"
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact, in the words of the alt-text."""

    kind: FactKind
    text: str


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    kind: FactKind


_MAX_FACTS = 24
_MAX_CHARS = 2000

_QUOTED = re.compile(
    r"(?<![\w\d])\"(?P<a>[^\"\n]{2,80})\"(?!\w)|“(?P<b>[^”\n]{2,80})”|„(?P<c>[^“”\n]{2,80})[“”]"
    r"|«\s?(?P<d>[^»\n]{2,80}?)\s?»|(?<![\w’'])'(?P<e>[^'\n]{2,60}(?:'\w[^'\n]{0,60})?)'(?!\w)"
    r"|(?<![\w’])‘(?P<f>[^‘\n]{2,80}?)’(?!\w)|[「『《](?P<g>[^」』》\n]{1,80})[」』》]"
)
_LATIN_END = (
    r"(?:ensis|ense|alis|aris|ilis|ic[ua]m?s?|atus|ata|atum|osus|osa|osum|ianus|iana|ulus|ula|inus|ina"
    r"|inum|oides|orum|arum|ii|ae|folia|folius|ifer|ifera|iferum|iformis|escens|cola|us|is|um|ops"
    r"|ur|ens|ans|ax|ex|or|eo|ea|era|ra|ta|na|la)"
)
_BINOMIAL = re.compile(
    r"(?P<sure>[({\[]\s*(?:[A-Z][a-z]{2,}|[A-Z]\.) [a-z]{3,}(?: [a-z]{4,})?\s*[)}\]])"
    r"|\b[A-Z][a-z]{2,}(?:us|is|ia|ea|um|ax|ys|ops|era|ula|yx|ra|les|nis|aria|illa|ica|on|es)"
    r" [a-z]{3,}(?:ensis|icus|icum|atus|atum|osus|osum|ianus|ulus|inus|inum|oides|orum|ii|ifolia"
    r"|iformis|escens|ifera|iferum|aceus|alpinus)\b"
    r"|\b[A-Z][a-z]{3,} (?:lupus|sapiens|robur|vulgaris|officinalis|sylvatica|domesticus)\b"
    r"|\b[A-Z][a-z]{3,} (?:spp?|subsp|var)\.(?: [a-z]{4,})?"
)


def facts_of(text: str) -> tuple[Fact, ...]:
    """Return the facts of an alt-text in its order, each once."""
    text = text[:_MAX_CHARS].replace("\0", " ")
    spans: list[_Span] = []
    open_text = text
    for find in (_titles, _dates, _species, _names, _numbers):
        for span in find(open_text):
            spans.append(span)
            taken = "\0" * (span.end - span.start)
            open_text = open_text[: span.start] + taken + open_text[span.end :]
    spans.sort(key=lambda span: span.start)
    facts = (Fact(span.kind, text[span.start : span.end].strip(" .,")) for span in spans)
    return tuple(dict.fromkeys(fact for fact in facts if fact.text))[:_MAX_FACTS]


def _titles(text: str) -> list[_Span]:
    """Find what stands in quotes and begins like a title; scare quotes do not."""
    spans = []
    for match in _QUOTED.finditer(text):
        group = match.lastgroup or "a"
        inner = match[group].lstrip(" (#")
        if any(char.isalpha() for char in inner) and not inner[0].islower():
            spans.append(_Span(match.start(group), match.end(group), FactKind.TITLE))
    return spans


def _dates(text: str) -> list[_Span]:
    return [_Span(date.start, date.end, FactKind.DATE) for date in dates_in(text)]


def _numbers(text: str) -> list[_Span]:
    return [_Span(one.start, one.end, FactKind.NUMBER) for one in numbers_in(text)]


def _species(text: str) -> list[_Span]:
    """Find binomials: in brackets `(Passerina ciris)`, or with an ending that is Latin."""
    spans = []
    for match in _BINOMIAL.finditer(text):
        start, end = (match.start() + 1, match.end() - 1) if match["sure"] else match.span()
        words = text[start:end].split()
        looks_latin = match["sure"] is None or re.search(rf"{_LATIN_END}$", words[1]) is not None
        if looks_latin and not any(is_common(word) for word in words):
            spans.append(_Span(start, end, FactKind.SPECIES))
    return spans


def _names(text: str) -> list[_Span]:
    kinds = (FactKind.NAME, FactKind.PLACE)
    return [_Span(name.start, name.end, kinds[name.is_place]) for name in names_in(text)]


def keeps(caption: str, fact: Fact) -> bool:
    """Whether a caption still says a fact, in whatever case, accents and form of date or number."""
    if _says(caption, fact.text):
        return True
    if fact.kind is FactKind.DATE:
        return _keeps_date(caption, fact.text)
    if fact.kind is FactKind.NUMBER:
        return _keeps_number(caption, fact.text)
    return False


def _keeps_date(caption: str, text: str) -> bool:
    return any(one.tells(date) for date in _told_dates(text) for one in _told_dates(caption))


@lru_cache(maxsize=64)
def _told_dates(text: str) -> frozenset[Date]:
    return frozenset(date for found in dates_in(text) for date in found.options)


def _keeps_number(caption: str, text: str) -> bool:
    wanted = _told_numbers(text)
    return bool(wanted) and wanted <= _told_numbers(caption)


@lru_cache(maxsize=64)
def _told_numbers(text: str) -> frozenset[tuple[str, str]]:
    return frozenset((one.value, one.what) for one in numbers_in(in_digits(text)))


_ODD_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "ı": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ə": "e",
        "™": " ",
        "℠": " ",
    }
)
_SAME = {"usa": "united states", "u s a": "united states", "us": "united states"}
_SAME |= {"uk": "united kingdom", "u k": "united kingdom", "u s": "united states"}
_POSSESSIVE = re.compile(r"['’](?:s\b)?")
_MARKS = re.compile(r"[^\w]+|_")


def _says(caption: str, text: str) -> bool:
    """Whether a caption has a fact's words: in a row, or all of those that matter."""
    told, wanted = _folded(caption), _folded(text)
    if not wanted:
        return True
    if not wanted.isascii() and not any(char.islower() for char in wanted):
        return wanted.replace(" ", "") in told.replace(" ", "")
    if f" {wanted} " in f" {told} ":
        return True
    if wanted in _SAME and f" {_SAME[wanted]} " in f" {told} ":
        return True
    weighty = {word for word in wanted.split() if word not in FUNCTION_WORDS}
    return bool(weighty) and weighty <= set(told.split())


@lru_cache(maxsize=64)
def _folded(text: str) -> str:
    """Return a text without case, accents and marks."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_ODD_LETTERS))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return " ".join(_MARKS.sub(" ", _POSSESSIVE.sub("", plain)).split())
