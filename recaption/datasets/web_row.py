"""What counts of one row of web metadata, be it a table's or what lies beside the image."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain

from recaption.sample import Hint, HintKind, Trust
from recaption.text import decode_text, printable

IDS = {
    "key": ("key",),
    "uid": ("uid",),
    "id": ("id", "sample_id"),
    "sha256": ("sha256",),
    "hash": ("hash",),
    "url": ("url", "image_url", "image_urls", "url.txt"),
}
"""What rows are joined by and its column names, in the order of trust."""

TEXT = ("text", "caption", "captions", "texts", "alt_text", "alt-text", "alt")
"""Names of the column with the text."""

SIMILARITY = {
    # Cosine of image and text by CLIP; the first of a row counts. LAION, by eye, kept what has
    # 0.28 or 0.30 by ViT-B/32 as good to train on. A hint needs less: what is left out lies well
    # below, near what a picture has with somebody else's text. ViT-L/14 gives lower values. The
    # limits are set by judgement, not measured.
    "clip_l14_similarity_score": 0.16,  # DataComp
    "clip_similarity_vitl14": 0.16,  # COYO
    "clip_b32_similarity_score": 0.20,  # DataComp
    "clip_similarity_vitb32": 0.20,  # COYO
    "similarity": 0.20,  # LAION: ViT-B/32
}
"""Below which score, by the score's name, an alt-text is not shown."""

_UNSAFE = {  # share of certainty from which the collection's own detector is quoted
    "punsafe": 0.5,  # LAION
    "nsfw_score_opennsfw2": 0.5,  # COYO
    "nsfw_score_gantman": 0.5,  # COYO
}
_LICENCE = ("license", "license_url")

COLUMNS = frozenset((*chain(*IDS.values()), *TEXT, *SIMILARITY, *_UNSAFE, *_LICENCE, "nsfw"))
"""Names of all columns that are looked at, in lower case."""

Reader = Callable[[object], str]


@dataclass(frozen=True, slots=True)
class WebRow:
    """What is known of an image: its ids by kind, its text and how well that fits, credits."""

    ids: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    score_name: str = ""
    score: float = 0.0
    licence: str = ""
    unsafe: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> WebRow:
        """Read the columns of a row, whatever the case of their names."""
        named = {str(name).lower(): value for name, value in reversed(list(fields.items()))}
        scores = ((name, _number(named.get(name))) for name in SIMILARITY)
        score_name, score = next(((n, s) for n, s in scores if s is not None), ("", 0.0))
        ids = {kind: _first(named, names, _identifier) for kind, names in IDS.items()}
        ids["url"] = ids["url"] if is_url(ids["url"]) else ""
        ids["sha256"] = ids["sha256"].lower()
        return cls(
            {kind: value for kind, value in ids.items() if value},
            _first(named, TEXT, _first_text),
            score_name,
            score,
            _licence(*(_text(named.get(name)) for name in _LICENCE)),
            _unsafe(named),
        )

    @classmethod
    def from_json(cls, text: str) -> WebRow:
        """Return the row that `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return the row as an index keeps it."""
        return json.dumps(asdict(self))

    def over(self, other: WebRow) -> WebRow:
        """Return this row, what it lacks filled in from another."""
        score = self if self.score_name else other
        return replace(
            self,
            ids={**other.ids, **self.ids},
            text=self.text or other.text,
            score_name=score.score_name,
            score=score.score,
            licence=self.licence or other.licence,
            unsafe=self.unsafe or other.unsafe,
        )

    def misfit(self) -> str:
        """Say why the text does not fit the image, "" where nothing says so."""
        limit = SIMILARITY.get(self.score_name, -1.0)
        if not self.text or self.score >= limit:
            return ""
        return f"alt-text left out: {self.score_name} {self.score:.3f} is below {limit:.2f}"

    def hints(self) -> Iterator[Hint]:
        """Yield the hints besides the text."""
        texts = (
            (HintKind.PAGE, self.ids.get("url", "")),
            (HintKind.LICENCE, self.licence),
            (HintKind.NOTE, self.misfit()),
            (HintKind.NOTE, self.unsafe),
        )
        return (Hint(kind, text, Trust.LOW) for kind, text in texts if text)


def is_url(text: str) -> bool:
    """Say whether text looks like the address of an image."""
    return text.strip()[:8].lower().startswith(("http://", "https://"))


def _first(named: Mapping[str, object], names: tuple[str, ...], read: Reader) -> str:
    return next(filter(None, (read(named.get(name)) for name in names)), "")


def _identifier(value: object) -> str:
    """Return an id as text; 17, 17.0 and "17" are one, as tables keep numbers in several types."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def _first_text(value: object) -> str:
    """Return a text, of a list the first one that says something."""
    values = value if isinstance(value, (list, tuple)) else (value,)
    return next(filter(None, map(_text, values)), "")


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = decode_text(value)
    return printable(value.replace("\0", "")) if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    """Return a number, or text that is one; None for anything else, NaN among it."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _licence(name: str, url: str) -> str:
    """Return a licence; LAION writes ? where it knows none."""
    name = "" if name == "?" else name
    return f"{name} ({url})" if name and url else name or url


def _unsafe(named: Mapping[str, object]) -> str:
    """Return what the collection's detectors say against showing the image."""
    if _text(named.get("nsfw")).upper() == "NSFW":
        return "the collection marks it as NSFW"
    for name, limit in _UNSAFE.items():
        score = _number(named.get(name))
        if score is not None and score >= limit:
            return f"the collection holds it for unsafe: {name} {score:.2f}"
    return ""
