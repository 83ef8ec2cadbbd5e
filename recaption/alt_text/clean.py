"""Alt-text without what the web left in it: broken encodings, markup, addresses, ads, repeats.

What may be knowledge stays: names, places, dates, numbers, in any script. `clean` repeats its pass
until nothing changes, so that cleaning twice is cleaning once.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from operator import eq
from urllib.parse import unquote

from ftfy import fix_encoding

_MAX_CHARS = 2000
_MAX_PASSES = 12
"""Three settle real text; what takes more is built to take more."""

_I = re.IGNORECASE

# UTF-8 read as Windows-1252 or as Windows-1251. Only where it may be does the full look pay.
_MAYBE_MOJIBAKE = re.compile(
    r"[\x80-\x9f]|[Â-ô][\x80-¿ŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]|Ã |[РС][Ѐ-ЏA-Za-zђ-џ°-¿‚-•€™]"
)
_PERCENT = re.compile(r"(?:%[C-Fc-f][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f])+)+|%20")
_ENTITY_OF_ENTITY = re.compile(r"&(?:amp;)+", _I)
_TAG = re.compile(r"<!--(?:(?!<!--).)*?-->|<[/!?]?[A-Za-z][^<>]*>", re.DOTALL)
_CUT_TAG = re.compile(
    r"</?(?:a|b|br|div|em|font|h\d|i|img|li|p|span|strong|table|td|tr|ul)\b[^<>]*$", _I
)
# Controls, soft hyphens, marks of direction, tags, lone surrogates; joiners are part of words.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)

_LABEL = r"(?<![\w.@-])(?:[A-Za-z0-9][A-Za-z0-9-]*\.)"
_DOMAIN = (
    rf"{_LABEL}+(?:com?\.(?:uk|jp|nz|za|in|kr)|com(?:\.\w\w)?|net|org|info|biz|edu|gov|shop|store"
    r"|blog)\b"
    rf"|{_LABEL}*(?<![a-z0-9-])[a-z0-9-]{{5,}}\.(?:de|fr|ru|nl|pl|jp|cn|br|eu|io|tv|cz|ch|se|dk)\b"
)
_ADDRESS = re.compile(
    r"(?:\b(?:(?:online|available|only)\s{1,9})?(?:at|on|from|via|by|visit)\s{1,9})?"
    r"(?:(?:https?|ftp)://\S*|\bwww\.\S+|(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]*\w"
    rf"|(?:{_DOMAIN})(?:/\S*)?)",
    _I,
)

EXTENSION = re.compile(
    r"(?<=[\w)])\.(?:jpe?g|png|gif|webp|bmp|tiff?|svg|avif|hei[cf]|psd|cr2|nef)\b", _I
)
_WHEN = r"[-_ (]*(?:\d[-\d_. :]*(?:\bat\b[-\d_. :]*)?(?:[ap]\.?m\b\.?)?)\)?"
FILE_NAME = re.compile(
    r"(?<![^\W_])(?:"
    r"(?:IMGP?|_?DSC[NF]?|PICT|MVI|GOPR|PXL|CIMG|HPIM)[-_ ]?\d{3,}(?:[-_]+[^\W_]{1,8})*"
    r"|(?:SAM|DJI|KIMG|WP|VID|FB_IMG)_\d[\d_]{2,}|P\d{7}|(?:19|20)\d{6}_\d{6}"
    r"|(?:image|img|photo|picture|pic|file|scan|untitled|unnamed|slide|foto|bild)[-_]?\d+"
    r"(?:[-_]\d+)*"
    rf"|(?:screen[- _]?shot|bildschirmfoto|whatsapp[- _]image){_WHEN}"
    r"|\d+_[0-9a-f]+_[a-z]"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?=[a-f]*\d)(?=\d*[a-f])(?=(?:[a-f]*\d){3})[0-9a-f]{12,}"
    r")(?![^\W_])",
    _I,
)
_SIZE = re.compile(
    r"(?:[-_ ]e\d{10,13})?[-_]\d{2,5}x\d{2,5}(?:px)?(?=[-_ ]|$)"
    r"|(?<![\w.,])\d{3,5} ?[x×] ?\d{3,5} ?px\b"
    r"|(?<![\w.,])\d{3,4}x\d{3,4}$(?<!\d{4}x\d{3})|[-_]\d{4,}_(?:640|960|1280|1920)(?=$)"
    r"|(?<![\w.,])(?:640x480|800x600|1024x768|1280x720|1280x1024|1600x1200|1920x1080)(?!\w)",
    _I,
)

_STOCK = (
    r"(?:photo(?:graph|graphy)?|image|foto(?:graf\w+|s)?|illustration|ve[ck]?tor(?:grafik)?|footage"
    r"|video|clip ?art|picture|graphic)s?\b"
)
_ADS = re.compile(
    rf"^(?:royalty[- ]?free )?stock {_STOCK} of\b"
    rf"|\b(?:royalty[- ]?free\b[:,]?\s{{0,9}})?(?:premium\s{{1,9}})?(?:stock|vetorial)[\s-]{{0,9}}"
    rf"{_STOCK}:?(?:\s{{0,9}}#\s?\d+)?"
    rf"|\b(?:premium\s{{1,9}})?royalty[- ]?free\b(?:\s{{0,9}}{_STOCK})?|\bvetorial stock\b"
    r"|\b(?:for )?free (?:(?:u\.?s\.? )?shipping|download|delivery|returns)\b"
    r"|\bdownload (?:it )?(?:for )?free\b|\bno watermarks?\b"
    r"|\b(?:buy|shop|order)(?: it)? (?:now|online)\b|\badd to (?:cart|basket)\b"
    r"|\b(?:for|on) sale\b(?! signs?\b)|\b(?:hot|clearance|big|flash) sale\b"
    r"|\b(?:best|lowest|low|cheap(?:est)?|sale) prices?\b|\blimited time(?: only| offer)?\b:?"
    r"|\bclick (?:here|to (?:enlarge|zoom|view|expand)|for more)\b|\b(?:read|see|learn) more\b$"
    r"|^buy (?=\S+ \S)|\bview (?:larger|full[- ]size)(?: image)?\b|\bpin (?:it|this)\b$"
    r"|^(?:image is loading|main image of|product image of)\b|[\[(]?\bview \d+ of \d+\b[\])]?"
    r"|(?<=\w )\bthumbnail$|\bclick image\b|%(?:name|title|alt)\b"
    r"|\b(?:save|up to|-)?\s*[$£€]?\d+ ?% (?:off|discount)\b|\bsave [$£€]?\d+%?!*(?!\w)",
    _I,
)
# One of these is in all that _ADS matches: to look for them first is many times faster.
_AD_WORDS = tuple(
    "stock royalty vetorial free watermark now online cart basket sale price limited click more buy"
    " larger full pin loading image thumbnail view off discount save %name %title %alt".split()
)
_MONEY_SIGNS = ("$", "£", "€", "¥", "₹", "USD", "EUR", "GBP", "usd", "eur", "gbp")
_MONEY = r"(?:(?:US)?[$£€¥₹] ?\d[\d,.]{0,20}\d|[$£€¥₹] ?\d|\d[\d,.]{0,20} ?(?:USD|EUR|GBP)\b)"
# A price tag, not a sum in a sentence: `only $12.95`, `, $75.00` at the end; not `won $10,400 in`.
_PRICE = re.compile(
    rf"(?:\b(?:for )?(?:only|just|price:?|from)\s{{1,9}}){_MONEY}"
    rf"|{_MONEY}(?=\s{{0,9}}(?:$|[|\])–—]))"
    rf"|(?<=[-|(,–—] ){_MONEY}(?!\s{{1,9}}\w)|^{_MONEY}(?=\s{{0,9}}[|–—:-])",
    _I,
)

_SITES = (
    *"pinterest shutterstock istock istockphoto alamy dreamstime 123rf depositphotos".split(),
    *"bigstock bigstockphoto vectorstock fotolia gettyimages freepik etsy ebay amazon lyst".split(),
    *"houzz youtube flickr wikipedia poshmark aliexpress walmart redbubble zazzle".split(),
    *"cafepress wayfair tripadvisor reddit tumblr instagram facebook imgur".split(),
    *("adobe stock", "getty images", "google search", "wikimedia commons"),
)
_SITE = f"(?:{'|'.join(_SITES)})"
_SITE_SEGMENT = re.compile(
    rf"(?:(?:on|at|from|via) )?{_SITE}|(?:\S+ ){{0,3}}(?:LLC|blog|website|webshop|official site)"
    r"|(?:shop|buy) .*|(?:\S+ ){0,3}online(?: (?:shop|store))?|(?:the )?(?:\S+ ){1,2}boutique"
    rf"|(?:{_STOCK}|photo stock)",
    _I,
)
_SITE_AT_END = re.compile(rf"(?<=\w)\s{{0,9}}(?:,|\b(?:on|via|from|by))\s{{1,9}}{_SITE}[.!]?$", _I)
_SEPARATOR = re.compile(r"(\s{1,9}(?:[|•·»~/]|::|//|-{1,3}|–|—)\s{1,9}|\s{0,9}\|\s{0,9})")
_HOLLOW = re.compile(r"\([-,;:|/\s]{0,9}\)|\[[-,;:|/\s]{0,9}\]|\{\s{0,9}\}|“\s{0,9}”|«\s{0,9}»")
_INNER_SPACE = re.compile(r"(?<=[(\[])\s+|\s{1,9}(?=[)\]])")
_RUN_OF_MARKS = re.compile(r"([!?,;:|~*=•★☆♥_–—-])\1+")
_LOOSE_MARKS = re.compile(r"(?<=\s)[|,;:•·–—-](?:\s+[|,;:•·–—-])+(?=\s)")
_SPACE_BEFORE = re.compile(r"(?<=[^\W_])\s+([,;!?])(?=\s|$)")
_SLUG = re.compile(r"(?:[^\W_]+[-_+]+){2,}[^\W_]+")
_LONG_SLUG = re.compile(r"(?<!\S)(?:[^\W_]+-){4,}[^\W_]+(?!\S)")
_HYPHEN = re.compile(r"(?<!\d)-+|-+(?!\d)")
_EDGE = " \t\n|,;:/\\•·~*=_–—-"


def clean(text: str) -> str:
    """Return an alt-text as a person would have written it; empty where nothing is left."""
    for _ in range(_MAX_PASSES):
        before, text = text, _pass(text)
        if text == before:
            return text
    return ""


def _pass(text: str) -> str:
    text = text[:_MAX_CHARS]
    for step in _STEPS:
        text = step(text)
    return text


def _readable(text: str) -> str:
    """Undo broken encodings and URL-encoding."""
    if not text.isascii():
        if _MAYBE_MOJIBAKE.search(text):
            text = fix_encoding(text)
        text = unicodedata.normalize("NFC", text)
    if "%" in text:
        text = _PERCENT.sub(lambda found: unquote(found[0], errors="replace"), text)
    return text


def unescaped(text: str) -> str:
    """Undo HTML entities, and entities of entities."""
    return html.unescape(_ENTITY_OF_ENTITY.sub("&", text)) if "&" in text else text


def _plain(text: str) -> str:
    """Undo HTML, CSV quotes and invisible characters."""
    text = unescaped(text)
    if "<" in text:
        text = _CUT_TAG.sub(" ", _TAG.sub(" ", text))
    if '""' in text and text[0] == text[-1] == '"':
        text = text[1:-1].replace('""', '"')
    return " ".join(_INVISIBLE.sub("", text).split())


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub(" ", text) if "." in text or "://" in text else text


def _without_file_names(text: str) -> str:
    """Drop the names that cameras give; make words of the names that people give."""
    had_extension = EXTENSION.search(text)
    if had_extension:
        text = EXTENSION.sub("", text)
    if _has_digit(text):
        text = FILE_NAME.sub(" ", _SIZE.sub(" ", text)).strip()
    if " " not in text and (had_extension or _SLUG.fullmatch(text)) and _has_letter(text):
        text = _HYPHEN.sub(" ", text.replace("+", " "))
    if text.count("-") > 3:
        text = _LONG_SLUG.sub(lambda found: _HYPHEN.sub(" ", found[0]), text)
    return text.replace("_", " ") if "_" in text else text


def _has_digit(text: str) -> bool:
    # A loop over the ten digits is in C; over the characters of the text it is not.
    return any(digit in text for digit in "0123456789")


def _has_letter(text: str) -> bool:
    return any(char.isalpha() for char in text)


def _without_ads(text: str) -> str:
    folded = text.casefold()
    if any(word in folded for word in _AD_WORDS):
        text = _ADS.sub(" ", text)
    if _has_digit(text) and any(sign in text for sign in _MONEY_SIGNS):
        text = _PRICE.sub(" ", text)
    return _SITE_AT_END.sub("", text) if folded.rstrip(".!").endswith(_SITES) else text


def _without_sites(text: str) -> str:
    """Drop a site's name at either end, and a segment that says another's words again."""
    pieces = _SEPARATOR.split(text)
    if len(pieces) == 1:
        return "" if re.fullmatch(_SITE, text.strip(), _I) else text
    segments = pieces[::2]
    kept = [i for i in range(len(segments)) if not _is_repeat(segments, i)]
    while len(kept) > 1 and _SITE_SEGMENT.fullmatch(segments[kept[-1]].strip(" .!")):
        kept.pop()
    while len(kept) > 1 and re.fullmatch(_SITE, segments[kept[0]].strip(), _I):
        kept.pop(0)
    if len(kept) == len(segments):
        return text
    return "".join((pieces[2 * i - 1] if n else "") + segments[i] for n, i in enumerate(kept))


def _is_repeat(segments: list[str], i: int) -> bool:
    """Whether an earlier segment begins with this one's words, or is them."""
    one = segments[i].strip().casefold()
    if not one:
        return True
    earlier = [other.strip().casefold() for other in segments[:i]]
    return one in earlier or (" " in one and any(other.startswith(one) for other in earlier))


