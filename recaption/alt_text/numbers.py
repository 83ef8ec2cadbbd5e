"""Numbers that say something: with a unit, in an order, of a volume. `12 kg`, `3rd`, `Vol. 8`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from recaption.alt_text.words import folded

_UNITS = {
    name: names.split()[0]
    for names in (
        "mm millimetre millimetres millimeter millimeters",
        "cm centimetre centimetres centimeter centimeters",
        "m metre metres meter meters",
        "km kilometre kilometres kilometer kilometers kms",
        'in. inch inches " ″ ”',
        "ft foot feet ft. ′",
        "yd yard yards",
        "mile miles",
        "m² m2 sqm",
        "sqft sq.ft.",
        "acre acres",
        "ha hectare hectares",
        "kg kilo kilos kilogram kilograms kgs",
        "g gram grams gr",
        "mg milligram milligrams",
        "lb lbs pound pounds",
        "oz ounce ounces oz.",
        "ton tons tonne tonnes",
        "ml millilitre millilitres milliliter milliliters",
        "cl",
        "l litre litres liter liters",
        "gallon gallons gal",
        "ct carat carats karat kt",
        "w watt watts",
        "kw",
        "v volt volts",
        "hp",
        "mph",
        "kmh km/h kph",
        "gb",
        "tb",
        "mp megapixel megapixels",
        "mah",
        "hz",
        "ghz",
        "% percent",
        "°c",
        "°f",
        "bedroom bedrooms bed beds br",
        "seater",
        "year years",
    )
    for name in names.split()
}
_LABELS = {
    name: names.split()[0]
    for names in (
        "no no. nr nr. number № #",
        "vol vol. volume",
        "part pt pt.",
        "book",
        "chapter",
        "episode ep ep.",
        "season",
        "lot",
        "version",
        "edition",
        "op op. opus",
    )
    for name in names.split()
}
_WORDS = "one two three four five six seven eight nine ten eleven twelve".split()
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_ORDINAL_OF = {word: str(n) for n, word in enumerate(_ORDINALS.split(), start=1)}
_DIGITS_OF = {word: str(n) for n, word in enumerate(_WORDS, start=1)}


def _any_of(names: dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_VALUE = r"\d++(?:[.,]\d++)*+(?:[ -]\d++/\d++|/\d++)?"
_QUANTITY = re.compile(
    rf"(?<![\w.,/#-])(?P<value>{_VALUE}(?:\s?[x×*]\s?{_VALUE}){{0,4}})[ -]?"
    rf"(?P<unit>{_any_of(_UNITS)})(?!\w)"
    r"|(?<![\w.,/-])(?P<ordinal>\d+)(?:st|nd|rd|th)\b"
    rf"|(?<![\w#№])(?P<label>{_any_of(_LABELS)})\s?(?P<count>\d+)\b",
    re.IGNORECASE,
)
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join((*_DIGITS_OF, *_ORDINAL_OF))})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundNumber:
    """A number at text[start:end]; `what` is its unit or label, in one form for all spellings."""

    start: int
    end: int
    value: str
    what: str


def numbers_in(text: str) -> Iterator[FoundNumber]:
    """Find the numbers of a text that say what they are numbers of."""
    if not any(digit in text for digit in "0123456789"):
        return
    for match in _QUANTITY.finditer(text):
        if match["unit"]:
            value, what = match["value"], _UNITS[folded(match["unit"])]
        elif match["ordinal"]:
            value, what = match["ordinal"], "th"
        else:
            value, what = match["count"], _LABELS[folded(match["label"])]
        yield FoundNumber(match.start(), match.end(), _plain(value), what)


def in_digits(text: str) -> str:
    """Write number words as digits: `twelve` is 12, `third` 3rd."""
    return _NUMBER_WORD.sub(lambda found: _digits(folded(found[0])), text)


def _digits(word: str) -> str:
    return _DIGITS_OF.get(word) or f"{_ORDINAL_OF[word]}th"


def _plain(value: str) -> str:
    """Return a value without thousands marks, with a decimal point, with `x` for times."""
    value = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", value).replace(",", ".")
    return re.sub(r"\s?[x×*]\s?", "x", value.casefold())
