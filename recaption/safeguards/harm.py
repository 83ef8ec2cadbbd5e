"""Checks for what would harm somebody if it were published."""

from __future__ import annotations

import re
import unicodedata

from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption, Reason

# Without the endings that are words (`in`, `it`, `no`): a space lost behind a full stop is no URL.
_ENDING = (
    "com|org|net|edu|gov|info|biz|app|dev|shop|blog|online|de|uk|fr|es|nl|pl|ru|ch|eu|jp|cn|br|au"
    "|ca|se|dk|fi|cz|gr|pt|ie|nz|mx|kr|ua|tr|hu|ro|io|ai|gg|ly|tv|co"
)
_BARE_DOMAIN = rf"(?:[a-z0-9][a-z0-9-]*\.)+(?:{_ENDING})"
_GAP = r"\s{0,3}"
_AT, _DOT = (
    rf"{_GAP}(?:[(\[{{]{_GAP}{word}{_GAP}[)\]}}]|\b{word}\b){_GAP}" for word in ("at", "dot")
)
# What would be read in several ways is read in one (`++`), or is no longer than it may be: a text
# made for it cannot make the search go back over it for ever.
_PART = r"(?:(?!\bdot\b)[\w-])++"

_EMAIL = re.compile(
    r"(?<![\w.+-])(?:[\w.+-]++\s?@\s?[\w-]++(?:\.[\w-]++)++"
    rf"|[\w.+-]{{1,64}}{_AT}{_PART}(?:{_DOT}{_PART})*(?:{_DOT}|\.)(?:{_ENDING})\b)",
    re.IGNORECASE,
)
_URL = re.compile(
    r"\b[a-zA-Z][a-zA-Z0-9+-]{0,30}://\S+|\b(?i:www)\.[\w-]+\.\S+"
    rf"|(?<![\w.-])(?:{_BARE_DOMAIN}|{_BARE_DOMAIN.upper()}|[A-Z][A-Za-z0-9-]*\.(?:{_ENDING}))"
    r"(?:/\S*)?(?![\w-]|\.\w)"
)
_HANDLE = re.compile(r"(?<![\w@./])@[A-Za-z_]\w[\w.]{0,28}")
_CALL = r"(?:tel|phone|telephone|call|fax|mobile|whatsapp|text us at)\b[.:]?\s{0,9}"
_PHONE = re.compile(
    r"(?<![\w.,+/-])(?:"
    r"(?:\+|00)[1-9](?:[\s().\-/]{0,2}\d){7,14}"  # +49 (0)30 123456, 0044 20 7946 0958
    r"|(?:1[-. ])?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-.]\d{4}"  # 555-123-4567, (555) 123-4567
    r"|\(\d{3}\)\s?\d{3}\s\d{4}"
    r"|\(0\d{1,4}\)\s?\d(?:[ -]?\d){4,8}"  # (030) 123456
    r"|0[1-9]\d{1,3}[ /-](?:\d{5,}+|\d{3,4}(?=[ -]\d\d))(?:[ -]\d{2,}+)*"  # 020 7946 0958
    r"|0\d(?:[ .]\d{2}){4}"  # 01 23 45 67 89
    r"|0[1-9]\d{8,9}"  # 07911123456
    r")(?![\w]|[.,]\d)"
    rf"|(?i:\b{_CALL})\(?\d(?:[\s().-]{{0,2}}\d){{5,14}}"
)
_KINDS = (
    ("e-mail addresses", _EMAIL),
    ("URLs", _URL),
    ("handles", _HANDLE),
    ("phone numbers", _PHONE),
)


def personal_data(caption: Caption, asked: Asked) -> Verdict:
    """Find e-mail addresses, URLs, @handles and phone numbers; the score is how many.

    The message tells their kinds only: it is kept where the caption is not.
    """
    rest, told, total = unicodedata.normalize("NFKC", caption.text), [], 0
    for kind, pattern in _KINDS:
        rest, count = pattern.subn(" ; ", rest)
        total += count
        if count:
            told.append(f"{kind}: {count}")
    if not total:
        return Verdict("harm.personal_data", score=0.0)
    return Verdict("harm.personal_data", Reason.PERSONAL_DATA, ", ".join(told), float(total))
