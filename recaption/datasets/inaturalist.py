"""iNaturalist 2021: the species of each image, from its folder and from the annotation file.

Images lie at `SPLIT/00000_Animalia_Annelida_..._Lumbricus_terrestris/UUID.jpg`, unpacked or in the
tars as published: the folder alone tells the scientific name and the ranks. The annotation file of
a split adds common names, and for the images of that split whom to credit, when and where.
"""

from __future__ import annotations

import codecs
import gzip
import json
import math
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import IO, cast

from recaption import storage
from recaption.config import RecipeError, SourceConfig
from recaption.datasets import UNKNOWN, HintReader, Table, Tables
from recaption.datasets.index import Index, Rows, open_index
from recaption.datasets.table_files import ending_of
from recaption.notices import note
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.text import printable

TABLES: tuple[Table, ...] = (
    Table("categories", "train.json or val.json of iNaturalist 2021, or its .json.tar.gz"),
)
_VERSION = 1  # of the index
_CHUNK = 1 << 20  # bytes read at once
_ITEM_LIMIT = 64 << 20  # characters of one entry; a real one has a few hundred
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FOLDER = re.compile(r"\d{5}_[^/]+")
_BROKEN = (ValueError, RecursionError, tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)

_RANKS = {  # plain word: the data set's supercategory, and the rank that it is
    "animal": ("Animalia",),
    "plant": ("Plants", "Plantae"),
    "fungus": ("Fungi",),
    "insect": ("Insects", "Insecta"),
    "arachnid": ("Arachnids", "Arachnida"),
    "bird": ("Birds", "Aves"),
    "mammal": ("Mammals", "Mammalia"),
    "reptile": ("Reptiles", "Reptilia"),
    "amphibian": ("Amphibians", "Amphibia"),
    "mollusk": ("Mollusks", "Mollusca"),
    "fish": ("Ray-finned Fishes", "Actinopterygii"),
}
_GROUPS = {rank: word for word, ranks in _RANKS.items() for rank in ranks}

Entry = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Species:
    """What is known of a species: `group` says what it is in one plain word."""

    scientific: str
    common: str
    group: str

    def name(self) -> str:
        """Return the name for a prompt, such as `Common Earthworm (Lumbricus terrestris, animal)`.

        What stands before the bracket names the subject where only a name is wanted.
        """
        has_common = self.common and self.common.lower() != self.scientific.lower()
        first = self.common if has_common else self.scientific
        more = ", ".join(filter(None, (self.scientific if has_common else "", self.group)))
        return f"{first} ({more})" if more else first


def sample_id(sample: Sample) -> str:
    """Return the image's UUID, which is its file's name; "" for a file of another make."""
    stem = _stem(sample.image_name or sample.key)
    return stem if _UUID.fullmatch(stem) else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints. Raises RecipeError for an odd table."""
    if "categories" not in tables:
        return lambda sample: hints(sample, None)
    urls = [tables.path("categories")]
    index = open_index("inaturalist", _VERSION, urls, lambda: _rows(tables))
    return lambda sample: hints(sample, index)


def hints(sample: Sample, index: Index | None) -> Hints:
    """Return species, credits, day and place of an image."""
    path = (sample.image_name or sample.key).split("/")
    folder = next((part for part in reversed(path[:-1]) if _FOLDER.fullmatch(part)), "")
    species = _species(folder, _entry(index, "category", folder))
    image = _entry(index, "image", _stem(path[-1]))
    if index and not image:
        note(UNKNOWN, sample.sample_id)
    return Hints(
        class_names=(species.name(),) if species.scientific else (),
        class_trust=Trust.HIGH,
        others=tuple(_others(image, _entry(index, "licence", _text(image.get("license"))))),
        source="inaturalist",
    )


def _species(folder: str, category: Entry) -> Species:
    """Return the species of a folder's name, and what the table adds to it."""
    ranks = folder.replace(" ", "_").split("_")[1:]  # kingdom ... family, genus, epithet
    scientific = " ".join(ranks[5:]) if len(ranks) >= 7 else ""
    known = [_text(category.get("supercategory")), *reversed(ranks[:5])]
    group = next((_GROUPS[rank] for rank in known if rank in _GROUPS), "")
    name = _text(category.get("name")) or scientific
    return Species(name, _text(category.get("common_name")), group)


def _others(image: Entry, licence: Entry) -> Iterator[Hint]:
    day, place = _day(image.get("date")), _place(image.get("latitude"), image.get("longitude"))
    named = " ".join(_text(licence.get("name")).split())
    url = _text(licence.get("url"))
    texts = {
        HintKind.LICENCE: f"{named} ({url})" if named and url else named or url,
        HintKind.AUTHOR: _text(image.get("rights_holder")),
    }
    yield from (Hint(kind, text, Trust.HIGH) for kind, text in texts.items() if text)
    yield from (Hint(HintKind.CONTEXT, text) for text in (day, place) if text)


