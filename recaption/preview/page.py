"""A sample in the terminal: its image, its hints, its prompts, and what became of its captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from recaption.parts import Answer, Judged, Outcome, PreparedSample
from recaption.preview.tokens import TokenCounter
from recaption.sample import Hints, Request
from recaption.storage.shown import fit_to_print

_LABEL = 9  # columns
_LONGEST = 2000  # characters of a text that somebody else wrote
_COLOURS = {Outcome.ACCEPTED: "green", Outcome.REJECTED: "red"}


def page_of(
    sample: PreparedSample, answers: Sequence[Answer], number: str, tokens: TokenCounter
) -> RenderableType:
    """Return all that a run would do with a sample, and has done where it has `answers`."""
    rows = _grid()
    for label, text in _facts(sample):
        rows.add_row(label, _text(text))
    if sample.rejection is not None:
        told = f"{sample.rejection.reason}: {sample.rejection.message}"
        rows.add_row("rejected", _text(told, "red"))
    by_style = {answer.request.style: answer for answer in answers}
    prompts = [
        part
        for request in sample.requests
        for part in _asked(sample, request, by_style.get(request.style), tokens)
    ]
    title = _text(f"{number}  {sample.sample.sample_id}", "bold")
    return Group(Rule(title, align="left", style="dim"), rows, *prompts)


def _facts(sample: PreparedSample) -> Iterator[tuple[str, str]]:
    image = sample.image
    if image is not None:
        stored = f"{image.format}, {image.original_width} x {image.original_height} pixels"
        yield "stored", f"{stored}; sha256 {image.sha256[:12]}"
        yield "sent", f"{image.width} x {image.height} pixels, {len(image.data):,} bytes"
    found, shown = sample.hints, sample.shown
    if found.alt_text:
        yield "alt-text", found.alt_text
        if shown.alt_text != found.alt_text:
            yield "", f"shown to the model as: {shown.alt_text or 'nothing'}"
    if found.class_names:
        hidden = "" if shown.class_names else " (not shown to the model)"
        yield "class", f"{'; '.join(found.class_names)}{hidden}"
    yield from _others(found, shown)
    if not (found.alt_text or found.class_names or found.others):
        yield "hints", "none"


def _others(found: Hints, shown: Hints) -> Iterator[tuple[str, str]]:
    kinds = {hint.kind for hint in shown.others}
    for hint in found.others:
        told = f"{hint.trust} trust" if hint.kind in kinds else "kept in the corpus only"
        yield str(hint.kind), f"{hint.text} ({told})"


def _asked(
    sample: PreparedSample, request: Request, answer: Answer | None, tokens: TokenCounter
) -> Iterator[RenderableType]:
    """Yield a prompt in its fence, and its captions."""
    assert sample.image is not None
    count = tokens.count(request.prompt, sample.image.data).describe()
    times = f", asked {request.n} times" if request.n > 1 else ""
    yield Panel(
        _text(request.prompt),
        box=box.SQUARE,
        title=_text(f"{request.style}: {count}{times}"),
        title_align="left",
        border_style="dim",
    )
    if answer is None:
        return
    rows = _grid()
    if answer.rejection is not None:
        rows.add_row(
            "failed", _text(f"{answer.rejection.reason}: {answer.rejection.message}", "red")
        )
    for judged in answer.judged:
        rows.add_row(*_caption(judged))
    yield rows


def _caption(judged: Judged) -> tuple[Text, Text]:
    """Return a caption under its outcome, with what the safeguards found fault with."""
    colour = _COLOURS.get(judged.outcome, "yellow")
    text = _text(judged.caption.text or "(no text)")
    faults = [f"{v.reason}: {v.message}" for v in judged.verdicts if v.reason is not None]
    if judged.rejection is not None and not faults:
        faults = [f"{judged.rejection.reason}: {judged.rejection.message}"]
    for fault in faults:
        text.append("\n").append(_text(fault, colour))
    return _text(str(judged.outcome), colour), text


def _grid() -> Table:
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=_LABEL, style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    return rows


def _text(text: str, style: str = "") -> Text:
    """Return a stranger's words as one paragraph that does nothing to a terminal."""
    shown = fit_to_print(" ".join(text.split()))
    return Text(shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…", style=style)