def _without_repeats(text: str) -> str:
    """Say a phrase once where it stands twice in a row, a word once where it stands three times.

    A word twice may be a name: Walla Walla, Duran Duran.
    """
    words = text.split()
    folded = text.casefold().split()
    if (len(set(folded)) == len(folded) and "," not in text) or len(words) != len(folded):
        return text
    bare = [word.rstrip(",;") for word in folded]
    for size in range(1, 7):
        if any(map(eq, bare, bare[size:])):
            _say_once(words, bare, size, 3 if size == 1 else 2)
    return " ".join(words)


def _say_once(words: list[str], bare: list[str], size: int, times: int) -> None:
    """Take out, in place, all but the last where a phrase stands `times` or more in a row.

    A phrase holds together: `coffee art, coffee art and tea` repeats, `art, coffee` does not.
    """
    i = 0
    while i + times * size <= len(words):
        more = size
        while bare[i : i + size] == bare[i + more : i + more + size]:
            more += size
        holds = not any(word[-1] in ",;" for word in words[i : i + size - 1])
        if more >= times * size and holds:
            del words[i : i + more - size], bare[i : i + more - size]
        i += 1


def _tidy(text: str) -> str:
    """Drop the marks that held together what is gone."""
    text = _RUN_OF_MARKS.sub(r"\1", _HOLLOW.sub(" ", text))
    text = _LOOSE_MARKS.sub("-", _SPACE_BEFORE.sub(r"\1", text))
    return " ".join(_INNER_SPACE.sub("", text).split()).strip(_EDGE)


_STEPS: tuple[Callable[[str], str], ...] = (
    _readable,
    _plain,
    _without_addresses,
    _without_file_names,
    _without_ads,
    _without_sites,
    _without_repeats,
    _tidy,
)
