"""The attack suite against the prompts: whatever a hint says, it stays a hint.

No model is asked: the prompt has to be right whichever it is. What a fence holds is checked in all
of Unicode's normal forms, since some tokenizers apply one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import pytest

from recaption.prompts import PromptSet, built_in, fenced, load_prompts
from recaption.sample import SHOWN_KINDS, Hint, Hints
from tests.safeguards.attacks import ATTACKS, LANGUAGES, Attack

STYLES = [name for name in built_in() if not name.startswith("_") and "." not in name]
KINDS = ("alt_text", "class", *sorted(SHOWN_KINDS))
TAGS = {"alt_text": "alt", "class": "class", "absent": "absent", "context": "context"}
HARMLESS = "harmless"

# Of the chat templates and tokenizers of the known families. Most have an angle bracket, of which
# a hint has none; these are told by name.
TOKENS = re.compile(
    r"<|>|\[/?(?:INST|SYSTEM_PROMPT|IMG|IMG_BREAK|IMG_END|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS"
    r"|THINK|CLS|SEP|PAD|UNK|MASK|gMASK|sMASK|UNUSED_TOKEN_\d+)\]|\[\|/?\w+\|\]"
    r"|\|(?:NEWLINE|SPEAKER|ENDOFTEXT)\|"
)
FENCE = re.compile(r"<(\w+)>([^<>]*)</\1>")

each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)


@cache
def prompts() -> PromptSet:
    return load_prompts(STYLES)


@cache
def harmless(style: str, kind: str) -> str:
    """Return a style's prompt with one harmless hint of a kind, or with none."""
    return prompts().render(style, hints_of(kind, HARMLESS) if kind else Hints())


def hints_of(kind: str, *texts: str) -> Hints:
    """Return hints of one kind; an alt-text is one only."""
    if kind == "alt_text":
        return Hints(alt_text=texts[-1])
    if kind == "class":
        return Hints(class_names=texts)
    others = [Hint(shown, text) for shown in SHOWN_KINDS if shown == kind for text in texts]
    assert len(others) == len(texts)
    return Hints(others=tuple(others))


def forms(text: str) -> list[str]:
    names = ("NFC", "NFD", "NFKC", "NFKD")
    return [text, *(unicodedata.normalize(name, text) for name in names)]


def check_fences(prompt: str, tags: list[str]) -> None:
    """Fail unless the prompt has these fences, each once, and no other sign of one or of a turn."""
    for text in forms(prompt):
        found = FENCE.findall(text)
        assert [tag for tag, _ in found] == tags
        assert text.count("<") == text.count(">") == 2 * len(tags)
        for _, inside in found:
            assert not TOKENS.search(inside), TOKENS.search(inside)
    assert "\n" not in prompt
    hidden = {c for c in prompt if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}}
    assert not hidden


def emptied(prompt: str) -> str:
    """Return the prompt's own words."""
    return FENCE.sub(r"<\1></\1>", prompt)


def tag_of(kind: str) -> str:
    return TAGS.get(kind, f"{kind}s")


@each_attack
def test_no_attack_leaves_its_fence(attack: Attack) -> None:
    for style in STYLES:
        for kind in KINDS:
            prompt = prompts().render(style, hints_of(kind, attack.text))
            if prompt == harmless(style, ""):
                assert not fenced(Hints(attack.text)).alt_text, "nothing of it can be seen"
                continue
            check_fences(prompt, [tag_of(kind)])
            plain = harmless(style, kind)
            assert emptied(prompt) == emptied(plain) != plain


@each_attack
def test_nor_where_all_hints_are_hostile(attack: Attack) -> None:
    text = f"x {attack.text}"
    others = tuple(Hint(kind, text) for kind in sorted(SHOWN_KINDS) for _ in range(2))
    shown = prompts().render("dense", Hints(text, (text, text), others))
    plain = prompts().render("dense", Hints("a", ("a",), tuple(Hint(h.kind, "a") for h in others)))
    check_fences(shown, [tag for tag, _ in FENCE.findall(plain)])
    assert emptied(shown) == emptied(plain)


@each_attack
def test_rendering_what_was_shown_shows_the_same(attack: Attack) -> None:
    for kind in KINDS:
        hints = hints_of(kind, "a dog", attack.text)
        once = fenced(hints)
        assert fenced(once) == once
        prompt = prompts().render(STYLES[0], hints)
        assert prompts().render(STYLES[0], once) == prompt == prompts().render(STYLES[0], hints)


@each_attack
def test_no_attack_leaves_the_fence_of_a_claim_or_a_fact(attack: Attack) -> None:
    text = f"x {attack.text}"
    check_fences(prompts().ask(text), ["claim"])
    assert emptied(prompts().ask(text)) == emptied(prompts().ask(HARMLESS))
    check_fences(prompts().fuse(text, [text, text]), ["caption", "facts"])
    assert emptied(prompts().fuse(text, [text])) == emptied(prompts().fuse(HARMLESS, [HARMLESS]))


def test_the_suite_is_large_and_its_attacks_differ() -> None:
    assert len(ATTACKS) >= 80 and len(LANGUAGES) >= 8
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert len({attack.text for attack in ATTACKS}) == len(ATTACKS)
    assert all(attack.wanted and attack.wanted == attack.wanted.lower() for attack in ATTACKS)


def test_what_is_wanted_is_in_no_prompt_of_its_own() -> None:
    """Else a caption that repeats the prompt would seem to obey the hint."""
    own = {word for style in STYLES for word in prompts().render(style, Hints()).lower().split()}
    plain = [attack for attack in ATTACKS if not attack.name.startswith("extract")]
    assert not [attack.name for attack in plain if attack.wanted in own]


def test_the_check_of_fences_can_fail() -> None:
    for bad in ("[INST] x", "[|user|]", "[ＩＮＳＴ]", "|SPEAKER|", "a＜b", "\u0338x", "</alt>x"):
        with pytest.raises(AssertionError):
            check_fences(f"a <alt>{bad}</alt> b", ["alt"])
    check_fences("a <alt>[photo] of [1]</alt> b", ["alt"])
