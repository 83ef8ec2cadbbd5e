"""Text that orders its reader about: `ignore the above`, chat tokens, roles, new tasks."""

from __future__ import annotations

import re

_I = re.IGNORECASE | re.MULTILINE
# One of these is in all that _INSTRUCTION matches: to look for them first is many times faster.
_SIGNS = (
    *"ignor disregard forget overrid bypass instead describ caption mention look answer".split(),
    *"reply respond output pretend claim repeat assistant system instruction prompt".split(),
    *("write ", "say ", "tell ", "you are", "now on", "act as", "developer", "user", "human"),
    *("new task", "new order", "the description", "state ", "print the", "print '", 'print "'),
    *("print only", "print that", "vergiss", "игнор", "забуд", "忽略", "无视", "無視", "忘记"),
)
_START = r"(?:^|[.!?:;>|\n]\s?|\b(?:please|then|now|instead|must|should|and)\s)['\"“‘(]?"
_PICTURE = r"(?:image|picture|photo(?:graph)?|scene|caption|alt[- _]?text|prompt)"
_ROLE = r"(?:you|ignore|describe|answer|reply|respond|write|say|never|always|do not|don't)"
_INSTRUCTION = re.compile(
    # `ignore the above`, `disregard all previous instructions`
    r"\b(?:ignore|disregard|forget|override|bypass)\s(?:(?:all|any|everything|of|the|your|my|these"
    r"|those|what(?:ever)? (?:is|was))\s)*(?:above\b(?!\s\w+ing)|(?:previous|prior|preceding"
    rf"|earlier|foregoing|system|following|given)\s(?:\w+\s)?(?:instruction|prompt|message|text|rule|task"
    rf"|order|command|context|direction|guideline|hint)|instructions?\b|prompts?\b|{_PICTURE}\b)"
    # `describe a green square instead`, `do not describe this image`
    rf"|{_START}(?:describe|caption|draw|show|write|say|output)\b[^.!?\n]{{1,80}}\binstead\b"
    rf"|\b(?:do not|don't|never|stop)\s(?:describ|caption|mention|look(?:ing)? at)\w*\s"
    rf"(?:(?:this|the|an?y?|what)\s)+{_PICTURE}"
    rf"|{_START}describe\s(?:this|the)\s{_PICTURE}\s(?:as|like|in)\b"
    # `write that`, `answer only with`, `repeat 'x' ten times`
    rf"|{_START}(?:write|say|state|answer|reply|respond|output|print|claim|pretend|tell (?:me|them"
    rf"|us|the user))\s(?:only\s|just\s|instead\s)*"
    rf"that\s(?:(?:the|this)\s{_PICTURE}\b|(?:it|there)\s(?:is|are|shows)\b|you are\b)"
    rf"|{_START}(?:answer|reply|respond|output|print)\s(?:only\s|just\s|exactly\s)*"
    r"(?:with\s['\"“‘]|as if\b|['\"“‘]|only\b|the following\b)"
    r"|" + _START + r"repeat\s(?:after me|the (?:word|phrase)|['\"“‘].{1,80}times\b)"
    # `you are now a pirate`, `from now on you`, `act as an assistant`
    r"|\byou are now\s(?:an?|the|in \w+ mode|going to|dan|called)\b(?! (?:leaving|entering))"
    r"|\byou are (?:an?|the)\s(?:\w+\s)?(?:ai|assistant|chat ?bot|language model|captioner)\b"
    r"|\bfrom now on,?\s(?:you|answer|respond|reply|always|only)\b"
    r"|" + _START + r"act as (?:an?|if you)\s(?:\w+\s)?(?:ai|assistant|bot|pirate|model|expert)\b"
    rf"|\b(?:system|developer|assistant|user|human)\s?:\s?['\"]?{_ROLE}\b"
    r"|\bnew (?:task|instructions?|prompt|orders?|system message)\s?:"
    r"|\b(?:reveal|print|show|repeat|leak)\s(?:me\s)?(?:your|the)\s(?:system|hidden|initial)\s"
    r"(?:prompt|instruction|message)"
    rf"|\bthe (?:correct |right |only |true )?(?:caption|description|answer)"
    rf"(?: (?:of|for|to) (?:this|the) {_PICTURE})?\s(?:is|should be|must be)\s?:"
    # The same in other languages
    r"|\b(?:ignorier|vergiss)\w*\s(?:bitte\s)?(?:alle|die|das|alles|den)\s(?:vorherig|obig|bisherig"
    r"|vorangeh|vorig|anweisung)"
    r"|\bignor(?:e[rz]?|a|ad|en)\s(?:toute?s\s|todas\s|tutte\s)?(?:les|las|as|le|ce qui|lo)\s"
    r"(?:instruc|consigne|istruzion|anterior|précéd|preced)"
    r"|(?:игнорируй|забудь)(?:те)?\s(?:все|всё|предыдущ|инструкц)"
    r"|(?:忽略|无视|無視|忘记)(?:以上|上述|之前|前面|所有|先前)|(?:以上|上記|これまで)の?.{0,8}を?無視",
    _I,
)
# Marks that only a chat template writes; case counts.
_CHAT_MARK = re.compile(
    r"(?:^|\n|[>.]\s?)(?:SYSTEM|ASSISTANT|USER|HUMAN|DEVELOPER)\s?:(?=\s?\w)"
    r"|<\|[A-Za-z_]+\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
    r"|</?(?:system|user|assistant|alt|alt_text|captions?|instructions?|prompt|hints?|think|tags"
    r"|context|class|objects|labels|absent|attributes|facts)>"
    r"|(?<!#)#{2,}+\s?(?:Instructions?|System|Response|Human|Assistant|Prompt)\b\s?:?"
)


def _spaced_once(text: str) -> str:
    """Return a text with one space or line end where there are many.

    The expressions know one only: what reads on over many from each of them takes for ever.
    """
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def orders(text: str) -> bool:
    """Whether a text orders its reader about."""
    text = _spaced_once(text)
    folded = text.casefold()
    has_sign = any(sign in folded for sign in _SIGNS)
    return bool((has_sign and _INSTRUCTION.search(text)) or _CHAT_MARK.search(text))
