"""Names in text by their capitals, with care for texts that put a capital on every word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from recaption.alt_text.words import CONNECTORS, FUNCTION_WORDS, is_common

_TOKEN = re.compile(
    r"(?:No|Nr|Vol|Op)\.?\s?\d{1,4}\b"  # belongs to the name before it: Zopika No. 12
    r"|(?:Dr|Mr|Mrs|Ms|St|Sr|Jr|Mt|Prof|Sen|Gov|Gen|Capt|Lt|Rev)\.(?=\s)"
    r"|(?:[^\W\d_]\.){1,4}(?=\s|$|[,)])"  # initials
    r"|[^\W_]+(?:['’.&/-][^\W_]+)*|--+|[^\w\s]"
)
_BREAKS = frozenset(".!?:;|•·~\0…")
_CLOSES = frozenset((",", ")", "|", ";", ":", "-", "–", "—", "--", "]"))
_NO_NAMES = frozenset(
    "i dvd cd led lcd usb png jpg gif pdf hd uhd tv pc diy pvc abs xl xxl suv atv gps wifi seo html"
    " css rgb cctv ok faq xs s m l rrp new qty pcs sku isbn hdmi fm am pm"
    " monday tuesday wednesday thursday friday saturday sunday january february march april may"
    " june july august september october november december christmas easter internet web"
    " mr mrs ms dr t-shirt t-shirts tshirt x-ray".split()
)
_ROMAN = re.compile(r"[IVX]+")
_MAX_WORDS = 6
"""A longer row of capitals is a headline in a sentence."""
_PLACE_PREPOSITIONS = frozenset("in at from near".split())
_PLACE_WORDS = frozenset(
    "new north south east west san santa saint st los las mount mt lake river island islands bay"
    " beach city park valley county street avenue road bridge republic".split()
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a mark at text[start:end]."""

    text: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        """Whether this is a word and no mark."""
        return self.text[0].isalnum()

    @property
    def is_capital(self) -> bool:
        """Whether this is a word that begins with, or holds, a capital (iPhone)."""
        first = self.text[0]
        return first.isupper() or (first.islower() and self.text[1:2].isupper())


@dataclass(frozen=True, slots=True)
class Name:
    """A name at text[start:end]; `is_place` where its surroundings say so."""

    start: int
    end: int
    is_place: bool


def names_in(text: str) -> Iterator[Name]:
    """Find names. Spans of zero bytes are taken by something else and part what is beside them."""
    tokens = [Token(m[0], m.start(), m.end()) for m in _TOKEN.finditer(text)]
    if not any(token.is_capital for token in tokens):
        return
    is_title, is_shout = _is_title_case(tokens), not any(c.islower() for c in text)
    for first, last in _runs(tokens):
        run = _Run(tokens, first, last)
        found = run.in_title(is_shout) if is_title else run.in_sentence()
        if found is not None:
            start, end = found
            text_end = _without_possessive(tokens[end])
            yield Name(tokens[start].start, text_end, _Run(tokens, start, end).is_place())


def _without_possessive(token: Token) -> int:
    return token.end - (2 if token.text.endswith(("'s", "’s")) else 0)


def _is_title_case(tokens: list[Token]) -> bool:
    """Whether capitals tell nothing: all words have one, or many that name nothing have."""
    words = [t for t in tokens if len(t.text) > 1 and t.text[0].isalpha()]
    words = [t for t in words if t.text.casefold() not in FUNCTION_WORDS]
    small = [t for t in words if t.text[0].islower()]
    if not small:
        return True
    first = next((t for t in tokens if t.is_word), None)
    common = sum(t.is_capital and t is not first and is_common(t.text) for t in words)
    if common > 1 and 5 * len(small) <= len(words):
        return True
    return common > sum(is_common(t.text) for t in small)


