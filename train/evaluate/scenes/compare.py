"""What a caption claims against what a picture holds: the exact score.

A claimed thing counts as found by shape if the picture holds as many things of that shape as are
claimed; by colour likewise; by both on one thing. So a picture whose colours are right but on the
wrong shapes is right by shape and by colour and wrong by both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from recaption.shapeworld.content import Shape
from recaption.shapeworld.drawing.geometry import MARGIN, Relation
from recaption.shapeworld.estimate import Estimate
from recaption.shapeworld.reading.claims import Reading
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.score import Sums
from train.evaluate.scenes.prompts import SIDES
from train.evaluate.scenes.recogniser.reading import Found

Look = tuple[str, Shape]
"""Colour and shape."""

FIGURES = ("shape", "colour", "shape+colour", "count", "relation", "all")
"""Of claimed things: found by shape, by colour, by both on one thing. Of pictures: with as many
things as claimed. Of relations claimed: true. Of pictures: with all of these right."""

LEAST_DISTANCE = MARGIN / 2
"""Of a thing left of or above another, in sides of the picture: the rule of the world asks for
`MARGIN`, half of it allows for how exactly a place is recognised."""

_Right = tuple[float, int]
"""How many are right, of how many."""


@dataclass(frozen=True, slots=True)
class Relating:
    """A claim that a thing of one look lies left of or above one of another look."""

    first: Look
    relation: Relation
    second: Look


@dataclass(frozen=True, slots=True)
class Claims:
    """The things that a caption says are there, one entry each, and how they lie."""

    looks: tuple[Look, ...]
    relations: tuple[Relating, ...] = ()


def claims_of(caption: str) -> Claims:
    """Return what a caption claims. Raises ValueError for one that is not of the world's words."""
    reading = parse(caption)
    if reading.unknown:
        raise ValueError(
            f"got the caption {caption!r}, in which {', '.join(reading.unknown)!r} means nothing"
            " here; expected a caption of rendered scenes"
        )
    return claims_in(reading)


def claims_in(reading: Reading) -> Claims:
    """Return the claims on things and their places that were read in a caption."""
    mentions = reading.mentions
    return Claims(
        looks=tuple(one.look for one in mentions for _ in range(one.count)),
        relations=tuple(
            Relating(mentions[told.first].look, told.relation, mentions[told.second].look)
            for told in reading.relations
            if told.relation in SIDES
        ),
    )


def score_found(found: Iterable[Sequence[Found]], captions: Iterable[str]) -> dict[str, Estimate]:
    """Return the figures of pictures of which this was found, with their 95% intervals."""
    sums = Sums()
    for number, (things, caption) in enumerate(zip(found, captions, strict=True)):
        claims = claims_of(caption)
        related = [is_related(one, things) for one in claims.relations]
        _add(sums, number, compare(claims, [thing.look for thing in things], related))
    return estimates_of(sums)


def compare(
    claims: Claims, looks: Sequence[Look], related: Sequence[bool]
) -> Iterator[tuple[str, _Right]]:
    """Yield each figure: how many are right of how many claimed.

    `looks` are those of the things that are there; `related` says of each relation if it is true.
    """
    count = len(claims.looks)
    found = {
        "shape": _shared((look[1] for look in claims.looks), (look[1] for look in looks)),
        "colour": _shared((look[0] for look in claims.looks), (look[0] for look in looks)),
        "shape+colour": _shared(claims.looks, looks),
    }
    for figure, right in found.items():
        yield figure, (right, count)
    yield "count", (len(looks) == count, 1)
    yield "relation", (sum(related), len(related))
    is_right = found["shape+colour"] == count == len(looks) and all(related)
    yield "all", (is_right, 1)


def _shared(claimed: Iterable[object], there: Iterable[object]) -> int:
    """Return how many of what is claimed is there, each answering for one claim."""
    return (Counter(claimed) & Counter(there)).total()


def is_related(claim: Relating, things: Sequence[Found]) -> bool:
    """Tell whether two things of these looks lie as claimed."""
    firsts = [thing for thing in things if thing.look == claim.first]
    seconds = [thing for thing in things if thing.look == claim.second]
    return any(
        _distance(first, second, claim.relation) >= LEAST_DISTANCE
        for first in firsts
        for second in seconds
        if first is not second
    )


def _distance(first: Found, second: Found, relation: Relation) -> float:
    is_across = relation is Relation.LEFT_OF
    return second.x - first.x if is_across else second.y - first.y


def _add(sums: Sums, number: int, figures: Iterator[tuple[str, _Right]]) -> None:
    for figure, (right, of) in figures:
        sums.add(figure, str(number), right, of)


def estimates_of(sums: Sums) -> dict[str, Estimate]:
    """Return the figures of which there is at least one claim."""
    found = {figure: sums.estimate(figure) for figure in FIGURES}
    return {figure: estimate for figure, estimate in found.items() if estimate is not None}
