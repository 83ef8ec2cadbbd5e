"""Whether an alt-text is of use to a captioner: junk is not shown to a model.

Doubt speaks for the text. A product's name, a short name or a title that begins with `Ignore` is
worth more than a wrong word is dangerous behind the prompt's fence.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from recaption.alt_text.clean import EXTENSION, FILE_NAME, unescaped
from recaption.alt_text.orders import orders


class AltTextKind(StrEnum):
    """What an alt-text is. A closed set; all but GOOD are junk."""

    GOOD = "good"
    EMPTY = "empty"
    FILE_NAME = "file_name"
    SPAM = "spam"
    BOILERPLATE = "boilerplate"
    NO_WORDS = "no_words"
    INSTRUCTION = "instruction"
    GIBBERISH = "gibberish"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an alt-text is; `score` is how good it looks, from 0 (surely junk) to 1."""

    kind: AltTextKind
    score: float

    @property
    def is_junk(self) -> bool:
        """Whether the text should be kept from the model."""
        return self.kind is not AltTextKind.GOOD


_AD = re.compile(
    r"(?<!\w)(?:buy|cheap(?:est)?|discount(?:s|ed)?|promo(?:tions?)?|wholesale|on sale|sale|deals?"
    r"|(?:best|low(?:est)?|sale|good|cheap) prices?|prices?|free (?:u\.?s\.? )?shipping"
    r"|(?:for )?free download|free|no watermarks?|download|wallpapers?|hd|4k|8k|online"
    r"(?: shop(?:ping)?| store)?|shop (?:now|online)|top \d+|ideas?|(?:you )?must see"
    r"|click here|click|coupons?|hot"
    r"|sale|best sell(?:er|ing)|\$\d[\d.,]*|[-–]?\d+ ?% ?off|limited time|order now|clearance"
    r"|offers?|www|torrent|full movie|dvdrip|(?:720|1080)p|(?:immediate )?download|for only|webshop"
    r"|order your|subscribe|follow us|like us|on facebook|guaranteed?)(?!\w)",
    re.IGNORECASE,
)
# One of these, or a digit, begins all that _AD matches: to look for them first is much faster.
_AD_WORDS = frozenset(
    "buy cheap cheapest discount discounts discounted promo promotion promotions wholesale on sale"
    " deal deals best low lowest good price prices free for no download wallpaper wallpapers hd"
    " online shop top idea ideas you must click coupon coupons hot limited order clearance offer"
    " offers www torrent full dvdrip 720p 1080p immediate webshop"
    " subscribe follow like guarantee guaranteed".split()
)
_WORD = re.compile(r"[^\W_]+")
_LIST_MARK = re.compile(r"\s{0,9}[,;|·•]\s{0,9}|\s{1,9}[.-]\s{1,9}")

_EMPTY_WORDS = frozenset(
    "image images img photo photos pic pics picture pictures photograph thumbnail thumb thumbs logo"
    " logos icon icons banner slide slider untitled unnamed placeholder avatar default spacer"
    " null none undefined nan header footer graphic figure fig page item file"
    " attachment upload screenshot gallery main cover featured feature product profile loading"
    " loader alt text title caption description here no not available found missing coming soon"
    " error sorry view larger full size enlarge zoom click for more read to see and a an the of in"
    " this is my our your site website home homepage company user author post article header new"
    " next previous prev close menu advertisement advert ad ads sponsored video play"
    " jpg jpeg png gif bild bilder foto fotos imagen imágenes imagem immagine afbeelding obraz"
    " obrázek zdjęcie kuva kép resim gambar фото фотография изображение картинка рисунок скриншот"
    " логотип صورة شعار 图片 图像 照片 写真 画像 이미지 사진 썸네일 n/a preview photo's via by"
    " copyright credit unknown sample example".split()
)
_VOWELS = frozenset("aeiouyáàâäãåæéèêëíìîïóòôöõøœúùûüý")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}")
_KEYBOARD = ("asdf", "qwer", "zxcv", "hjkl", "uiop", "dfgh", "fdsa", "sdfg")
_RUN = re.compile(r"(.)\1{4,}")
# Something of this kind is in all unspeakable words: to look for it first is much faster.
_ODD = re.compile(rf"[b-df-hj-np-tv-xz]{{5}}|(\w)\1{{4}}|\d[a-z]|[a-z]\d|{'|'.join(_KEYBOARD)}")
_TURN = re.compile(r"\d(?=[A-Za-z])|[A-Za-z](?=\d)|[a-z](?=[A-Z])")
_MAX_REPEATED = 0.4
_MOST_RAW = 8000  # characters that are looked at; `clean` reads the first 2,000
_SENTENCE_WORDS = frozenset(
    "is are was were has have had do does can will would not she he".split()
)


