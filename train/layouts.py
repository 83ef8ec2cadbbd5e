"""Two images in one picture: halves side by side, or one above the other, under both captions.

Which images stand together depends on their window alone: each half has the next one behind it in
the window's order, the last one the first. So every image still has a row of its own, and its
partner is the same for any number of workers and after a resume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from train.pairs import Entry, Outcome, Pair, Second

_BESIDE = "On the left: {} On the right: {}"
_STACKED = "At the top: {} At the bottom: {}"
_TRUE = (Outcome.OWN, Outcome.KEPT)

Row = tuple[Entry, Pair]


def lay_out(rows: Sequence[Row], is_stacked: bool, show_whole: Callable[[int], Pair]) -> list[Row]:
    """Return a window's rows, in order, with its halves put together.

    A half for which there is no partner with a text is shown as `show_whole` of its place says.
    """
    halves = [place for place, (_, pair) in enumerate(rows) if pair.crop.is_half]
    done = list(rows)
    for turn, place in enumerate(halves):
        others = (rows[k] for k in (*halves[turn + 1 :], *halves[:turn]))
        second = next((row for row in others if row[1].choice.text), None)
        entry, pair = rows[place]
        if second is None:
            done[place] = entry, show_whole(place)
        else:
            done[place] = entry, _together(pair, second, is_stacked)
    return done


def _together(pair: Pair, second: Row, is_stacked: bool) -> Pair:
    """Return what a half is shown as beside another; without text (dropout) it stays so."""
    entry, other = second
    text = pair.choice.text
    if text:
        text = (_STACKED if is_stacked else _BESIDE).format(_ended(text), _ended(other.choice.text))
    is_true = pair.outcome in _TRUE and other.outcome in _TRUE
    return Pair(
        pair.crop,
        replace(pair.choice, text=text),
        Outcome.HALVES if is_true else Outcome.FULL,
        Second(entry, other.crop, is_stacked),
    )


def _ended(text: str) -> str:
    """Return a text that ends a sentence."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
