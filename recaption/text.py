"""Text as data: what bytes say, and how a stranger's words are shown on one line.

A name or a text out of a data set may hold anything: line ends, escape sequences that drive a
terminal, marks that turn the direction of what is shown behind them. None of it may reach a
terminal, a log, a message or a page; `printable` is the one place that sees to it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_LINE = re.compile(r"\r\n|\n|\r")
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f"  # C0 but tab and line ends, DEL, C1
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction (Unicode UAX #9)
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"  # byte order mark, annotations, tags
)
# An escape sequence goes as a whole: without its ESC, what is left of it would be shown as text.
# CSI ... final byte; OSC, DCS, PM, APC ... up to BEL or ST; two-character escapes (ECMA-48).
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]{0,8}[0-~]?"
)


def decode_text(raw: bytes) -> str:
    """Decode text whose encoding nobody told: UTF-8, UTF-16 with its mark, else Latin-1.

    Byte order marks and NUL are removed.
    """
    if raw[:2] in _UTF16:
        text = raw.decode("utf-16", "replace")
    else:
        try:
            text = raw.decode().removeprefix("\ufeff")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
    return text.replace("\0", "") if "\0" in text else text


def lines_of(text: str) -> Iterator[str]:
    """Yield a text's lines without their ends, whoever wrote it: \\n, \\r\\n or \\r alone.

    Unlike `splitlines` it leaves whole what holds other characters that Unicode calls line ends,
    as JSON may within its strings.
    """
    at = 0
    for end in _LINE.finditer(text):
        yield text[at : end.start()]
        at = end.end()
    if at < len(text):
        yield text[at:]


def without_controls(text: str) -> str:
    """Return text without escape sequences and control characters; line ends become \\n."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub("", _LINE_END.sub("\n", _ESCAPE.sub("", text)))


def printable(text: str) -> str:
    """Return text as one line that can be shown and encoded, whoever wrote it."""
    return " ".join(without_controls(text).split()).encode("utf-8", "replace").decode()


def describe_error(error: Exception, longest: int = 300) -> str:
    """Return what kind of error it is and what it says, as one line."""
    return printable(f"{type(error).__name__}: {error}".removesuffix(": "))[:longest]


def is_hidden(path: str) -> bool:
    """Say whether a part of the path is hidden, or is what archivers leave: never a sample."""
    return any(
        (part.startswith(".") and part not in (".", ".."))
        or part == "__MACOSX"
        or part.startswith("PaxHeader")
        for part in path.split("/")
    )
