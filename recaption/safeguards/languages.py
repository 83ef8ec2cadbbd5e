"""What language a text is written in, as far as its letters and its function words tell."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

_SCRIPTS_OF: dict[str, tuple[str, ...]] = {
    "LATIN": tuple(
        "english german french spanish italian portuguese dutch swedish danish norwegian polish"
        " czech slovak finnish turkish indonesian malay romanian hungarian croatian catalan"
        " estonian latvian lithuanian slovenian icelandic vietnamese swahili tagalog".split()
    ),
    "CYRILLIC": ("russian", "ukrainian", "bulgarian", "belarusian", "macedonian"),
    "GREEK": ("greek",),
    "HEBREW": ("hebrew", "yiddish"),
    "ARABIC": ("arabic", "persian", "farsi", "urdu"),
    "DEVANAGARI": ("hindi", "marathi", "nepali"),
    "BENGALI": ("bengali",),
    "TAMIL": ("tamil",),
    "TELUGU": ("telugu",),
    "THAI": ("thai",),
    "HANGUL": ("korean",),
    "CJK": ("chinese", "mandarin", "japanese", "korean"),
    "KANA": ("japanese",),
}
_SCRIPTS: dict[str, frozenset[str]] = {
    name: frozenset(script for script, names in _SCRIPTS_OF.items() if name in names)
    for names in _SCRIPTS_OF.values()
    for name in names
}
"""The scripts that a language is written in; a language that is not here is never judged."""
_KANA = {"HIRAGANA": "KANA", "KATAKANA": "KANA", "KATAKANA-HIRAGANA": "KANA"}
_QUALIFIERS = frozenset(
    "american australian brazilian british canadian european mexican swiss austrian simplified"
    " traditional modern standard plain simple formal latin bokmål nynorsk".split()
)

# Words that are rare as content words of English: `die`, `art`, `son`, `man`, `pour` are left out.
_FUNCTION_WORDS = {
    "english": "a an the and or of with is are in on at to from by its it there this that which"
    " has behind above below near under beside between left right while against into over no",
    "german": "der die das ein eine einen einem einer eines und oder ist sind mit auf aus vor von"
    " vom zu zum im in am auch über unter hinter neben links rechts nicht es sich dem den des"
    " zwischen steht liegt sieht ihr sein nichts als",
    "french": "le la les un une des du de et ou est sont avec dans sur sous derrière devant à au"
    " aux par qui il elle ce cette en entre près gauche droite ses",
    "spanish": "el la los las un una unos unas de del y o es son está están con en sobre bajo"
    " detrás delante a al por que se su junto entre izquierda derecha hay no dos",
    "italian": "il lo la gli le un una uno di del della dei delle e o è sono con su sul sulla"
    " nel nella sotto dietro davanti a al alla da che si sinistra destra accanto tra",
    "portuguese": "o a os as um uma de do da dos das e ou é são está estão com em no na nos nas"
    " sobre sob atrás frente ao à que se seu esquerda direita junto há",
    "dutch": "de het een en of is zijn met op van voor naar aan uit naast onder achter tussen"
    " boven staat ligt zit links rechts in te er dat die hij wordt bij",
    "swedish": "en ett och eller är med på av till från framför bakom under över vid bredvid"
    " mellan som den det de sitter står ligger vänster höger i",
    "danish": "en et og eller er med på af til fra foran bag under over ved mellem som den det de"
    " sidder står ligger venstre højre i",
    "norwegian": "en et ei og eller er med på av til fra foran bak under over ved mellom som den"
    " det de sitter står ligger venstre høyre i",
    "polish": "i oraz lub jest są z ze na w we przed za pod nad obok do od po lewej prawej się"
    " który która to przy między",
    "czech": "a nebo je jsou s se na v ve před za pod nad vedle do od po vlevo vpravo který která"
    " u mezi",
    "finnish": "ja tai on ovat joka jossa kanssa päällä alla takana edessä vieressä vasemmalla"
    " oikealla se sen yksi kaksi kuvassa",
    "turkish": "ve veya bir bu ile için üzerinde altında arkasında önünde yanında sol sağ olan var"
    " da de",
    "indonesian": "yang dan atau di dengan sebuah seorang seekor dari pada ini itu ke atas bawah"
    " belakang depan samping kiri kanan adalah ada",
    "vietnamese": "một và hoặc là của trên dưới trong với có bên cạnh phía sau trước trái phải"
    " đang những các",
    "romanian": "un o și sau este sunt cu pe în sub lângă din de la al ale care stânga dreapta",
    "hungarian": "egy a az és vagy van vannak alatt fölött mellett előtt mögött között bal jobb",
}
_LANGUAGES_OF: dict[str, tuple[str, ...]] = {
    word: tuple(name for name, words in _FUNCTION_WORDS.items() if word in words.split())
    for word in {word for words in _FUNCTION_WORDS.values() for word in words.split()}
}

_SINGLE = "\u0e00-\u0e4e\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"  # written without spaces
_MARKS = "\u0300-\u036f\u05b0-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff"  # parts of a word
_LETTER = rf"(?:[^\W_{_SINGLE}]|[{_MARKS}])"
_WORD = re.compile(rf"[{_SINGLE}]|{_LETTER}+(?:['’]{_LETTER}+)*")
_IS_SINGLE = re.compile(rf"[{_SINGLE}]")
_QUOTED = re.compile(
    r"\"[^\"]{1,200}\"|[“„][^“”]{1,200}[“”]|«[^»]{1,200}»|「[^」]{1,200}」|『[^』]{1,200}』"
    r"|‘[^‘’]{1,80}’(?!\w)|(?<!\w)'(?:[^'\n]|'(?=\w)){1,80}'(?!\w)"
)
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")
_PARTICLE = "da|das|de|del|della|den|der|des|di|do|dos|du|e|el|et|la|las|le|les|los|van|von|y"
_NAME_PART = re.compile(rf"(?<=\w) (?:(?:{_PARTICLE}) )+(?=[^\W\d_])")
_LEAST_SENTENCE = 7  # characters of four words, of which fewer tell nothing
_FOREIGN_RUN = 8  # units: names are shorter


@lru_cache(maxsize=256)
def words(text: str) -> tuple[str, ...]:
    """Return a text's words in lower case; in Chinese, Japanese and Thai each letter is one."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).replace("’", "'").casefold()))