def judge(text: str, raw: str = "") -> Judgement:
    """Judge a cleaned alt-text; `raw`, where given, is the same before it was cleaned."""
    raw = (raw or text)[:_MOST_RAW]
    if not raw.strip():
        return Judgement(AltTextKind.EMPTY, 0.0)
    if orders(unescaped(raw)) or orders(text):
        return Judgement(AltTextKind.INSTRUCTION, 0.0)
    kind = _useless(text, raw)
    if kind is not None:
        return Judgement(kind, 0.0)
    spam = max(_ads(raw), _keywords(text), _repeats(text))
    return Judgement(AltTextKind.SPAM if spam >= 1 else AltTextKind.GOOD, max(0.0, 1 - spam))


def _useless(text: str, raw: str) -> AltTextKind | None:
    """Return what a text without any useful word was, None where it has one."""
    left = EXTENSION.sub("", FILE_NAME.sub("", text)) if _may_be_file_name(text) else text
    if not _has_letter(left):
        return _what_was(raw, text)
    if _is_empty(left):
        return _FILE_NAME if EXTENSION.search(raw) else AltTextKind.BOILERPLATE
    if _is_gibberish(left) or 5 * raw.count("\ufffd") > len(raw):
        return _FILE_NAME if EXTENSION.search(raw) else AltTextKind.GIBBERISH
    return None


_FILE_NAME = AltTextKind.FILE_NAME


def _may_be_file_name(text: str) -> bool:
    return " " not in text or text[-1:].isdigit() or text[-4:-3] == "."


def _has_letter(text: str) -> bool:
    return any(char.isalpha() for char in text)


def _what_was(raw: str, text: str) -> AltTextKind:
    """Return what a text was of which nothing but digits and marks is left."""
    if EXTENSION.search(raw) or FILE_NAME.search(raw) or "://" in raw or "www." in raw:
        return _FILE_NAME
    if not _has_letter(raw):
        return AltTextKind.NO_WORDS
    if _ads(raw) >= 1:
        return AltTextKind.SPAM
    return AltTextKind.NO_WORDS if _has_letter(text) else AltTextKind.BOILERPLATE


def _is_empty(text: str) -> bool:
    """Whether all words are such as stand where nobody wrote an alt-text: `Image 3 of 12`."""
    words = [word for word in _WORD.findall(text.casefold()) if not word.isdigit()]
    return all(word in _EMPTY_WORDS or word.rstrip("0123456789") in _EMPTY_WORDS for word in words)


def _is_gibberish(text: str) -> bool:
    """Whether half the letters, or more, stand in words that nobody can say."""
    if not _ODD.search(text.casefold()):
        return False
    words = [word for word in _WORD.findall(text) if _has_letter(word)]
    bad = sum(len(word) for word in words if len(word) > 4 and _is_unspeakable(word))
    return bad > 0 and 2 * bad >= sum(map(len, words))


def _is_unspeakable(word: str) -> bool:
    if not word.isascii() or (word.isupper() and len(word) < 7) or not word.isalnum():
        return False
    folded = word.casefold()
    if _RUN.search(folded) or any(keys in folded for keys in _KEYBOARD):
        return True
    if not folded.isalpha():
        return len(word) > 9 and len(_TURN.findall(word)) > 4
    vowels = sum(char in _VOWELS for char in folded)
    return vowels == 0 or (5 * vowels < len(word) and _CONSONANTS.search(folded) is not None)


def _ads(raw: str) -> float:
    """Return how much of a text is advertisement, 1 and more being an advertisement."""
    words = _WORD.findall(raw.casefold())
    if _AD_WORDS.isdisjoint(words):
        return 0.0
    found = [match[0].casefold() for match in _AD.finditer(raw)]
    signals = len(set(found))
    if signals < 2:
        return 0.1 * signals
    share = sum(len(_WORD.findall(one)) for one in found) / max(1, len(words))
    return share / (1 / 2 if signals == 2 else 1 / 3)


def _keywords(text: str) -> float:
    """Return 1 for a list of keywords; a list of names, or one with `and`, is none."""
    if text.count(",") + text.count(" - ") + text.count("|") + text.count(";") < 6:
        return 0.0
    items = [item for item in _LIST_MARK.split(text) if item]
    if len(items) < 7 or len(text.split()) > 2.5 * len(items) or " and " in items[-1]:
        return 0.0
    words = Counter(word for item in items for word in set(item.casefold().split()))
    small = sum(item[0].islower() or not item[0].isalpha() for item in items)
    return float(2 * small >= len(items) or words.most_common(1)[0][1] > 2 or " - " in text)


def _repeats(text: str) -> float:
    """Return how often words come again, 1 and more being a pile of search terms."""
    said = text.casefold().split()
    if len(said) < 8 or not _SENTENCE_WORDS.isdisjoint(said):
        return 0.0
    words = [word.rstrip("s") for word in said if len(word) > 3]
    if len(words) < 8:
        return 0.0
    return (1 - len(set(words)) / len(words)) / _MAX_REPEATED
