"""Caption to claims: a parser of the world's English. What it does not understand it reports.

Each sentence is tried against the language's forms, one function a form; a form takes all of a
sentence or nothing of it. `the red star` is the thing told before by that look, or a new one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from recaption.shapeworld.content import Size
from recaption.shapeworld.drawing.geometry import Relation
from recaption.shapeworld.known import read_sentence
from recaption.shapeworld.reading.claims import Reading, Told
from recaption.shapeworld.reading.german_parser import read_german
from recaption.shapeworld.reading.notes import Cursor, Notes, NotThisError, attempt
from recaption.shapeworld.reading.phrases import ground, hues, items, noun, reference
from recaption.shapeworld.words import lexicon

_KNOWN = re.compile(r"(?:^|(?<=\. ))It is (?:an? |called |by |from |dated ).*$", re.DOTALL)
_END = re.compile(r"(?<=[.!?])\s+")


def parse(caption: str) -> Reading:
    """Return what a caption claims, in English or German."""
    text = " ".join(caption.split())
    if (german := read_german(text)) is not None:
        return german
    known, unknown = None, []
    if match := _KNOWN.search(text):
        known = read_sentence(match[0])
        unknown = [] if known else [match[0]]
        text = text[: match.start()]
    notes = Notes(known=known, unknown=unknown)
    for sentence in filter(None, _END.split(text.strip())):
        _read(sentence, notes)
    return notes.reading()


def _read(sentence: str, notes: Notes) -> None:
    words = lexicon.split(sentence)
    for form in _FORMS:
        cursor, trial = Cursor(words), notes.copy()
        try:
            form(cursor, trial)
            cursor.finish()
        except NotThisError:
            continue
        notes.take(trial)
        return
    strange = [word for word in words if word not in _VOCABULARY and not word.startswith('"')]
    notes.unknown += strange or [sentence]


def _medium_sentence(cursor: Cursor, notes: Notes) -> None:
    """Read `[this is] a MEDIUM`, then nothing, `with GROUND`, `of THINGS`, or `, LOOK`."""
    cursor.has("this is")
    cursor.get(lexicon.ARTICLES)
    if cursor.has("picture with"):
        notes.grounds.append(ground(cursor))
        return
    notes.media.append(cursor.get(lexicon.MEDIA))
    if cursor.has("with"):
        notes.grounds.append(ground(cursor))
    elif cursor.has("of"):
        items(cursor, notes)
    elif cursor.has(","):
        notes.looks.append(cursor.get(lexicon.LOOKS))


def _labelled(cursor: Cursor, notes: Notes) -> None:
    """Read `Medium: ...`, `Style: ...`, `Colours: ...`, `Mood: ...`."""
    if cursor.has("medium :"):
        notes.media.append(cursor.get(lexicon.MEDIA))
    elif cursor.has("style :"):
        notes.looks.append(cursor.get(lexicon.LOOKS))
    elif cursor.has("mood :") or cursor.has("the mood is"):
        notes.moods.append(cursor.get(lexicon.MOODS))
    elif cursor.has("colours :"):
        _colours(cursor, notes)
    else:
        raise NotThisError


def _colours(cursor: Cursor, notes: Notes) -> None:
    """Read colours on a background, or a background alone."""
    told = attempt(cursor, hues)
    if told is not None:
        notes.palette += told
        cursor.need("on")
    notes.grounds.append(ground(cursor))


def _shows(cursor: Cursor, notes: Notes) -> None:
    """Read `It shows three shapes` or `It shows red and blue on a white background`."""
    cursor.need("it shows")
    number = cursor.find(lexicon.NUMBERS)
    if number is None:
        _colours(cursor, notes)
        return
    if not (cursor.has("shapes") or cursor.has("shape")):
        raise NotThisError
    notes.totals.append(number)


def _total(cursor: Cursor, notes: Notes) -> None:
    """Read `There are three shapes`."""
    if not (cursor.has("there are") or cursor.has("there is")):
        raise NotThisError
    notes.totals.append(cursor.get(lexicon.NUMBERS))
    if not (cursor.has("shapes") or cursor.has("shape")):
        raise NotThisError


def _nothing(cursor: Cursor, notes: Notes) -> None:
    """Read that there is nothing to see."""
    notes.is_empty = True
    if cursor.has("nothing else is in it") or cursor.has("there is no object in it"):
        return
    cursor.need("no object stands on")
    notes.grounds.append(ground(cursor))


def _listed(cursor: Cursor, notes: Notes) -> None:
    """Read things in a row, with what is before and behind them."""
    for start in ("there is", "there are", "one sees"):
        if cursor.has(start):
            break
    items(cursor, notes)
    if cursor.has("on"):
        notes.grounds.append(ground(cursor))
    elif not cursor.has("can be seen") and notes.words and cursor.has("is printed"):
        _ = cursor.has("at the top") or cursor.has("at the bottom")


def _ground_alone(cursor: Cursor, notes: Notes) -> None:
    notes.grounds.append(ground(cursor))


def _about_thing(cursor: Cursor, notes: Notes) -> None:
    """Read what is said of a thing: its place, its size, its fill, its cut, its relations."""
    if cursor.has("one"):
        notes.mentions.append(noun(cursor, 1))
        subject = len(notes.mentions) - 1
    else:
        subject = reference(cursor, notes)
    if cursor.has("has"):
        inner = reference(cursor, notes)
        cursor.need("inside it")
        notes.relations.append(Told(inner, Relation.INSIDE, subject))
        return
    if cursor.has("points"):
        _amend(notes, subject, pointing=cursor.get(lexicon.DIRECTIONS))
        return
    cursor.need("is")
    _predicate(cursor, notes, subject)


def _predicate(cursor: Cursor, notes: Notes, subject: int) -> None:
    if cursor.has("cut off at the"):
        edges = [cursor.get(lexicon.SIDES)]
        while cursor.has("and") or cursor.has(","):
            edges.append(cursor.get(lexicon.SIDES))
        _amend(notes, subject, edges=tuple(edges))
    elif (place := cursor.find(lexicon.PLACES)) is not None:
        _amend(notes, subject, place=place)
    elif (size := cursor.find(lexicon.SIZES)) is not None:
        _amend(notes, subject, size=size)
    elif (fill := cursor.find(lexicon.FILLS)) is not None:
        _amend(notes, subject, fill=fill)
    else:
        _related(cursor, notes, subject)


def _amend(notes: Notes, subject: int, **told: str | Size | tuple[str, ...]) -> None:
    notes.mentions[subject] = replace(notes.mentions[subject], **told)  # type: ignore[arg-type]


_RELATIONS: dict[str, tuple[Relation, bool]] = {
    "inside": (Relation.INSIDE, False),
    "behind": (Relation.BEHIND, False),
    "in front of": (Relation.BEHIND, True),
    "to the left of": (Relation.LEFT_OF, False),
    "to the right of": (Relation.LEFT_OF, True),
    "above": (Relation.ABOVE, False),
    "below": (Relation.ABOVE, True),
}
"""Words of a relation, and whether they tell it from the other side."""


def _related(cursor: Cursor, notes: Notes, subject: int) -> None:
    for words, (relation, is_turned) in _RELATIONS.items():
        if cursor.has(words):
            other = reference(cursor, notes)
            first, second = (other, subject) if is_turned else (subject, other)
            notes.relations.append(Told(first, relation, second))
            return
    raise NotThisError


_FORMS: tuple[Callable[[Cursor, Notes], None], ...] = (
    _labelled,
    _medium_sentence,
    _shows,
    _nothing,
    _total,
    _listed,
    _about_thing,
    _ground_alone,
)

_FUNCTION_WORDS = (
    "a an the is are it this there one and of on in at to with from that has part something can be"
    " seen shows shape shapes sees nothing else no object stands picture medium style colours mood"
    " tones inside behind front left right above below top bottom middle centre corner towards cut"
    " off pointing points up down printed word sign reading some lettering mirror writing"
    " background plain mostly two-tone over fading softly shaded bands . , :"
)
_VOCABULARY = frozenset(
    {
        word
        for entries in (
            lexicon.HUES,
            lexicon.SHAPES,
            lexicon.PLURALS,
            lexicon.MEDIA,
            lexicon.LOOKS,
            lexicon.MOODS,
            lexicon.SIZES,
            lexicon.FILLS,
            lexicon.MARKS,
            lexicon.NUMBERS,
        )
        for words in entries
        for word in words
    }
    | set(lexicon.split(_FUNCTION_WORDS))
)
