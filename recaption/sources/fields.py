"""What a text beside an image says: JSON parsed, and of a list of captions the first."""

from __future__ import annotations

import json
import re

from recaption.notices import note
from recaption.text import decode_text

MOST_JSON = 100_000
"""Values and names above which JSON is not parsed: as Python's objects it is 25 times as large."""

_LINES = re.compile(r"\r\n?|\n")
_WRAPPED = range(40, 140)  # characters of a line of prose that an editor broke
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|&[a-z]{2,8};")
_ITEM = re.compile(r"[-*\u2022] |\d{1,2}[.)] |[A-Z][\w ]{0,30}: ")  # of a list, or `Title: ...`
_GOES_ON = frozenset(",;:-\u2013\u2014(&")
_SEPARATORS = (b",", b":", b"[", b"{")


def parse_field(name: str, raw: bytes) -> object:
    """Return the value of a text file: JSON parsed where it can be, else text.

    Of a `.txt`, `.text` or `.caption` with several lines that are captions each, as trainers of
    LoRAs have them, it is the first; of `.captions` a list. One text over several lines stays
    whole: paragraphs, markup, a list, lines that an editor broke or that go on from one another.
    """
    extension = name.rpartition(".")[2].lower()
    if extension == "json":
        return _parse_json(name, raw)
    text = decode_text(raw)
    if extension == "captions":
        return _captions(text)
    if extension == "cls" or not ("\n" in text or "\r" in text):
        return text
    lines = [line.strip() for line in _LINES.split(text.strip())]
    return text if len(lines) < 2 else _first_caption(name, text, lines)


def _parse_json(name: str, raw: bytes) -> object:
    text = decode_text(raw)
    if len(raw) > MOST_JSON and sum(map(raw.count, _SEPARATORS)) > MOST_JSON:
        note(f"JSON beside images that is not parsed: more than {MOST_JSON:,} values", name)
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _captions(text: str) -> object:
    """Return the captions of a list: a JSON list of texts, or a text's lines."""
    if text.lstrip()[:1] == "[":
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and all(isinstance(one, str) for one in found):
            return found
    return [line.strip() for line in _LINES.split(text) if line.strip()]


def _first_caption(name: str, text: str, lines: list[str]) -> str:
    """Return the first line of text whose lines are captions; all of it where it is prose."""
    if not all(lines) or _is_wrapped(lines) or _is_one_text(lines):
        return text
    note("texts of several captions, a line each: the first is the alt-text", name)
    return lines[0]


def _is_one_text(lines: list[str]) -> bool:
    """Say whether lines go on from one another: markup, a list, a sentence parted by line ends."""
    if any(_MARKUP.search(line) for line in lines) or all(map(_ITEM.match, lines[1:])):
        return True
    *full, last = lines
    goes_on = any(line[-1] in _GOES_ON for line in full) and last[-1] not in _GOES_ON
    return goes_on or (lines[0][:1].isupper() and all(line[:1].islower() for line in lines[1:]))


def _is_wrapped(lines: list[str]) -> bool:
    """Say whether a text was broken into lines of about one length, in mid-sentence."""
    *full, _ = lines
    return all(len(line) in _WRAPPED and line[-1] not in ".!?" for line in full)