def _runs(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """Find the first and last token of each row of capitalised words, small connectors inside."""
    i = 0
    while i < len(tokens):
        if not tokens[i].is_capital:
            i += 1
            continue
        last = i
        while (after := _next_capital(tokens, last)) is not None:
            last = after
        yield i, last
        i = last + 1


def _next_capital(tokens: list[Token], i: int) -> int | None:
    """Return the capitalised word that goes on with the name at i, over two connectors at most."""
    for k in (i + 1, i + 2, i + 3):
        if k >= len(tokens):
            return None
        word = tokens[k].text
        if tokens[k].is_capital:
            return k
        if word != "&" and word not in CONNECTORS:
            is_year_like = word.isdigit() and len(word) < 3 and k == i + 1
            return k if is_year_like and _closes(tokens, k + 1) else None
    return None


def _closes(tokens: list[Token], k: int) -> bool:
    return k >= len(tokens) or tokens[k].text in _CLOSES


@dataclass(frozen=True, slots=True)
class _Run:
    """A row of capitalised words, from token `first` to token `last`."""

    tokens: list[Token]
    first: int
    last: int

    def in_sentence(self) -> tuple[int, int] | None:
        """Return the part that is a name, in a text where capitals tell names."""
        first = self.first
        if self._starts_sentence() and not self._fills_segment():
            while first <= self.last and is_common(self.tokens[first].text):
                first += 1
        while first <= self.last and self.tokens[first].text in CONNECTORS:
            first += 1
        last = self.last
        while last > first and self.tokens[last].text.casefold() in FUNCTION_WORDS:
            last -= 1
        named = self._weighty(first)
        if len(named) > _MAX_WORDS:
            return None
        uncommon = [w for w in named if not is_common(w)]
        if first == self.first and self._starts_sentence():
            is_name = bool(uncommon) and (len(named) > 1 or self._is_surely_named(named[0]))
        else:
            is_name = bool(uncommon) or len(named) > 1
        return (first, last) if is_name else None

    def in_title(self, is_shout: bool) -> tuple[int, int] | None:
        """Return the part that is a name, in a text where every word has a capital.

        That is what stands after `by`, `in`, `at` or `from`, or fills a segment of its own, and
        has no common word in it.
        """
        before = self.tokens[self.first - 1].text.casefold() if self.first else ""
        anchors = ("by", "©", *_PLACE_PREPOSITIONS)
        first = self.first
        for k in range(self.first, self.last):
            if self.tokens[k].text.casefold() in anchors:
                first, before = k + 1, self.tokens[k].text.casefold()
        if first == self.first and before not in (*anchors, "the"):
            is_all = self.first == self.last == 0 and len(self.tokens) == 1
            if is_all or not self._fills_segment() or (is_shout and self._starts_sentence()):
                return None
        named = self._weighty(first)
        is_name = 0 < len(named) < 5 and not any(_is_too_common(w) for w in named)
        is_name = is_name and not all(is_common(w) for w in named)
        return (first, self.last) if is_name else None

    def _weighty(self, first: int) -> list[str]:
        """Return the words from a token on that may make a name; codes and numerals do not."""
        words = [t.text for t in self.tokens[first : self.last + 1] if t.is_word]
        return [w for w in words if w not in CONNECTORS and not _is_no_name(w)]

    def is_place(self) -> bool:
        """Whether the words around, or in it, make it a place."""
        before = [t.text.casefold() for t in self.tokens[max(0, self.first - 2) : self.first]]
        if before and (before[-1] in _PLACE_PREPOSITIONS or before[0] in _PLACE_PREPOSITIONS):
            return before[-1] in (*_PLACE_PREPOSITIONS, "the")
        words = [t.text.casefold() for t in self.tokens[self.first : self.last + 1]]
        is_after_comma = bool(before) and before[-1] == ","
        return is_after_comma and (len(words) == 1 or not _PLACE_WORDS.isdisjoint(words))

    def _starts_sentence(self) -> bool:
        return self.first == 0 or self.tokens[self.first - 1].text in _BREAKS

    def _fills_segment(self) -> bool:
        """Whether the run is all that stands between two commas, brackets or ends."""
        opens = self.first == 0 or self.tokens[self.first - 1].text in (*_CLOSES, *_BREAKS, "(")
        return opens and _closes(self.tokens, self.last + 1)

    def _next(self) -> str:
        return self.tokens[self.last + 1].text if self.last + 1 < len(self.tokens) else ""

    def _is_surely_named(self, word: str) -> bool:
        """Whether a sentence's only capitalised word is so not just because it comes first."""
        if self._fills_segment() and self._next() != ":" and not self._is_list():
            return True
        inner = word[1:].rstrip("s’'")
        if any(c.isupper() for c in inner) and not is_common(word):
            return True
        others = (t.text for k, t in enumerate(self.tokens) if not self.first <= k <= self.last)
        return word in others

    def _is_list(self) -> bool:
        """Whether the first word begins a list of things: `Owls, bats and mice`."""
        rest = [t.text for t in self.tokens[self.last + 1 :]]
        return bool(rest) and rest[0] == "," and "and" in rest[2:5] and "by" not in rest


def _is_too_common(word: str) -> bool:
    return is_common(word) and word.casefold() not in _PLACE_WORDS


def _is_no_name(word: str) -> bool:
    """Whether a word is no name by itself: a code, a numeral, a letter, a day, `The`."""
    folded = word.casefold()
    if folded in _NO_NAMES or folded in FUNCTION_WORDS or len(word) == 1:
        return True
    return _ROMAN.fullmatch(word) is not None or any(char.isdigit() for char in word)
