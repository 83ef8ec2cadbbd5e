"""Checks of a caption's form, apart from what it says."""

from __future__ import annotations

import re
from operator import eq

from recaption.safeguards.languages import misfit, unquoted, word_count, words
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption, Hints, Reason

WORD_RANGES: dict[str, tuple[int, int]] = {
    "short": (2, 60),
    "dense": (4, 400),
    "attributes": (3, 200),
    "spatial": (4, 300),
}
"""Fewest and most words of a style; of a picture of nothing four words can be all there is."""
_ANY_RANGE = (1, 1000)

_LEAK_WORDS = 8
_LOOP_SHARE = 0.3
_MOST_WORDS = 2000  # of which loops are looked for
_TAGS = "class|objects|labels|attributes|absent|alt|alt_text|tags|context|caption|facts|claim"


def empty(caption: Caption, asked: Asked) -> Verdict:
    """Find a caption without a letter, digit or symbol in it."""
    if any(c.isprintable() and not c.isspace() for c in caption.text):
        return Verdict("form.empty")
    ended = f"the model ended after {caption.caption_tokens} tokens with no text"
    message = f"{ended} (finish reason: {caption.finish_reason or 'not told'})"
    if caption.finish_reason == "length":
        message += "; raise sampling.max_tokens: all of them went into what is not the caption"
    elif caption.finish_reason == "content_filter":
        message += "; the server's content filter took it"
    return Verdict("form.empty", Reason.EMPTY_CAPTION, message)


def cut_off(caption: Caption, asked: Asked) -> Verdict:
    """Find a caption that the token limit ended; one that merely lacks a full stop is whole."""
    if caption.finish_reason != "length":
        return Verdict("form.cut_off")
    message = f"cut off at the limit of {caption.caption_tokens} tokens"
    return Verdict("form.cut_off", Reason.CUT_OFF, message)


_CHARACTER_LOOP = re.compile(r"(\S{1,10}?)\1{11,}")


def repetition(caption: Caption, asked: Asked) -> Verdict:
    """Find a text that runs in a loop, or says much of what it says again.

    The score is the share of the text that repeats what stands before it.
    """
    found = words(caption.text)[:_MOST_WORDS]
    looped, said = _looped(found), _said_again(caption.text)
    characters = sum(len(m[0]) for m in _CHARACTER_LOOP.finditer(caption.text))
    by_words = max(len(looped), said) / max(len(found), 1)
    score = min(1.0, max(by_words, characters / max(len(caption.text), 1)))
    if looped or characters or score >= _LOOP_SHARE:
        message = f"{score:.0%} of the text repeats what stands before it"
        return Verdict("form.repetition", Reason.REPETITION, message, score)
    return Verdict("form.repetition", score=score)


