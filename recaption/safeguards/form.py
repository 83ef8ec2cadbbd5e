"""Checks of a caption's form, apart from what it says."""

from __future__ import annotations

from recaption.sample import Caption, Reason, Rejection, Stage


def empty(caption: Caption) -> Rejection | None:
    """Reject a caption without a letter, digit or symbol in it."""
    if any(c.isprintable() and not c.isspace() for c in caption.text):
        return None
    message = f"the model ended after {caption.caption_tokens} tokens with no text"
    return Rejection(Stage.CHECK, Reason.EMPTY_CAPTION, message)
