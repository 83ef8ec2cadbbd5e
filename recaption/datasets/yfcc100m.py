"""YFCC100M: title, description and tags as their owners wrote them, and whom to credit.

The table has a line per photo or video, tab-separated, without header or quoting, its texts
URL-encoded with + for a space; HTML stands within that. Lines have 25 columns or, in the release
of ten files (`yfcc100m_dataset-*.bz2`), 23: the same without the line's number and the hash.
Images are named by photo id or, as in the bucket `multimedia-commons`, by hash: that is found only
with 25 columns.
"""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from recaption.alt_text.clean import EXTENSION, FILE_NAME
from recaption.config import SourceConfig
from recaption.datasets import ODD_ROWS, UNKNOWN, HintReader, Table, Tables
from recaption.datasets.index import Index, Rows, open_index
from recaption.datasets.table_files import find_files, open_bytes
from recaption.notices import note
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.text import printable

TABLES: tuple[Table, ...] = (
    Table("lines", "yfcc100m_dataset, plain, .gz or .bz2, or a pattern", is_required=True),
    Table("autotags", "yfcc100m_autotags, plain, .gz or .bz2, or a pattern"),
)
_VERSION = 2  # of the indexes
_WIDE, _NARROW = 25, 23
_ALIAS = "\t"  # in front of the photo id that a hash leads to
_LEAST_AUTOTAG = 0.9  # below, autotags are wrong too often; min_label_score may ask for more
_MOST_TAGS = 24

_PHOTO = re.compile(r"(\d{1,20})(?:_[0-9a-f]{6,12}(?:_[a-z])?)?")  # also as Flickr names its files
_HASH = re.compile(r"[0-9a-f]{20,32}")  # some tools leave out zeros
_SCORE = re.compile(r"[01](?:\.\d+)?")
_MARKUP = re.compile(r"<!--(?:(?!<!--).)*?-->|</?[a-zA-Z][^<>]{0,2000}>", re.DOTALL)
_URL = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_CAMERA = re.compile(r"(?:_MG_)?[\d _-]+")


@dataclass(frozen=True, slots=True)
class Photo:
    """What is kept of a line, as it is written there, but for the photo id still URL-encoded."""

    photo_id: str
    nickname: str
    title: str
    description: str
    tags: str
    page: str
    licence: str
    licence_url: str

    @classmethod
    def of(cls, fields: Sequence[str]) -> Photo:
        """Return what counts of the 23 columns."""
        return cls(fields[0], fields[2], *fields[6:9], *fields[13:14], *fields[15:17])

    @classmethod
    def from_row(cls, row: str) -> Photo | None:
        """Return the photo that `to_row` wrote, None for anything else."""
        fields = row.split("\t")
        return cls(*fields) if len(fields) == len(cls.__slots__) else None

    def to_row(self) -> str:
        """Return the photo as the index keeps it."""
        return "\t".join(getattr(self, name) for name in self.__slots__)

    def alt_text(self) -> str:
        """Return title and description as one text."""
        title, description = decode(self.title), decode(self.description)
        between = " " if title[-1:] in (".", "!", "?", ":") else ". "
        return between.join(text for text in (title, description) if text)

    def credits(self) -> Iterator[Hint]:
        """Yield licence, author and page."""
        name, url = decode_plainly(self.licence), printable(self.licence_url)
        texts = {
            HintKind.LICENCE: f"{name} ({url})" if name and url else name or url,
            HintKind.AUTHOR: decode_plainly(self.nickname),
            HintKind.PAGE: printable(self.page),
        }
        return (Hint(kind, text, Trust.HIGH) for kind, text in texts.items() if text)