def _day(value: object) -> str:
    """Return "taken on 2019-04-10" of a date that is one."""
    try:
        return f"taken on {date.fromisoformat(_text(value)[:10]).isoformat()}"
    except ValueError:
        return ""


def _place(latitude: object, longitude: object) -> str:
    """Return a place to a tenth of a degree, some 10 km; (0, 0) is where unknown ones are put."""
    if not (_is_number(latitude, 90) and _is_number(longitude, 180)):
        return ""
    north, east = round(cast(float, latitude), 1), round(cast(float, longitude), 1)
    return f"near latitude {north:.1f}, longitude {east:.1f}" if latitude or longitude else ""


def _is_number(value: object, limit: float) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(cast(float, value)) and abs(cast(float, value)) <= limit


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def _text(value: object) -> str:
    """Return text, or a whole number, as one line; of anything else nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return printable(value) if isinstance(value, str) else ""


def _entry(index: Index | None, kind: str, key: str) -> Entry:
    found = index.get(printable(f"{kind}:{key}")) if index and key else []
    return cast(Entry, json.loads(found[0])) if found else {}


_KINDS = {  # array in the file: kind of entry, and what is kept of one
    "categories": ("category", ("name", "common_name", "supercategory")),
    "images": ("image", ("license", "rights_holder", "date", "latitude", "longitude")),
    "licenses": ("licence", ("name", "url")),
}


def _rows(tables: Tables) -> Rows:
    """Yield the rows of the index. Raises RecipeError where the file is of another make."""
    categories = 0
    try:
        with _open_json(tables.path("categories")) as stream:
            for array, item in read_arrays(stream):
                if array in _KINDS and isinstance(item, dict):
                    kind, names = _KINDS[array]
                    key = _key(kind, item)
                    categories += bool(key and kind == "category")
                    yield f"{kind}:{key}", json.dumps({name: item.get(name) for name in names})
    except storage.StorageError:
        raise
    except _BROKEN as error:
        raise _fail(tables, printable(str(error)) or type(error).__name__) from error
    if not categories:
        raise _fail(tables, "no entry with image_dir_name in its array categories")


def _key(kind: str, item: Entry) -> str:
    if kind == "category":
        return _text(item.get("image_dir_name"))
    return _stem(_text(item.get("file_name"))) if kind == "image" else _text(item.get("id"))


def _fail(tables: Tables, got: str) -> RecipeError:
    expected = (
        "the COCO-style JSON of iNaturalist 2021, an object with the arrays images, categories and"
        " licenses, plain or in its .json.tar.gz"
    )
    return tables.fail("categories", got, expected)


@contextmanager
def _open_json(url: str) -> Iterator[IO[bytes]]:
    """Open a JSON file, or the first one in a tar, packed or not."""
    with storage.open_read(url) as stream:
        if not re.search(r"\.(tar|tar\.gz|tgz)$", ending_of(url)):
            is_packed = ending_of(url).endswith(".gz")
            yield cast(IO[bytes], gzip.GzipFile(fileobj=stream)) if is_packed else stream
            return
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name.endswith(".json") and not name.startswith("."):
                    yield cast(IO[bytes], archive.extractfile(member))
                    return
            raise ValueError("an archive without a .json file")


def read_arrays(stream: IO[bytes]) -> Iterator[tuple[str, object]]:
    """Yield (name, item) of all arrays in a JSON object, whatever its size; NaN is let through.

    Only one item is in memory. Raises ValueError where it is no such JSON.
    """
    text = _JsonText(stream)
    text.expect("{")
    while text.next() != "}":
        name = str(text.value())
        text.expect(":")
        if text.next() == "[":
            text.expect("[")
            while text.next() != "]":
                yield name, text.value()
                text.expect_between("]")
            text.expect("]")
        else:
            text.value()
        text.expect_between("}")


class _JsonText:
    """A stream of JSON text, of which the part that is looked at is in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._decode = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0
        self._is_whole = False

    def next(self) -> str:
        """Return the next character that is not white space, without taking it."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if self._is_whole:
                raise ValueError("JSON that ends too early")
            self._read_on()

    def expect(self, character: str) -> None:
        """Take a character that must come now."""
        if self.next() != character:
            raise ValueError(f"{self._text[self._at : self._at + 40]!r} where {character} is due")
        self._at += 1

    def expect_between(self, closing: str) -> None:
        """Take the comma before the next item; the closing bracket is left where it is."""
        if self.next() != closing:
            self.expect(",")

    def value(self) -> object:
        """Take a whole value."""
        self.next()
        while True:
            try:
                found, end = self._decode(self._text, self._at)
                # a number at the end of what was read may go on
                if end < len(self._text) or self._is_whole:
                    self._at = end
                    return cast(object, found)
            except json.JSONDecodeError:
                if self._is_whole or len(self._text) - self._at > _ITEM_LIMIT:
                    raise
            self._read_on()

    def _read_on(self) -> None:
        raw = self._stream.read(max(_CHUNK, len(self._text) - self._at))
        self._is_whole = not raw
        self._text = self._text[self._at :] + self._decoder.decode(raw, final=not raw)
        self._at = 0
