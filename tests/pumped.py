"""Texts made to keep a regular expression busy, out of the expression itself.

Whatever may be repeated in it is: behind what stands before it and alone, once and in pieces, with
an end that does not fit. Of an expression that goes back over what it has read, or that reads on
from each place, one of these shows it: its time grows with the square of the length, or faster.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_MOST = 8  # different letters that a set of letters is tried with
_POOL = (
    " \n\t0a1bZ_.-<>|#&;,:'\"@+/()[]{}!?=*x~^%$\\\u00a0\u00e9\u0416\u4e00\u2019\u201c\u201d"
    "\u00ab\u00bb\u2013\u300c\u300d\u0301\u2026\u200b\u0e01\x00\x85"
)
_WAYS = 3  # in which what leads to a repeat is made
_PIECES = (1, 12)  # how often what is repeated stands in a piece
_ENDS = ("", "\x00", "!", "x", " ")

Pump = tuple[str, str]
"""What stands before, and what is repeated."""


def pumps(pattern: re.Pattern[str]) -> list[Pump]:
    """Return what may be repeated in an expression, each with what leads there."""
    tree = re._parser.parse(pattern.pattern, pattern.flags)  # type: ignore[attr-defined]
    found = (pump for choice in range(_WAYS) for pump in _in_sequence(tree, "", choice))
    return list(dict.fromkeys(found))


def texts(pump: Pump, size: int) -> Iterator[str]:
    """Yield texts of about so many characters that repeat a pump."""
    start, body = pump
    whole = body * (size // len(body))
    for end in _ENDS:
        yield start + whole + end
    if start:
        yield whole
    for times in _PIECES:
        for end in ("", "\x00"):
            piece = start + body * times + end
            yield piece * (size // len(piece))


def _in_sequence(tree: Iterable[Any], start: str, choice: int) -> Iterator[Pump]:
    for op, arguments in tree:
        yield from _in_one(str(op), arguments, start, choice)
        start += _sample(op, arguments, choice)


def _in_one(op: str, arguments: Any, start: str, choice: int) -> Iterator[Pump]:
    if op == "BRANCH":
        for one in arguments[1]:
            yield from _in_sequence(one, start, choice)
    elif op == "SUBPATTERN":
        yield from _in_sequence(arguments[-1], start, choice)
    elif op in ("ASSERT", "ASSERT_NOT"):
        yield from _in_sequence(arguments[1], start, choice)
    elif op == "ATOMIC_GROUP":
        yield from _in_sequence(arguments, start, choice)
    elif op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        body = arguments[2]
        yield from _in_sequence(body, start, choice)
        if arguments[1] > 1:
            samples = list(dict.fromkeys(filter(None, (_of(body, k) for k in range(_MOST)))))
            yield from ((start, one) for one in samples)
            yield from ((start, samples[0] + one) for one in samples[1:])


def _of(tree: Iterable[Any], choice: int) -> str:
    return "".join(_sample(op, arguments, choice) for op, arguments in tree)


def _sample(op: Any, arguments: Any, choice: int) -> str:
    """Return the least that a node matches; `choice` picks among what it may be."""
    match str(op):
        case "LITERAL":
            return chr(arguments)
        case "NOT_LITERAL":
            return "b" if chr(arguments) == "a" else "a"
        case "ANY":
            return "a "[choice % 2]
        case "IN":
            found = [char for char in _POOL if _holds(arguments, char)] or [_some(arguments)]
            return found[choice % len(found)]
        case "BRANCH":
            return _of(arguments[1][choice % len(arguments[1])], choice)
        case "SUBPATTERN":
            return _of(arguments[-1], choice)
        case "ATOMIC_GROUP":
            return _of(arguments, choice)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _of(arguments[2], choice) * max(arguments[0], choice % 2 if arguments[1] else 0)
        case _:  # a place, a look around, a group again
            return ""


def _holds(items: list[tuple[Any, Any]], char: str) -> bool:
    is_not = str(items[0][0]) == "NEGATE"
    return is_not != any(_is_of(str(op), argument, char) for op, argument in items)


def _is_of(op: str, argument: Any, char: str) -> bool:
    if op == "LITERAL":
        return ord(char) == argument
    if op == "RANGE":
        return bool(argument[0] <= ord(char) <= argument[1])
    if op == "CATEGORY":
        name = str(argument).removeprefix("CATEGORY_")
        is_in = {
            "DIGIT": str.isdecimal,
            "SPACE": str.isspace,
            "WORD": lambda c: c.isalnum() or c == "_",
        }[name.removeprefix("NOT_")](char)
        return is_in != name.startswith("NOT_")
    return False


def _some(items: list[tuple[Any, Any]]) -> str:
    op, argument = items[0]
    return chr(argument[0] if str(op) == "RANGE" else argument)


class TooLongError(Exception):
    """It took longer than it may."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Stop what takes more of the processor's time, which no other process can make longer."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def seconds_of(work: Callable[[str], object], text: str, most: float) -> float:
    """Return the processor's time that work on a text takes; `most` where it would take longer."""
    started = time.thread_time()
    try:
        with at_most(most):
            work(text)
    except TooLongError:
        return most
    return time.thread_time() - started
