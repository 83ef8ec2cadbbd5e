"""What a reader of captions holds: a place in a sentence, and what was understood so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from recaption.shapeworld.content import Medium
from recaption.shapeworld.known import Known
from recaption.shapeworld.reading.claims import Ground, Mention, Printed, Reading, Told
from recaption.shapeworld.words import lexicon
from recaption.shapeworld.words.lexicon import Words

Meaning = TypeVar("Meaning")


class NotThisError(Exception):
    """The words are not of the form that was tried."""


@dataclass
class Notes:
    """What was understood so far."""

    mentions: list[Mention] = field(default_factory=list)
    relations: list[Told] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    media: list[Medium] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    grounds: list[Ground] = field(default_factory=list)
    words: list[Printed] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)
    palette: list[str] = field(default_factory=list)
    moods: list[str] = field(default_factory=list)
    is_empty: bool = False
    known: Known | None = None
    unknown: list[str] = field(default_factory=list)

    def reading(self) -> Reading:
        """Return the notes as they are."""
        told: dict[str, Any] = dict(vars(self))
        told |= {k: tuple(v) for k, v in told.items() if isinstance(v, list)}
        return Reading(**told)

    def copy(self) -> Notes:
        """Return notes that can be written on without changing these."""
        told: dict[str, Any] = dict(vars(self))
        told |= {k: list(v) for k, v in told.items() if isinstance(v, list)}
        return Notes(**told)

    def take(self, other: Notes) -> None:
        """Become what the other notes say."""
        vars(self).update(vars(other))


@dataclass
class Cursor:
    """A place in the words of a sentence."""

    words: Words
    at: int = 0

    def has(self, phrase: str) -> bool:
        """Step over a phrase if it stands here."""
        wanted = lexicon.split(phrase)
        if self.words[self.at : self.at + len(wanted)] != wanted:
            return False
        self.at += len(wanted)
        return True

    def need(self, phrase: str) -> None:
        """Step over a phrase. Raises NotThisError if it does not stand here."""
        if not self.has(phrase):
            raise NotThisError

    def find(self, entries: Mapping[Words, Meaning]) -> Meaning | None:
        """Step over the longest phrase of a table that stands here and return its meaning."""
        for length in range(lexicon.longest(entries), 0, -1):
            words = self.words[self.at : self.at + length]
            if len(words) == length and words in entries:
                self.at += length
                return entries[words]
        return None

    def get(self, entries: Mapping[Words, Meaning]) -> Meaning:
        """Do as `find`. Raises NotThisError if no phrase of the table stands here."""
        meaning = self.find(entries)
        if meaning is None:
            raise NotThisError
        return meaning

    def finish(self) -> None:
        """Raise NotThisError if anything but a full stop is left."""
        self.has(".")
        if self.at != len(self.words):
            raise NotThisError


def attempt(cursor: Cursor, phrase: Callable[[Cursor], Meaning]) -> Meaning | None:
    """Read a phrase if one stands here, else step back."""
    start = cursor.at
    try:
        return phrase(cursor)
    except NotThisError:
        cursor.at = start
        return None
