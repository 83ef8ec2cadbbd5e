"""Dates in text, however they are written: 12 May 1950, May 12, 1950, 1950-05-12, the 1950s."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from recaption.alt_text.words import folded

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner janvier enero gennaio janeiro januari января",
            "february feb februar février febrero febbraio fevereiro februari февраля",
            "march mar märz marzo março maart марта",
            "april apr avril abril aprile апреля",
            "may mai mayo maggio maio mei мая",
            "june jun juni juin junio giugno junho июня",
            "july jul juli juillet julio luglio julho июля",
            "august aug août agosto augustus августа",
            "september sept sep septembre septiembre settembre setembro сентября",
            "october oct oktober okt octobre octubre ottobre outubro октября",
            "november nov novembre noviembre novembro ноября",
            "december dec dezember dez décembre diciembre dicembre dezembro декабря",
        ),
        start=1,
    )
    for name in names.split()
}
_DOUBTFUL = frozenset(("may", "march", "mar", "mai", "mei"))
"""Words besides: without a capital and a year they are no months."""

_MONTH = rf"\b(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})(?![^\W\d_])\.?"
_DAY, _YEAR = r"(?P<day>[0-3]?\d)", r"(?P<year>1\d{3}|20\d\d)"
_ORDINAL = r"(?:st|nd|rd|th)"


@dataclass(frozen=True, slots=True)
class Date:
    """A date as far as it is told; 0 is not told. `era` is a decade, a century or BC as written."""

    year: int = 0
    month: int = 0
    day: int = 0
    era: str = ""

    def tells(self, other: Date) -> bool:
        """Whether this date tells all that the other does."""
        pairs = ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        return self.era == other.era and all(wanted in (0, got) for got, wanted in pairs)


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date at text[start:end]; 3/4/1950 may be either of two."""

    start: int
    end: int
    options: tuple[Date, ...]


def _named(match: re.Match[str]) -> tuple[Date, ...]:
    groups = match.groupdict()
    name, year, day = groups["month"], int(groups["year"] or 0), int(groups.get("day") or 0)
    is_doubtful = folded(name) in _DOUBTFUL and name.islower() and not year
    return () if is_doubtful else _valid(Date(year, _MONTHS[folded(name)], day))


def _numeric(match: re.Match[str]) -> tuple[Date, ...]:
    year, a, b = int(match["year"]), int(match["a"]), int(match["b"] or 0)
    if match.start("year") < match.start("a"):
        return _valid(Date(year, a, b))
    both = (*_valid(Date(year, a, b)), *_valid(Date(year, b, a)))
    return both if a != b else both[:1]


def _valid(date: Date) -> tuple[Date, ...]:
    return (date,) if date.month <= 12 and date.day <= 31 else ()


def _era(match: re.Match[str]) -> tuple[Date, ...]:
    written = re.sub(r"[\W_]", "", match[0].casefold())
    if written.startswith("ad"):
        written = written[2:] + "ad"
    if not written.endswith("century"):
        written = written.replace("bce", "bc").replace("ce", "ad")
    return (Date(era=written),)


def _year(match: re.Match[str]) -> tuple[Date, ...]:
    return (Date(year=int(match["year"])),)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[Date, ...]]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), read)
    for pattern, read in (
        (r"(?P<year>\d{4})年(?:(?P<a>\d{1,2})月)(?:(?P<b>\d{1,2})日)?", _numeric),
        (r"(?P<year>\d{4})年", _year),
        (rf"(?<![\d.-]){_YEAR}(?P<s>[-/.])(?P<a>[01]?\d)(?P=s)(?P<b>[0-3]?\d)(?![\d-])", _numeric),
        (rf"(?<![\d.-])(?P<a>[0-3]?\d)(?P<s>[-/.])(?P<b>[0-3]?\d)(?P=s){_YEAR}(?!\d)", _numeric),
        (
            rf"(?<![\d.,#-])\b{_DAY}(?:{_ORDINAL}|\.)?(?: of| de| di)?[ -]?{_MONTH}"
            rf"(?:,?(?: de| del)?[ -]?{_YEAR}\b)?",
            _named,
        ),
        (rf"{_MONTH} ?{_DAY}{_ORDINAL}?\b(?![.:/]\d|%)(?:,? {_YEAR}\b)?", _named),
        (rf"{_MONTH},?(?: of| de)? ?{_YEAR}\b", _named),
        (r"(?<![\w$£€#])(?:1[0-9]|20)\d0['’]?s\b", _era),
        (r"(?<!\w)\d{1,2}(?:st|nd|rd|th)[- ]century\b", _era),
        (r"(?<![\w.,])\d{1,4} ?(?:BCE?|AD|CE)\b(?! ?[\d/])|\bAD \d{1,4}\b", _era),
        (
            r"(?<![\w$£€¥#./,+*№-])(?:(?<=c\.)|(?<=ca\.)|)(?P<year>1[4-9]\d\d|20\d\d)"
            r"(?![\w%$£€\"”]|[.,:/x×*]\d| ?(?:mm|cm|ml|mg|kg|km|pcs|pieces|m|g|l|w|v|x|gb"
            r"|rpm|watts?)\b)",
            _year,
        ),
    )
)


def dates_in(text: str) -> Iterator[FoundDate]:
    """Find the dates of a text, no two of them in the same place."""
    if not any(digit in text for digit in "0123456789"):
        return
    for form, read in _FORMS:
        for match in form.finditer(text):
            options = read(match)
            if options:
                yield FoundDate(match.start(), match.end(), options)
                text = text[: match.start()] + "\0" * len(match[0]) + text[match.end() :]
