"""Claims: what an English caption says, as short sentences that can be asked of its image.

A rule for each way in which captioners write, no model: sentences, lists of noun phrases, what
hangs on a noun phrase (size, pattern, place), counts, the kind of picture, printed words. What no
rule takes apart is asked as the whole sentence. What a viewer could not see (a mood, a name, a
date) is no claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

SIZES = frozenset("tiny small little medium big large huge giant tall short long wide".split())
PATTERNS = frozenset("striped dotted spotted checkered chequered plaid plain patterned".split())
_PATTERN_OF = {"stripes": "striped", "dots": "dotted", "spots": "spotted"}
_NUMBERS = "two three four five six seven eight nine ten several".split()
_MEDIA = frozenset(
    "photo photograph picture painting drawing sketch graphic illustration watercolour watercolor"
    " art cartoon rendering print collage outline".split()
)

_QUOTED = re.compile(r"[\"“]([^\"”]{1,60})[\"”]")
_SIGN = re.compile(
    r"((an?|the) )?(sign|words?|text|label|lettering|letters)? ?"
    r"(reading|saying|that (says|reads))? ?[\"“][^\"”]{1,60}[\"”]"
)
_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"”]))\s+(?=[\"“A-Z0-9])")
_OPENING = re.compile(
    r"^(there (is|are)|one (can see|sees)|(we|you) (can )?see"
    r"|(it|(the|this) (image|picture|photo)) (shows|depicts|features|has)"
    r"|in (the|this) (image|picture|photo),?( there (is|are))?)\s+",
    re.IGNORECASE,
)
_MEDIUM = re.compile(
    r"^(this is |medium: )?(?P<medium>(an? )?(piece of )?[a-z][a-z\- ]*?)"
    r"(?P<rest>(,| (with|of|showing|depicting|on)\b).*)?\Z",
    re.IGNORECASE | re.DOTALL,
)
_STATED = re.compile(r"^(the|one|both|all|an?|two|three)\b.*?\b(is|are|has|have|stands?|lies)\b")
_SIDE = (
    r"left of|right of|above|below|behind|inside|in front of|beside|next to|under|beneath|over"
    r"|on top of|between|near"
)
_RELATION = re.compile(rf"\b({_SIDE})\b|\binside it\b")
_TAIL = re.compile(
    rf" (?P<tail>(in|at|on|near|towards?|along|across|{_SIDE}) (the|a|an|its|each) .*)\Z",
    re.DOTALL,
)
_ITEM = re.compile(rf"(?:, ?(?:and )?| and )(?=(?:an?|one|{'|'.join(_NUMBERS)}|some) )")
_DETERMINER = re.compile(rf"^(?P<det>an?|one|{'|'.join(_NUMBERS)}|some) (?P<rest>.+)$")
_LABEL = re.compile(r"^(style|colou?rs?|mood|medium|lighting|tone|palette)\s*:", re.IGNORECASE)
_UNSEEN = re.compile(
    r"\b(mood|atmosphere|feeling|style|tone)\b|\b(called|named|dated|titled)\b"
    r"|\bit is (an? \w+|by|from)\b",
    re.IGNORECASE,
)
_GROUND = re.compile(
    r"(?P<ground>\ban? (?:(?!on |with |and |of |an? )[a-z\-]+ ){0,4}background\b.*)\Z",
    re.IGNORECASE | re.DOTALL,
)


class ClaimKind(StrEnum):
    """What a claim is about. A closed set."""

    OBJECT = "object"
    COUNT = "count"
    ATTRIBUTE = "attribute"
    PLACE = "place"
    RELATION = "relation"
    MEDIUM = "medium"
    GROUND = "ground"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim in a sentence of its own; `sentence` is the index of the caption's that made it."""

    kind: ClaimKind
    text: str
    sentence: int


def sentences_of(text: str) -> list[str]:
    """Split a caption into its sentences."""
    return [one.strip() for one in _SENTENCE_END.split(text.strip()) if one.strip()]


def claims_of(text: str) -> tuple[Claim, ...]:
    """Return what a caption claims, each claim once."""
    found: dict[str, Claim] = {}
    for index, sentence in enumerate(sentences_of(text)):
        # The rules know a single space only: what goes back over many takes for ever.
        for kind, claim in _of_sentence(" ".join(sentence.rstrip(".!").split())):
            whole = _as_sentence(claim)
            found.setdefault(whole.lower(), Claim(kind, whole, index))
    return tuple(found.values())


Found = Iterator[tuple[ClaimKind, str]]


