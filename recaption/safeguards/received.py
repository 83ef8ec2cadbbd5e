"""What an engine gave, made fit to be looked at and kept: every caption of every engine passes.

A model, and more so an endpoint, may answer anything: text that drives a terminal, a text without
an end, marks piled on one letter for which Unicode's normal forms take the square of their number,
counts that no column holds. What stands here is cheap; the checks may then rely on it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from recaption.sample import Caption, Reason, Rejection, Stage
from recaption.text import printable, without_controls

MOST_CHARS = 16_384
"""Of a caption that is looked at: 1,000 words, which no style may exceed, have about 6,000."""

_MOST_MARKS = 30  # on one letter; no language needs more (Unicode UAX #15, stream-safe text)
_MOST_COUNT = 2**31 - 1
_MOST_SEED = 2**63 - 1
_LEAST, _MOST_LOGPROB = -(2.0**128), 0.5  # of 32 bits; a chance of 1 is rounded up by some
_SHOWN_CHARS = 40


def received(caption: Caption) -> Caption:
    """Return a caption without control characters and halves of surrogate pairs.

    Of one that is too long to be looked at, only so much stays as shows that it is.
    """
    finish = printable(caption.finish_reason[:_SHOWN_CHARS])
    if len(caption.text) > MOST_CHARS:
        return replace(caption, text=caption.text[: MOST_CHARS + 1], finish_reason=finish)
    text = without_controls(caption.text)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    if text == caption.text and finish == caption.finish_reason:
        return caption
    return replace(caption, text=text, finish_reason=finish)


def fault_of(caption: Caption) -> Rejection | None:
    """Return why a received caption can be neither looked at nor kept, None where it can."""
    return _fault_of_text(caption.text) or _fault_of_numbers(caption)


def holds_seed(seed: object) -> bool:
    """Whether this is a seed that a request may have."""
    return type(seed) is int and abs(seed) <= _MOST_SEED


def _fault_of_text(text: str) -> Rejection | None:
    is_piled = not text.isascii() and _has_pile(text)
    if is_piled:
        message = f"contains more than {_MOST_MARKS} combining marks in a row"
        return Rejection(Stage.CHECK, Reason.MARKUP, message)
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text[: MOST_CHARS + 1])
    if max(len(text), len(plain)) > MOST_CHARS:
        message = f"more than {MOST_CHARS:,} characters, too many to be looked at"
        return Rejection(Stage.CHECK, Reason.TOO_LONG, message)
    return None


def _fault_of_numbers(caption: Caption) -> Rejection | None:
    for name in ("prompt_tokens", "caption_tokens"):
        count = getattr(caption, name)
        if type(count) is not int or not 0 <= count <= _MOST_COUNT:
            return _impossible(name, count, "a whole number of 32 bits")
    if not holds_seed(caption.seed):
        return _impossible("seed", caption.seed, "a whole number of 64 bits")
    mean = caption.mean_logprob
    if mean is not None and not (isinstance(mean, (int, float)) and _LEAST < mean <= _MOST_LOGPROB):
        return _impossible("mean_logprob", mean, "a number up to 0, or nothing")
    return None


def _impossible(name: str, got: object, wanted: str) -> Rejection:
    # To write a whole number of many digits takes the square of them, and may raise.
    is_long = isinstance(got, int) and got.bit_length() > 64
    said = "a number of more than 64 bits" if is_long else printable(repr(got))[:_SHOWN_CHARS]
    message = f"the engine gave {name} {said}, expected {wanted}"
    return Rejection(Stage.ENGINE, Reason.REQUEST_FAILED, message)


def _has_pile(text: str) -> bool:
    """Whether more marks stand in a row than any language puts on a letter."""
    run = 0
    for char in text:
        run = run + 1 if char > "\u02ff" and unicodedata.combining(char) else 0
        if run > _MOST_MARKS:
            return True
    return False