def sample_id(sample: Sample) -> str:
    """Return the photo id or hash that the image's file is named by, "" for none."""
    stem = sample.stem
    if found := _PHOTO.fullmatch(stem):
        return found[1]
    return stem if _HASH.fullmatch(stem) else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints. Raises RecipeError for an odd table."""
    photos = _open_index(tables, "lines")
    autotags = _open_index(tables, "autotags") if "autotags" in tables else None
    min_score = max(_LEAST_AUTOTAG, source.min_label_score)
    return lambda sample: hints(sample, photos, autotags, min_score)


def hints(sample: Sample, photos: Index, autotags: Index | None, min_score: float) -> Hints:
    """Return what the owner of a photo wrote, what a machine saw, and whom to credit."""
    photo = _find(sample_id(sample), photos)
    if photo is None:
        note(UNKNOWN, sample.sample_id)
        return Hints(source="yfcc100m")
    tagged = autotags.get(photo.photo_id) if autotags else []
    return Hints(
        alt_text=photo.alt_text(),
        others=(
            *(Hint(HintKind.TAG, tag, Trust.LOW) for tag in split_tags(photo.tags)),
            *(Hint(HintKind.LABEL, name) for name in sure_labels(tagged, min_score)),
            *photo.credits(),
        ),
        source="yfcc100m",
    )


def _find(name: str, photos: Index) -> Photo | None:
    """Return the photo of an id or hash."""
    found = photos.get(name) if name else []
    if found and found[0].startswith(_ALIAS):
        found = photos.get(found[0].removeprefix(_ALIAS))
    return Photo.from_row(found[0]) if found else None


def decode(field: str) -> str:
    """Return a title or description without HTML and URLs; "" for a camera's file name."""
    text = _MARKUP.sub(" ", html.unescape(unquote_plus(field)))
    text = printable(_URL.sub(" ", html.unescape(text)))
    name = EXTENSION.sub("", text)
    return "" if FILE_NAME.fullmatch(name) or _CAMERA.fullmatch(name) else text


def decode_plainly(field: str) -> str:
    """Return a name or tag as text."""
    return printable(unquote_plus(field))


def split_tags(field: str) -> list[str]:
    """Return tags, each once: split first and decoded then, for a comma in a tag is %2C."""
    tags = (decode_plainly(tag) for tag in field.split(","))
    return list(dict.fromkeys(filter(None, tags)))[:_MOST_TAGS]


def sure_labels(tagged: Iterable[str], min_score: float) -> list[str]:
    """Return the names in `name:score,name:score` that have the score, surest first."""
    scores: dict[str, float] = {}
    for pair in (pair for row in tagged for pair in row.split(",")):
        name, _, score = pair.rpartition(":")
        name = decode_plainly(name)
        if name and _SCORE.fullmatch(score) and float(score) >= min_score:
            scores[name] = max(float(score), scores.get(name, 0.0))
    return sorted(scores, key=lambda name: -scores[name])


def _open_index(tables: Tables, name: str) -> Index:
    urls = find_files(tables.path(name))
    rows = {"lines": _photo_rows, "autotags": _tag_rows}[name]
    return open_index(f"yfcc100m-{name}", _VERSION, urls, lambda: rows(tables, urls))


def _photo_rows(tables: Tables, urls: Sequence[str]) -> Rows:
    """Yield each photo under its id, and the id under its hash. Raises RecipeError."""
    for url, number, fields in _lines(tables, "lines", urls):
        has_hash = len(fields) == _WIDE
        kept = [fields[1], *fields[3:]] if has_hash else fields
        if len(kept) != _NARROW or not kept[0].isdecimal() or kept[-1] not in ("0", "1"):
            got = f"{len(fields)} columns in line {number:,} of {url}"
            if number == 1:
                expected = "25 or 23, tab-separated: with a photo id, and 0 or 1 in the last"
                raise tables.fail("lines", got, expected)
            note(ODD_ROWS, f"{got}, or no photo id")
        elif kept[-1] == "0":  # 1: a video
            yield kept[0], Photo.of(kept).to_row()
            if has_hash:
                yield fields[2], _ALIAS + kept[0]


def _tag_rows(tables: Tables, urls: Sequence[str]) -> Rows:
    """Yield the labels of each photo; a photo may have none. Raises RecipeError."""
    for url, number, fields in _lines(tables, "autotags", urls):
        if number == 1 and not (fields[0].isdecimal() and len(fields) <= 2):
            got = f"{len(fields)} columns in line 1 of {url}, {fields[0][:40]!r} the first"
            raise tables.fail("autotags", got, "a photo id, a tab, `name:score,name:score`")
        if len(fields) == 2 and fields[1]:
            yield fields[0], fields[1]


def _lines(tables: Tables, name: str, urls: Sequence[str]) -> Iterator[tuple[str, int, list[str]]]:
    """Yield file, number and columns of each line; only \\n ends one, and columns may be empty."""
    for url in urls:
        try:
            with open_bytes(url) as stream:
                for number, line in enumerate(stream, 1):
                    yield url, number, line.decode("utf-8", "replace").rstrip("\n").split("\t")
        except (OSError, EOFError, zlib.error) as error:
            got = f"{url}, which cannot be read ({printable(str(error))[:200]})"
            raise tables.fail(name, got, "lines of text, plain or whole in .gz or .bz2") from error