def word_count(found: tuple[str, ...]) -> float:
    """Count words, two letters of a script without spaces as one."""
    return len(found) - sum(bool(_IS_SINGLE.match(word)) for word in found) / 2


@lru_cache(maxsize=256)
def unquoted(text: str) -> str:
    """Return a text with `""` in the place of what it quotes, all of it where that is all."""
    rest = _QUOTED.sub('""', text)
    return rest if any(c.isalpha() for c in rest) else text


def known_language(name: str) -> str | None:
    """Return a language's plain name in lower case, None for one that cannot be judged."""
    told = re.findall(r"\w+", name.casefold())
    plain = [word for word in told if word not in _QUALIFIERS]
    return plain[0] if len(plain) == 1 and plain[0] in _SCRIPTS else None


def misfit(text: str, language: str) -> str | None:
    """Say why a text is not in a language, None where it may be or where nobody can tell."""
    name = known_language(language)
    if name is None:
        return None
    plain = unquoted(text)
    return _script_misfit(plain, name) or _word_misfit(plain, name)


@lru_cache(maxsize=8192)
def _script(letter: str) -> str:
    first = unicodedata.name(letter, "").partition(" ")[0]
    return _KANA.get(first, first)


def _script_misfit(text: str, name: str) -> str | None:
    """Judge by the scripts; capitalised words in another one are names and do not count."""
    own = foreign = run = longest = 0.0
    seen: Counter[str] = Counter()
    for word in _WORD.findall(unicodedata.normalize("NFKC", text)):
        if not word[0].isalpha():
            continue
        size, script = (0.5 if _IS_SINGLE.match(word) else 1.0), _script(word[0])
        if script in _SCRIPTS[name]:
            own, run = own + size, 0.0
            seen[script] += 1
        elif not word[0].isupper():
            foreign, run = foreign + size, run + size
            longest = max(longest, run)
    is_foreign = foreign > own and (own == 0 or foreign >= 3)
    if is_foreign or longest >= _FOREIGN_RUN:
        return f"{foreign:g} of {own + foreign:g} words are in another script than {name}"
    return _east_asian_misfit(seen, name)


def _east_asian_misfit(seen: Counter[str], name: str) -> str | None:
    """Tell Chinese, Japanese and Korean apart, which share Chinese characters."""
    total = seen["CJK"] + seen["KANA"] + seen["HANGUL"]
    if name == "japanese" and total >= 12 and not seen["KANA"]:
        return "no kana among the characters"
    if name == "korean" and total >= 8 and seen["CJK"] > 2 * seen["HANGUL"]:
        return "more Chinese characters than Hangul"
    return None


def _word_misfit(text: str, name: str) -> str | None:
    """Judge by function words: of the whole text, and of a sentence that has none of its own."""
    if name not in _FUNCTION_WORDS:
        return None
    plain = _NAME_PART.sub(_without_particles, text)
    own, other, best = _weigh(words(plain), name)
    if other and best >= 2 * own + 2:
        return f"the function words are {other}, {best} against {own} of {name}"
    for sentence in _SENTENCE.split(plain):
        if len(sentence) < _LEAST_SENTENCE:
            continue
        own, other, best = _weigh(words(sentence), name)
        if own == 0 and best >= 4:
            return f"a sentence has function words of {other}, {best}, and none of {name}"
    return None


def _without_particles(match: re.Match[str]) -> str:
    """Drop `de la` between two capitalised words, a name such as Café de la Paix."""
    start = match.string.rfind(" ", 0, match.start()) + 1
    is_name = match.string[start].isupper() and match.string[match.end()].isupper()
    return " " if is_name else match[0]


def _weigh(found: tuple[str, ...], name: str) -> tuple[int, str, int]:
    """Set a language against the other that fits best: own words, the other's name, its words.

    Words that both have do not count. The other has to have two different ones: one may be part
    of a name.
    """
    counts = Counter(word for word in found if word in _LANGUAGES_OF)
    total = sum(n for word, n in counts.items() if name in _LANGUAGES_OF[word])
    shared: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for word, n in counts.items():
        is_own = name in _LANGUAGES_OF[word]
        for language in _LANGUAGES_OF[word]:
            shared[language] += n if is_own else 0
            theirs[language] += 0 if is_own else n
            kinds[language] += 0 if is_own else 1
    pairs = [(total - shared[o], o, n) for o, n in theirs.items() if kinds[o] >= 2]
    return max(pairs, key=lambda pair: (pair[2] - 2 * pair[0], pair[1]), default=(total, "", 0))