def _of_sentence(sentence: str) -> Found:
    yield from ((ClaimKind.TEXT, f'the word "{word}" is printed') for word in _printed(sentence))
    plain = re.sub(r" (and|,) ?(?=on\b|$)", " ", " ".join(_SIGN.sub("", sentence).split())).strip()
    if _UNSEEN.search(plain) or (_LABEL.match(plain) and not plain.lower().startswith("medium")):
        if _GROUND.search(plain):
            yield from _ground(plain)
        return
    if _printed(sentence) and not _DETERMINER.match(plain.lower()):
        return
    if (medium := _medium(plain)) is not None:
        yield ClaimKind.MEDIUM, medium[0]
        plain = medium[1]
    yield from _seen(plain)


def _printed(sentence: str) -> list[str]:
    return _QUOTED.findall(sentence)


def _seen(plain: str) -> Found:
    """Yield the claims of what stands behind an opening: a statement, or a list of things."""
    body, count = _OPENING.subn("", plain.strip(" ,"))
    lowered = _lower_first(body)
    if not body:
        return
    listed, ground = _split_ground(lowered)
    if not count and not ground and _STATED.match(lowered):
        yield _stated(lowered)
        return
    yield from _ground(ground)
    for item in _ITEM.split(listed):
        yield from _thing(item.strip(" ,"))


def _stated(clause: str) -> tuple[ClaimKind, str]:
    """Tell a clause with a verb: how two things stand, where one is, or how it looks."""
    if _RELATION.search(clause):
        return ClaimKind.RELATION, clause
    is_place = re.search(r"\b(is|are|stands?|lies) (in|at|on|towards?|near|along) ", clause)
    return (ClaimKind.PLACE if is_place else ClaimKind.ATTRIBUTE), clause


def _medium(plain: str) -> tuple[str, str] | None:
    """Return the claim of what kind of picture it is, and the rest; None where none is told."""
    match = _MEDIUM.match(plain)
    if match is None:
        return None
    words = match["medium"].lower().split()
    head = re.sub(r"^(an?) ", "", " ".join(words)).split(" of ")[0].split(" in ")[0].split()
    is_medium = any(word in _MEDIA for word in (*head[-1:], *words))
    if not is_medium or _OPENING.match(plain) or not head:
        return None
    rest = (match["rest"] or "").lstrip(" ,")
    for word in ("with ", "of ", "showing ", "depicting "):
        rest = rest.removeprefix(word)
    article = "" if words[0] in ("a", "an") else f"{_article(words[0])} "
    is_kept = rest.startswith(("a ", "an ", "one ", "on ", *(f"{n} " for n in _NUMBERS)))
    return f"this is {article}{_join_lower(match['medium'])}", rest if is_kept else ""


def _split_ground(text: str) -> tuple[str, str]:
    """Split `a cat on a red background` into the things and the background."""
    match = _GROUND.search(text)
    if match is None:
        return text, ""
    return re.sub(r" ?\b(on|with|against|over)? ?$", "", text[: match.start()]), match["ground"]


def _ground(text: str) -> Found:
    match = _GROUND.search(text.lower())
    if match:
        yield ClaimKind.GROUND, f"this is a picture with {match['ground']}"


def _thing(item: str) -> Found:
    """Yield what a noun phrase claims: that the thing is there, its size, pattern, place."""
    match = _DETERMINER.match(item)
    if match is None:
        return
    det, rest, tail = match["det"], match["rest"], ""
    if (place := _TAIL.search(rest)) is not None:
        rest, tail = rest[: place.start()], place["tail"]
    rest, extras = _cut_extras(rest)
    words = rest.split()
    looks = [w for w in words if w in SIZES or w in PATTERNS]
    core = " ".join(w for w in words if w not in looks).rstrip(",")
    if not core:
        return
    if det in _NUMBERS or det == "some":
        yield ClaimKind.COUNT, f"there are {det} {core}"
        return
    yield ClaimKind.OBJECT, f"there is {_article(core)} {core}"
    for look in (*looks, *extras):
        yield ClaimKind.ATTRIBUTE, f"the {core} is {look}"
    if tail:
        kind = ClaimKind.RELATION if _RELATION.search(tail) else ClaimKind.PLACE
        yield kind, f"the {core} is {tail}"


def _cut_extras(rest: str) -> tuple[str, list[str]]:
    """Cut `with stripes` and participles off a noun phrase."""
    extras = [look for word, look in _PATTERN_OF.items() if f" with {word}" in rest]
    rest = re.sub(r" with (stripes|dots|spots)\b,?", "", rest)
    return re.sub(r",? (pointing|facing|looking) (up|down|left|right)\b.*$", "", rest), extras


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" else "a"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _join_lower(text: str) -> str:
    return " ".join(text.lower().split())


def _as_sentence(claim: str) -> str:
    return f"{claim[0].upper()}{' '.join(claim.split())[1:]}."
