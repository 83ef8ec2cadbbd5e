"""The phrases of captions: things, words, fragments, backgrounds."""

from __future__ import annotations

from dataclasses import replace

from recaption.shapeworld.reading.claims import Ground, Mention, Printed
from recaption.shapeworld.reading.notes import Cursor, Notes, NotThisError, attempt
from recaption.shapeworld.words import lexicon


def noun(cursor: Cursor, count: int) -> Mention:
    """Read `large red striped arrow pointing left`, in the plural where `count` says so."""
    size = cursor.find(lexicon.SIZES)
    hue = cursor.get(lexicon.HUES)
    fill = cursor.find(lexicon.FILLS)
    shape = cursor.get(lexicon.SHAPES if count == 1 else lexicon.PLURALS)
    if cursor.has("with"):
        fill = cursor.get(lexicon.MARKS)
    start = cursor.at
    cursor.has(",")
    pointing = cursor.get(lexicon.DIRECTIONS) if cursor.has("pointing") else None
    if pointing is None:
        cursor.at = start
    return Mention(hue, shape, count, size, fill, pointing)


def _thing(cursor: Cursor) -> Mention:
    """Read `a red star`, `two blue circles`, with a place if one is told."""
    count = cursor.find(lexicon.ARTICLES) or cursor.get(lexicon.NUMBERS)
    mention = noun(cursor, count)
    return replace(mention, place=cursor.find(lexicon.PLACES))


def reference(cursor: Cursor, notes: Notes) -> int:
    """Read `the large red star`; return the number of the mention that is meant."""
    cursor.need("the")
    size = cursor.find(lexicon.SIZES)
    hue, shape = cursor.get(lexicon.HUES), cursor.get(lexicon.SHAPES)
    return _resolve(Mention(hue, shape, size=size), notes)


def _resolve(meant: Mention, notes: Notes) -> int:
    alike = [k for k, one in enumerate(notes.mentions) if one.look == meant.look]
    by_size = [k for k in alike if notes.mentions[k].size == meant.size]
    unsized = [k for k in alike if notes.mentions[k].size is None]
    if found := (by_size or unsized) if meant.size else alike:
        return found[0]
    notes.mentions.append(meant)
    return len(notes.mentions) - 1


def _printed(cursor: Cursor) -> Printed:
    if cursor.has("some lettering that is cut off"):
        return Printed("")
    if not (cursor.has("the word") or cursor.has("a sign reading")):
        raise NotThisError
    if cursor.at == len(cursor.words) or not cursor.words[cursor.at].startswith('"'):
        raise NotThisError
    text = cursor.words[cursor.at].strip('"')
    cursor.at += 1
    return Printed(text, cursor.has("in mirror writing"))


def _fragment(cursor: Cursor) -> str:
    cursor.need("part of something")
    return cursor.get(lexicon.HUES)


def items(cursor: Cursor, notes: Notes) -> None:
    """Read a list of things, words and fragments."""
    while True:
        if (printed := attempt(cursor, _printed)) is not None:
            notes.words.append(printed)
        elif (hue := attempt(cursor, _fragment)) is not None:
            notes.fragments.append(hue)
        else:
            notes.mentions.append(_thing(cursor))
        if not (cursor.has("and") or cursor.has(",")):
            return


def hues(cursor: Cursor) -> list[str]:
    """Read colours in a row."""
    found = [cursor.get(lexicon.HUES)]
    while cursor.has("and") or cursor.has(","):
        found.append(cursor.get(lexicon.HUES))
    cursor.has("tones")
    return found


def ground(cursor: Cursor) -> Ground:
    """Read a background with its article."""
    cursor.need("a")
    if cursor.has("softly shaded background"):
        return Ground("shaded")
    if cursor.has("two-tone background ,"):
        above = cursor.get(lexicon.HUES)
        cursor.need("over")
        return Ground("above", (above, cursor.get(lexicon.HUES)))
    if cursor.has("background"):
        return _told_ground(cursor)
    kind = "mostly" if cursor.has("mostly") else "plain"
    cursor.has("plain")
    hue = cursor.get(lexicon.HUES)
    cursor.need("background")
    return Ground(kind, (hue,))


def _told_ground(cursor: Cursor) -> Ground:
    """Read what follows `a background`."""
    if cursor.has("of"):
        pair = _pair(cursor, "", "and")
        cursor.need("bands")
        return Ground("bands", pair)
    if cursor.has("fading from"):
        pair = _pair(cursor, "at the top", "to")
        cursor.need("below")
        return Ground("fading", pair)
    cursor.need("that is")
    first = cursor.get(lexicon.HUES)
    for kind, (after_first, after_second) in _SIDED_GROUNDS.items():
        if cursor.has(after_first):
            second = cursor.get(lexicon.HUES)
            cursor.need(after_second)
            return Ground(kind, (first, second))
    raise NotThisError


_SIDED_GROUNDS = {
    "above": ("above and", "below"),
    "beside": ("on the left and", "on the right"),
}


def _pair(cursor: Cursor, after: str, between: str) -> tuple[str, str]:
    first = cursor.get(lexicon.HUES)
    if after:
        cursor.need(after)
    cursor.need(between)
    return first, cursor.get(lexicon.HUES)
