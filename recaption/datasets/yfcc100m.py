"""YFCC100M: title, description and tags as their owners wrote them, and whom to credit.

The table has a line per photo or video, tab-separated, no header, no quoting, its texts URL-encoded
with + for a space; HTML stands inside that. There are lines of 25 columns and, in the ten-file
release, of 23: the same without the line number and the hash. Images are named by photo id, or by
hash as in the bucket `multimedia-commons`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, unquote_plus

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import HintReader, Table, Tables
from recaption.datasets.index import Index, open_index
from recaption.datasets.table_files import open_text
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.sources.base import printable

TABLES: tuple[Table, ...] = (
    Table("lines", "yfcc100m_dataset, plain, .gz or .bz2", is_required=True),
    Table("autotags", "yfcc100m_autotags, plain, .gz or .bz2"),
)

_VERSION = 1
_WIDE, _NARROW = 25, 23
_LEAST_AUTOTAG = 0.9
"""Autotags below are wrong too often; `source.min_label_score` may ask for more."""
_MOST_TAGS = 24
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>")
_URL = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_CAMERA = re.compile(
    r"(?:IMG|DSC[NF]?|PICT|P\d{3}|SAM|MVI|GOPR|CIMG|HPIM|_MG|100|S\d)[_\- ]?\d{3,}[\w\-]{0,8}"
    r"(?:\.(?:jpe?g|png|tiff?|raw|cr2|nef))?|[\w\- ]{1,40}\.(?:jpe?g|png|tiff?|cr2|nef)|\d{1,12}",
    re.IGNORECASE,
)


def sample_id(sample: Sample) -> str:
    """Return the photo id or hash that the image's file is named by."""
    stem = PurePosixPath(sample.image_name or sample.key).name.partition(".")[0]
    return stem if re.fullmatch(r"\d{1,20}|[0-9a-f]{20,32}", stem) else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints; makes the indexes that are not there."""
    lines = tables.path("lines")
    try:
        photos = open_index("yfcc100m-lines", _VERSION, [lines], lambda: _photo_rows(lines))
        autotags = None
        if "autotags" in tables:
            url = tables.path("autotags")
            autotags = open_index("yfcc100m-autotags", _VERSION, [url], lambda: _tag_rows(url))
    except ValueError as e:
        raise RecipeError(f"source.tables: {e}") from e
    return _Reader(photos, autotags, max(_LEAST_AUTOTAG, source.min_label_score)).hints


def _photo_rows(url: str) -> Iterator[tuple[str, str]]:
    """Yield photo id and line, and where there is a hash, that and the photo id."""
    with open_text(url) as file:
        for number, line in enumerate(file, 1):
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) not in (_WIDE, _NARROW):
                raise ValueError(
                    f"{url}: line {number} has {len(fields)} columns, expected 25 or 23"
                    " (tab-separated, as yfcc100m_dataset is)"
                )
            is_wide = len(fields) == _WIDE
            kept = fields[1:2] + fields[3:] if is_wide else fields
            if kept[-1] != "1":  # 1 is a video
                yield kept[0], "\t".join(kept)
                if is_wide:
                    yield fields[2], "@" + kept[0]


def _tag_rows(url: str) -> Iterator[tuple[str, str]]:
    with open_text(url) as file:
        for line in file:
            photo, _, tags = line.rstrip("\r\n").partition("\t")
            if tags:
                yield photo, tags


@dataclass(frozen=True, slots=True)
class _Reader:
    photos: Index
    autotags: Index | None
    min_score: float

    def hints(self, sample: Sample) -> Hints:
        """Return what the tables know of a photo."""
        key = sample_id(sample)
        fields = self._fields(key)
        if fields is None:
            return Hints(source="yfcc100m")
        # 0 id, 1 user, 2 nickname, 3 taken, 4 uploaded, 5 device, 6 title, 7 description, 8 tags
        title, description = decoded(fields[6]), decoded(fields[7])
        between = ". " if title and description else ""
        alt_text = f"{title.rstrip('.') if between else title}{between}{description}"
        others = [Hint(HintKind.TAG, tag, Trust.LOW) for tag in tags_of(fields[8])]
        others += [Hint(HintKind.LABEL, tag, Trust.MEDIUM) for tag in self._guessed(fields[0])]
        return Hints(alt_text, (), (*others, *_credits(fields)), Trust.LOW, "yfcc100m")

    def _fields(self, key: str) -> list[str] | None:
        found = self.photos.get(key) if key else []
        if found and found[0].startswith("@"):
            found = self.photos.get(found[0][1:])
        return found[0].split("\t") if found else None

    def _guessed(self, photo: str) -> list[str]:
        """Return the autotags above the limit, surest first."""
        found = self.autotags.get(photo) if self.autotags is not None else []
        scored = []
        for pair in (found[0] if found else "").split(","):
            name, _, score = pair.rpartition(":")
            if re.fullmatch(r"[01](\.\d+)?", score) and float(score) >= self.min_score:
                scored.append((-float(score), printable(unquote_plus(name))))
        return [name for _, name in sorted(scored) if name]


def decoded(field: str) -> str:
    """Return a title or description as text: decoded, without HTML, URLs and camera file names."""
    text = _MARKUP.sub(" ", html.unescape(unquote_plus(field)))
    text = printable(_URL.sub(" ", html.unescape(text)))
    return "" if _CAMERA.fullmatch(text) else text


def tags_of(field: str) -> list[str]:
    """Return a list of tags: split first, decoded then, for a comma in a tag is %2C."""
    tags = (printable(unquote_plus(tag)) for tag in field.split(","))
    return list(dict.fromkeys(tag for tag in tags if tag))[:_MOST_TAGS]


def _credits(fields: list[str]) -> list[Hint]:
    licence = " ".join(part for part in (fields[15], fields[16]) if part)
    found = (
        (HintKind.LICENCE, licence),
        (HintKind.AUTHOR, printable(unquote_plus(fields[2]))),
        (HintKind.PAGE, unquote(fields[13])),
    )
    return [Hint(kind, text, Trust.HIGH) for kind, text in found if text]
