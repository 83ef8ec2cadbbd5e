"""Boxes put into words: `3 dogs`, `a dog at the left`, `a group of dogs`, `a picture of a dog`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_MOST = 12  # phrases an image; the largest things come first
_MIDDLE = (0.37, 0.63)  # of the image's width and height
_EVERYWHERE = 0.5  # share of the image's area from which a box has no place

# Of the 600 classes that have boxes: plurals of another make, and nouns that are not counted.
_PLURALS = {
    "child": "children",
    "foot": "feet",
    "goose": "geese",
    "knife": "knives",
    "mouse": "mice",
    "person": "people",
    "scarf": "scarves",
    "shelf": "shelves",
    **{noun: noun for noun in "aircraft deer fish goldfish jellyfish sheep shellfish".split()},
    **{noun: noun for noun in "shrimp squid starfish watercraft".split()},
}
_UNCOUNTED = frozenset(
    "asparagus beer bread broccoli cabinetry care cattle cheese clothing coffee cream dairy dice"
    " equipment food footwear furniture guacamole hair juice kitchenware lavender milk paper pasta"
    " perfume popcorn powder seafood spray sushi swimwear tableware tape tea wine".split()
)
_SINGULAR_IN_S = re.compile(r"(?:ss|us|is|eros|lens|gas)$")
_PROPER = re.compile(r".\S*[A-Z0-9]")  # TV: its first letter stays as it is
_REST = re.compile(r" of |,| \(")
_AN = re.compile(r"[aeio]|u(?!ni|ku|se|te|ti)|ho(?:ur|nest)")


@dataclass(frozen=True, slots=True)
class Box:
    """What a box frames; its sides are shares of the image's width and height."""

    name: str
    left: float
    right: float
    top: float
    bottom: float
    is_group: bool = False
    is_depiction: bool = False

    @property
    def area(self) -> float:
        """Share of the image's area; 0 for sides that cannot be."""
        sides = (self.left, self.right, self.top, self.bottom)
        width, height = self.right - self.left, self.bottom - self.top
        is_inside = all(-0.01 <= side <= 1.01 for side in sides)  # NaN is not
        return width * height if is_inside and width > 0 and height > 0 else 0.0


def describe(boxes: Iterable[Box]) -> list[str]:
    """Return a phrase for each kind of thing that the boxes frame, the largest first."""
    kinds: dict[tuple[str, bool, bool], list[Box]] = {}
    for box in boxes:
        kinds.setdefault((box.name, box.is_group, box.is_depiction), []).append(box)
    by_area = sorted(kinds.values(), key=lambda alike: -sum(box.area for box in alike))
    return [_phrase(alike) for alike in by_area[:_MOST]]


def _phrase(alike: list[Box]) -> str:
    """Return the phrase for boxes of one kind."""
    first, count = alike[0], len(alike)
    singular, plural = _forms(first.name)
    one, many = _with_article(singular) if singular else plural, f"{count} {plural}"
    if first.is_group:
        one, many = f"a group of {plural}", f"{count} groups of {plural}"
    if first.is_depiction:
        one, many = f"a picture of {one}", f"{count} pictures of {plural}"
    elif not singular and not first.is_group:
        many = f"{plural} in {count} places"
    return many if count > 1 else " ".join(filter(None, (one, _place(first))))


def _forms(name: str) -> tuple[str, str]:
    """Return a class's name in the singular, "" where it has none, and in the plural.

    What follows a comma, a bracket, ` of ` stays as it is: `chests of drawers`, `bats (animal)`.
    """
    lower = name if _PROPER.match(name) else name[:1].lower() + name[1:]
    end = found.start() if (found := _REST.search(lower)) else len(lower)
    at = max(lower.rfind(sign, 0, end) for sign in " -") + 1
    noun = lower[at:end]
    if noun in _UNCOUNTED or (noun.endswith("s") and not _SINGULAR_IN_S.search(noun)):
        return "", lower
    return lower, f"{lower[:at]}{_plural(noun)}{lower[end:]}"


def _plural(noun: str) -> str:
    if noun in _PLURALS:
        return _PLURALS[noun]
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    if re.search(r"(?<!hu)man$", noun):
        return f"{noun[:-3]}men"
    is_hissed = noun.endswith(("s", "x", "z", "ch", "sh")) or noun in ("potato", "tomato", "mango")
    return f"{noun}es" if is_hissed else f"{noun}s"


def _with_article(noun: str) -> str:
    return f"{'an' if _AN.match(noun) else 'a'} {noun}"


def _place(box: Box) -> str:
    """Return where the middle of a box is, "" for one without sides or nearly everywhere."""
    if not 0 < box.area < _EVERYWHERE:
        return ""
    across = _third((box.left + box.right) / 2, "left", "right")
    down = _third((box.top + box.bottom) / 2, "top", "bottom")
    side = " ".join(filter(None, (down, across)))
    return f"at the {side}" if side else "in the middle"


def _third(at: float, near: str, far: str) -> str:
    return near if at < _MIDDLE[0] else far if at > _MIDDLE[1] else ""
