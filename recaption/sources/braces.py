"""Brace ranges in paths, as in a shell: {00000..00999}, {0..90..10}, {a..e}, {train,val}."""

from __future__ import annotations

import re
from itertools import product

MOST_PATHS = 1_000_000

_NUMBERS = re.compile(r"(\d{1,15})\.\.(\d{1,15})(?:\.\.(\d{1,15}))?")
_LETTERS = re.compile(r"([a-z])\.\.([a-z])|([A-Z])\.\.([A-Z])")
_FORMS = "expected {00000..00999}, {0..90..10}, {a..e} or {train,val}"


def expand_braces(path: str) -> list[str]:
    """Return the paths that a path with braces stands for, in order. Raises ValueError."""
    pieces: list[list[str]] = []
    total = 1
    rest = path
    while "{" in rest:
        before, _, behind = rest.partition("{")
        inside, rest = _split_at_close(path, behind)
        options = _options(path, inside)
        pieces += [[_without_close(path, before)], options]
        total *= len(options)
        if total > MOST_PATHS:
            raise _wrong(path, f"the braces stand for more than {MOST_PATHS:,} paths")
    pieces.append([_without_close(path, rest)])
    return ["".join(parts) for parts in product(*pieces)]


def _split_at_close(path: str, text: str) -> tuple[str, str]:
    """Split behind an opening brace into what is inside and what follows the closing one."""
    depth = 1
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[:at], text[at + 1 :]
    raise _wrong(path, "a { without its }")


def _without_close(path: str, text: str) -> str:
    if "}" in text:
        raise _wrong(path, "a } without its {")
    return text


def _options(path: str, inside: str) -> list[str]:
    numbers = _NUMBERS.fullmatch(inside)
    if numbers:
        return _count(path, *numbers.groups())
    letters = _LETTERS.fullmatch(inside)
    if letters:
        first, last = sorted(filter(None, letters.groups()))
        return [chr(code) for code in range(ord(first), ord(last) + 1)]
    options = _split_commas(inside)
    if len(options) < 2:
        raise _wrong(path, f"{{{inside}}} is no range")
    return [name for option in options for name in expand_braces(option)]


def _count(path: str, first: str, last: str, step: str | None) -> list[str]:
    start, end, by = int(first), int(last), int(step or 1)
    if by == 0:
        raise _wrong(path, f"{{{first}..{last}..{step}}} has a step of 0")
    if abs(end - start) // by >= MOST_PATHS:
        raise _wrong(path, f"the braces stand for more than {MOST_PATHS:,} paths")
    is_padded = any(text.startswith("0") and len(text) > 1 for text in (first, last))
    width = max(len(first), len(last)) if is_padded else 0
    sign = 1 if end >= start else -1
    return [f"{number:0{width}d}" for number in range(start, end + sign, by * sign)]


def _split_commas(text: str) -> list[str]:
    """Split at the commas that are in no inner brace."""
    options, depth = [""], 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            options.append("")
        else:
            options[-1] += character
    return options


def _wrong(path: str, what: str) -> ValueError:
    return ValueError(f"source.path {path}: {what}; {_FORMS}")
