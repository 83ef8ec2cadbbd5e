"""Checks that hints are used and not copied, talked about or contradicted."""

from __future__ import annotations

import re
from functools import lru_cache

from recaption.safeguards.absent import mentions
from recaption.safeguards.languages import unquoted, word_count, words
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption, HintKind, Hints, Reason, Trust

_COPY_WORDS, _COPY_SHARE = 12, 0.6
"""A run of so many words, and so much of the caption, is a copy: names and titles are shorter."""

_THING = (
    r"(?:alt(?:ernative)?[- ]?texts?|captions?|class(?: (?:name|label|hint))?|file ?names?|hints?"
    r"|keywords?|labels?|metadata|tags?|text (?:found )?beside)"
)
_SURE_THING = r"(?:alt(?:ernative)?[- ]?text|class (?:name|label|hint)|file ?name|hints?|metadata)"
_SAYS = (
    r"(?:says?|said|reads?|states?|suggests?|indicates?|mentions?|describes?|tells?|identif(?:y|ies)"
    r"|calls?|implies|claims?|names?)"
)
_META = re.compile(
    # `class: crane`, at the start of a sentence or line
    rf"(?:^|[.,;!?\n(\[][ \t]*)(?:the )?(?:{_THING}|klasse|étiquette|etiqueta)(?: is)?\s?[:=]"
    # `according to the hint`, `based on the provided label`
    r"|\b(?:according to|based on|(?:as )?(?:indicated|suggested|stated|described|mentioned|given)"
    rf" (?:by|in)|per) (?:the|its|this|that)(?: \w+)? {_THING}\b(?! (?:of|on)\b)"
    rf"|\b{_SURE_THING} {_SAYS}\b"
    rf"|\b(?:provided|given|supplied) {_THING}\b"
    rf"|\b{_THING} (?:provided|given|supplied)\b"
    # `laut Hinweis`, `selon l'étiquette`, `según la etiqueta`
    r"|\blaut (?:\w+ )?(?:hinweis|label|alt-text|klasse|schlagw)|\bselon (?:l'|le |la )"
    r"(?:indice|étiquette|texte alternatif)|\bsegún (?:el |la )(?:pista|etiqueta|texto alt)"
    # Printed text may follow these, in quotes; what a hint says, in quotes or not, is meta-text.
    rf"|\b(?:the|its|this) labels? {_SAYS}\b(?! (?:out|\")| that\b|:? ?\"\")"
    r"|\b(?:labell?ed|tagged|classified|categori[sz]ed) as\b(?! ?\"\")",
)

_CAPITALS = re.compile(r"(?<=[a-z:] )[A-Z]{2,}\b(?: [A-Z]{2,}\b)*")


def alt_text(caption: Caption, asked: Asked) -> Verdict:
    """Find a caption that is its alt-text, word by word.

    The score is the share of the caption's words in the longest run that is the alt-text's too.
    """
    told, given = words(caption.text), words(asked.hints.alt_text)
    if not told or not given:
        return Verdict("copied.alt_text")
    run = longest_run(told, given)
    size, share = word_count(run), word_count(run) / word_count(told)
    if size < _COPY_WORDS or share < _COPY_SHARE:
        return Verdict("copied.alt_text", score=share)
    message = f"{size:g} words in a row, {share:.0%} of the caption, are the alt-text's"
    return Verdict("copied.alt_text", Reason.COPIED_ALT_TEXT, message, share)


def longest_run(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    """Return the longest run of words that two texts have in common, the first of several.

    A suffix automaton of `b` (Blumer et al. 1985) reads `a` once: the time is that of both texts'
    lengths, and not of their product, whatever they repeat.
    """
    runs = _Runs(b)
    end = best = state = size = 0
    for i, word in enumerate(a):
        while state and word not in runs.steps[state]:
            state = runs.shorter[state]
            size = runs.longest[state]
        if word in runs.steps[state]:
            state, size = runs.steps[state][word], size + 1
        if size > best:
            end, best = i + 1, size
    return a[end - best : end]


class _Runs:
    """All runs of words of a text, as an automaton: `steps` from each state, state 0 at first."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.steps: list[dict[str, int]] = [{}]
        self.shorter = [-1]  # the state of the longest of a state's runs' ends that is elsewhere
        self.longest = [0]
        last = 0
        for word in words:
            last = self._add(word, last)

    def _state(self, steps: dict[str, int], shorter: int, longest: int) -> int:
        self.steps.append(steps)
        self.shorter.append(shorter)
        self.longest.append(longest)
        return len(self.steps) - 1

    def _add(self, word: str, last: int) -> int:
        new, at = self._state({}, 0, self.longest[last] + 1), last
        while at >= 0 and word not in self.steps[at]:
            self.steps[at][word] = new
            at = self.shorter[at]
        if at < 0:
            return new
        there = self.steps[at][word]
        if self.longest[there] == self.longest[at] + 1:
            self.shorter[new] = there
            return new
        copy = self._state(dict(self.steps[there]), self.shorter[there], self.longest[at] + 1)
        while at >= 0 and self.steps[at].get(word) == there:
            self.steps[at][word] = copy
            at = self.shorter[at]
        self.shorter[there] = self.shorter[new] = copy
        return new


def meta_text(caption: Caption, asked: Asked) -> Verdict:
    """Find talk about the hints themselves: `class: crane`, `according to the label`.

    What is printed in the image may be quoted; a hint in quotes is still a hint.
    """
    match = _META.search(_without_printed(caption.text, asked.hints))
    if match is None:
        return Verdict("copied.meta_text")
    message = f"talks about its hints: {' '.join(match[0].split())[:80]}"
    return Verdict("copied.meta_text", Reason.META_TEXT, message)


def _without_printed(text: str, hints: Hints) -> str:
    """Blank out quotes and words in capitals, but those of a class name or a label; lower case."""
    plain = text.replace("’", "'")
    named = (*hints.class_names, *hints.texts(HintKind.LABEL))
    for name in filter(None, dict.fromkeys(map(_short, named))):
        plain = _in_quotes(name).sub(name.casefold().replace("\\", r"\\"), plain)
    return unquoted(_CAPITALS.sub('""', plain)).casefold()


@lru_cache(maxsize=4096)
def _in_quotes(name: str) -> re.Pattern[str]:
    return re.compile(rf"[\"'“‘]?\b{re.escape(name)}\b[.,]?[\"'”’]?", re.IGNORECASE)


def _short(name: str) -> str:
    """Return a class name without its gloss: `crane, a bird` and `crane (bird)` are cranes."""
    return re.split(r"[,(]", name, maxsplit=1)[0].strip()


def class_contradicted(caption: Caption, asked: Asked) -> Verdict:
    """Find a caption that only mentions a verified class to deny it."""
    if asked.hints.class_trust is Trust.HIGH:
        for name in asked.hints.class_names:
            found = [denied for after, denied in _class_mentions(caption.text, _short(name))]
            if found and all(found):
                message = f"denies the verified class {_short(name)}"
                return Verdict("copied.class_contradicted", Reason.CLASS_CONTRADICTED, message)
    return Verdict("copied.class_contradicted")


_NAME_ENDS = re.compile(
    r"$|[,)\"]| (?:and|are|as|at|be|but|can|cannot|could|for|here|in|is|nor|on|or|seems?|that|there"
    r"|to|visible|was|which|with|within)\b"
)


def _class_mentions(text: str, name: str) -> list[tuple[str, bool]]:
    """Return the mentions that are surely of the class: `no crane`, not `no crane operator`."""
    return [one for one in mentions(text, name) if not one[1] or _NAME_ENDS.match(one[0])]
