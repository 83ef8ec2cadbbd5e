"""What a caption says that no viewer could see: facts from a right alt-text, a right class hint.

A fact is told where the image does not contradict it: a class needs a thing of its shape in sight,
or, where it is a class of pictures of nothing, nothing in sight. A name, a maker, a place or a date
contradicts no image.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from recaption.shapeworld.content import Shape
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.unseen import CLASSES, ClassName
from recaption.shapeworld.words.english import with_article


@dataclass(frozen=True, slots=True)
class Known:
    """Facts to tell; the empty ones are not known."""

    class_word: str = ""
    name: str = ""
    maker: str = ""
    place: str = ""
    date: str = ""

    def __bool__(self) -> bool:
        return any((self.class_word, self.name, self.maker, self.place, self.date))

    def sentence(self) -> str:
        """Return the facts: `It is a kite called Zopika, by Mira Holt, from Lisbon, dated 1950.`"""
        subject = [with_article(self.class_word)] if self.class_word else []
        subject += [f"called {self.name}"] if self.name else []
        parts = [" ".join(subject)] if subject else []
        for label, fact in (("by", self.maker), ("from", self.place), ("dated", self.date)):
            if fact:
                parts.append(f"{label} {fact}")
        return f"It is {', '.join(parts)}."


NOTHING = Known()
"""No facts."""


def hint_of(one: ClassName, has_gloss: bool) -> str:
    """Return a class name as a hint writes it: `tile` or `tile, one box of a table`."""
    return f"{one.word}, {one.gloss}" if has_gloss else one.word


def classes_of(hint: str) -> list[ClassName]:
    """Return the classes that a hint may mean: several where its word has no gloss."""
    word, _, gloss = hint.partition(", ")
    return [one for one in CLASSES.values() if one.word == word and gloss in ("", one.gloss)]


def shapes_in(scene: Scene) -> frozenset[Shape]:
    """Return the shapes that can be told."""
    sights = zip(scene.things, scene.sightings(), strict=True)
    return frozenset(thing.shape for thing, sight in sights if sight.is_named)


def is_right(hint: str, scene: Scene) -> bool:
    """Whether the image bears a class hint out."""
    shapes = shapes_in(scene)
    return any(
        not scene.things if one.shape is None else one.shape in shapes for one in classes_of(hint)
    )


def believed(scene: Scene, alt_facts: Known, class_hints: Sequence[str]) -> Known:
    """Return what a caption of a scene should tell of the facts in its hints."""
    words = [hint for hint in (*class_hints, alt_facts.class_word) if hint]
    right = [hint.partition(", ")[0] for hint in words if is_right(hint, scene)]
    return Known(
        class_word=right[0] if right else "",
        name=alt_facts.name,
        maker=alt_facts.maker,
        place=alt_facts.place,
        date=alt_facts.date,
    )


_FACT = re.compile(r"(?P<label>by|from|dated|called|an?) (?P<text>.+)")
_LABELS = {"by": "maker", "from": "place", "dated": "date", "called": "name"}


def read_sentence(text: str) -> Known | None:
    """Return the facts of a sentence that `Known.sentence` could have written, else None."""
    facts: dict[str, str] = {}
    for part in text.removeprefix("It is ").removesuffix(".").split(", "):
        match = _FACT.fullmatch(part)
        if match is None or not text.startswith("It is "):
            return None
        kind, value = _LABELS.get(match["label"], "class_word"), match["text"]
        if kind == "class_word":
            value, called, name = value.partition(" called ")
            if not value.isalpha():
                return None
            facts |= {"name": name} if called else {}
        facts[kind] = value
    return Known(**facts)