def _looped(found: tuple[str, ...]) -> set[int]:
    """Return the places of words in loops: the same phrase again and again, back to back.

    One word has to come five times, two or three four times, a longer phrase three times.
    """
    places: set[int] = set()
    for period in range(1, min(60, len(found) // 3) + 1):
        least = (4 if period == 1 else 3 if period <= 3 else 2) * period
        if sum(map(eq, found[period:], found)) < least:
            continue
        run = 0
        for i in range(period, len(found) + 1):
            if i < len(found) and found[i] == found[i - period]:
                run += 1
                continue
            if run >= least:
                places.update(range(i - run, i))
            run = 0
    return places


def _said_again(text: str) -> int:
    """Count the words of sentences that were said before."""
    seen: set[tuple[str, ...]] = set()
    count = 0
    for sentence in re.split(r"[.!?。！？\n]+", text):
        found = words(sentence)
        count += len(found) if found in seen else 0
        seen.add(found)
    return count


_SELF = (
    r"(?:see|view|access|analy[sz]e|describe|assist|help|identify|provide|process|fulfil|comply)"
)
_REFUSAL = re.compile(
    r"(?:^|[.!?\n][ \t]*)(?:i(?:'m| am)(?: very| so| really)? sorry|sorry,? (?:but )?i|my apologies"
    r"|i apologi[sz]e|unfortunately, i|es tut mir leid|je suis désolée?|lo siento|mi dispiace"
    r"|desculpe)\b"
    r"|\bi(?: can ?not|'m unable to| can't| could not| couldn't| won't| will not| am unable to"
    r"|'m not able to| am not able to| do not have the ability to| don't have the ability to)"
    rf"(?: \w+ly)? (?:{_SELF}|do|answer|determine|generate|create|write|engage|continue|make|tell)"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model|virtual assistant)\b"
    r"|\bi(?:'m| am) (?:just )?an? (?:ai|language model)\b"
    r"|\bno image (?:is|was|has been) (?:attached|provided|given|uploaded)"
    r"|\bplease (?:provide|upload|share|attach) (?:an?|the|your) (?:image|picture|photo)"
    r"|\bals (?:ki|sprachmodell)\b|\bje ne peux pas\b|\bno puedo (?:ver|ayudar|describir)\b"
    r"|抱歉|对不起|對不起|我无法|我無法|我不能|申し訳|できません|죄송|извините|я не могу"
)


def refusal(caption: Caption, asked: Asked) -> Verdict:
    """Find a model that declines to describe, or speaks of itself; a sign may say sorry."""
    match = _REFUSAL.search(_lowered(unquoted(caption.text)))
    if match is None:
        return Verdict("form.refusal")
    return Verdict("form.refusal", Reason.REFUSAL, f"the model speaks of itself: {match[0]}")


def _lowered(text: str) -> str:
    return text.replace("’", "'").casefold()


_PICTURE = r"(?:image|picture|photo|photograph|scene)"
_SHOWS = (
    r"(?:(?:clearly |prominently )?(?:shows|depicts|displays|features|captures|presents|portrays"
    r"|showcases|contains|consists of|is of|conveys|appears to (?:be|show))|is showing)"
)
_BOILERPLATE = re.compile(
    r"(?:^|[.!?:\n][ \t]*)(?:"
    rf"(?:the|this|your)(?: \w+)? {_PICTURE} {_SHOWS}\b"
    r"|(?:this|it) is an? (?:\w+ )?(?:image|picture) (?:of|showing|depicting|that)\b"
    rf"|(?:an? |the )(?:image|picture) (?:of|showing|depicting)\b|in (?:the|this) {_PICTURE}\b"
    rf"|(?:sure|certainly|of course|absolutely)[!,.]|here(?:'s| is) (?:an?|the|your) (?:\w+ )?"
    r"(?:description|caption)|(?:image )?(?:caption|description) ?:|let me (?:know|describe)"
    r"|i (?:can )?see\b|i hope this|(?:in summary|in conclusion|overall),"
    r"|das bild zeigt|auf dem (?:bild|foto)|dieses bild zeigt|l'image (?:montre|représente)"
    r"|sur (?:l'|cette )image|la imagen muestra|en la imagen|l'immagine mostra|a imagem mostra"
    r"|这张图片|這張圖片|图片(?:中|显示|展示)|この画像)"
    r"|\b(?:does not|doesn't) (?:contain|include) any (?:imaginary|fictional|imagined|invented)"
    r"|\bany questions or need|\bfeel free to ask"
)
_MOOD = re.compile(
    r"(?:^|[.!?:\n][ \t]*)the (?:overall|general) \w+(?: and \w+)?(?: of [^.]{0,80})? (?:is|are)\b"
)


def boilerplate(caption: Caption, asked: Asked) -> Verdict:
    """Find phrases around a description that say nothing; the score is how many.

    That it is a watercolour or a grey photo says something. Style `attributes` asks for the mood.
    """
    text = _lowered(unquoted(caption.text.strip()))
    found = [match[0].strip(" .!?:\n") for match in _BOILERPLATE.finditer(text)]
    if asked.style != "attributes":
        found += [match[0].strip(" .!?:\n") for match in _MOOD.finditer(text)]
    if not found:
        return Verdict("form.boilerplate", score=0.0)
    message = f"says nothing: {'; '.join(found[:3])}"
    return Verdict("form.boilerplate", Reason.BOILERPLATE, message, float(len(found)))


_CHAT_TOKEN = re.compile(
    r"<\s{0,9}[|｜][^<>\n]{0,40}>|<[^<>\n]{0,40}[|｜]\s{0,9}>|<</?SYS>>|\[\|/?\w+\|\]|\|[A-Z]{4,}\|"
    r"|\[/?(?:INST|IMG|IMG_END|IMG_BREAK|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|THINK"
    r"|SEP|CLS|PAD|UNK|MASK|BOS|EOS|g?s?MASK)\]|(?m:^(?:USER|ASSISTANT|user|assistant)\s*(?::|$))"
)
_TAG = re.compile(r"</?[a-zA-Z][\w:.-]*(?:\s[^<>]*)?/?>|<!--|&(?:[a-z]{2,8}|#x?[0-9a-fA-F]+);")
_MARKDOWN = re.compile(
    r"(?m)^ {0,3}#{1,6}[ \t]+\S|\*\*[^*\n]+\*\*|(?<!\w)__[^_\n]+__(?!\w)|^[ \t]*[-*•+][ \t]+\S|```"
    r"|^[ \t]*\d{1,2}[.)][ \t].*\n+[ \t]*\d{1,2}[.)][ \t]|\[[^\]\n]{0,200}\]\((?:https?:|/|#)"
    r"|^[ \t]*\|.*\|[ \t]*$"
    r"|^[ \t]*(?:-{3,}|={3,}|\*{3,})[ \t]*$|\\boxed\{"
)
_JSON = re.compile(
    r"^\s*(?:\{\s*(?:[\"'\w]+\s*:|\}\s*$)|\[\s*(?:[\"{\[]|\]\s*$))|[{,]\s*\"\w+\"\s*:"
)


def markup(caption: Caption, asked: Asked) -> Verdict:
    """Find chat tokens, markdown, HTML and JSON where plain text was asked for."""
    text = caption.text
    kinds = {
        "a chat token": _CHAT_TOKEN.search(text),
        "a tag": _TAG.search(unquoted(text)),
        "markdown": _MARKDOWN.search(text),
        "JSON": _JSON.search(text),
    }
    found = [f"{kind} {' '.join(match[0].split())[:40]}" for kind, match in kinds.items() if match]
    if not found:
        return Verdict("form.markup")
    return Verdict("form.markup", Reason.MARKUP, f"contains {', '.join(found)}")


_FENCED = re.compile(r"<(\w+)>.*?</\1>", re.DOTALL)
_FENCE_TAG = re.compile(rf"[<‹]\s{{0,9}}/?\s{{0,9}}(?:{_TAGS})\b[^<>‹›]{{0,20}}[>›]", re.IGNORECASE)


def prompt_leak(caption: Caption, asked: Asked) -> Verdict:
    """Find the prompt's own words, eight in a row, or one of its fences.

    What stands in the fences is the hints' and not the prompt's.
    """
    if (tag := _FENCE_TAG.search(caption.text)) is not None:
        return Verdict("form.prompt_leak", Reason.PROMPT_LEAK, f"contains the fence {tag[0]}")
    instructions = [run for part in _split_fences(asked.prompt) for run in _runs(words(part))]
    hinted = {run for text in _hint_texts(asked.hints) for run in _runs(words(text))}
    leaked = set(_runs(words(caption.text))) & (set(instructions) - hinted)
    if not leaked:
        return Verdict("form.prompt_leak")
    first = next(run for run in instructions if run in leaked)
    return Verdict("form.prompt_leak", Reason.PROMPT_LEAK, f"repeats the prompt: {' '.join(first)}")


def _split_fences(prompt: str) -> list[str]:
    return _FENCED.sub("\x00", prompt).split("\x00")


def _runs(found: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return every run of as many words as make a leak."""
    return [found[i : i + _LEAK_WORDS] for i in range(len(found) - _LEAK_WORDS + 1)]


def _hint_texts(hints: Hints) -> list[str]:
    return [hints.alt_text, *hints.class_names, *(hint.text for hint in hints.others)]


def length(caption: Caption, asked: Asked) -> Verdict:
    """Compare a caption with the range of its style; the score is its number of words."""
    count = word_count(words(caption.text))
    fewest, most = WORD_RANGES.get(asked.style, _ANY_RANGE)
    if count and fewest <= max(count, 1) <= most:
        return Verdict("form.length", score=count)
    reason = Reason.TOO_LONG if count > most else Reason.TOO_SHORT
    message = f"got {count:g} words, expected {fewest} to {most}"
    return Verdict("form.length", reason, message, count)


def language(caption: Caption, asked: Asked) -> Verdict:
    """Find a caption in another language than was asked for; names may be in any."""
    why = misfit(caption.text, asked.language)
    if why is None:
        return Verdict("form.language")
    return Verdict("form.language", Reason.WRONG_LANGUAGE, why)
