"""ImageNet-1K and ImageNet-21K, in whichever container: each image's class, by all its words.

The class is told, in this order, by the name of the file (`n01440764_10026.JPEG`, and
`ILSVRC2012_val_00000293_n01440764.JPEG` as Hugging Face writes it), of a folder or of a tar within
the tar, of the shard; for the images of ImageNet-1K that are named for none by the tables
`val_solution` or `val_ground_truth`, or by a label: a column, a `.cls` or a key of the JSON. It is
a wnid, or counts the 1,000 sorted ones from 0; a data set or path with 21k in its name has other
numbers, which are left alone. Where nothing tells,
names beside the image are taken as they are.

`captions` adds title, description and tags of the photos that ImageNet-Captions found on Flickr.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import UNKNOWN, HintReader, Table, Tables, generic
from recaption.datasets.index import Index, Rows, open_index
from recaption.datasets.wordnet import GLOSSES, LEMMAS, load_classes, load_names
from recaption.notices import note
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.text import decode_text, lines_of, printable

TABLES: tuple[Table, ...] = (
    Table("val_solution", "Kaggle's LOC_val_solution.csv"),
    Table("val_ground_truth", "ILSVRC2012_validation_ground_truth.txt, with ilsvrc_ids"),
    Table("ilsvrc_ids", "lines `ILSVRC2012_ID TAB wnid`, out of the devkit's meta.mat"),
    Table("captions", "imagenet_captions.json of ImageNet-Captions, unzipped"),
    LEMMAS,
    GLOSSES,
)
_VERSION = 1  # of the index

_FILE = re.compile(
    r"(?P<id>(?P<wnid>n\d{8})_\d+|ILSVRC2012_(?:val|test)_\d{8})(?:_(?P<behind>n\d{8}))?"
)
_FOLDER = re.compile(r"(n\d{8})(?:[-_. ].*)?")  # also n01440764.tar, n01440764-tench
_WNID = re.compile(r"n\d{8}")
_IS_21K = re.compile(r"2[12]k|winter21|fall11", re.IGNORECASE)
_CAMERA_TITLE = re.compile(r"(?i)(img|imgp|dsc[nf]?|p|pict|photo|image)?[ _-]?\d+(\.jpe?g)?")
_THING = re.compile(r"[^\s,]")
_VAL_IMAGES, _CLASSES = 50_000, 1000

_RESIZED = "imagenet21k_resized"  # the folder of the archive that miil's preparation is given as
_SQUISHED = Hint(
    HintKind.NOTE, "squished to 224x224: aspect ratio is not the photo's", Trust.MEDIUM
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the tables say: names by wnid, wnids by label and by validation image, photos' texts."""

    names: Mapping[str, str]
    by_label: Sequence[str] = ()
    val: Mapping[str, str] = field(default_factory=dict)
    captions: Index | None = None
    is_resized: bool = False


def sample_id(sample: Sample) -> str:
    """Return the file's name without its ending, "" for a file of another make."""
    found = _FILE.fullmatch(_stem(sample))
    return found["id"] if found else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints. Raises RecipeError for an odd table."""
    paths = [source.path] if isinstance(source.path, str) else source.path
    is_21k = any(_IS_21K.search(text) for text in (source.dataset, *paths))
    index: Index | None = None
    if "captions" in tables:
        urls = [tables.path("captions")]
        index = open_index("imagenet-captions", _VERSION, urls, lambda: _caption_rows(tables))
    known = Known(
        names=load_names(tables),
        by_label=() if is_21k or LEMMAS.name in tables else load_classes("imagenet_synsets.txt"),
        val=_val_wnids(tables),
        captions=index,
        is_resized=all(_RESIZED in path for path in paths),
    )
    return lambda sample: _or_named(hints(sample, known), sample, source)


def _or_named(found: Hints, sample: Sample, source: SourceConfig) -> Hints:
    """Return the hints, with the names that lie beside an image whose class nothing tells."""
    if found.class_names:
        return found
    names = tuple(n for n in generic.class_names(sample, source) if not _WNID.fullmatch(n))
    return replace(found, class_names=names, class_trust=Trust.MEDIUM) if names else found


def hints(sample: Sample, known: Known) -> Hints:
    """Return the class of an image and what its photographer wrote."""
    name = known.names.get(_wnid(sample, known), "")
    if known.val and not name:
        note(UNKNOWN, sample.sample_id)
    alt_text, tags = _texts(sample, known.captions)
    is_resized = known.is_resized or _RESIZED in sample.image_name
    return Hints(
        alt_text=alt_text,
        class_names=(name,) if name else (),
        others=(*tags, _SQUISHED) if is_resized else tags,
        class_trust=Trust.HIGH,
        source="imagenet",
    )


def _stem(sample: Sample) -> str:
    name = sample.image_name or sample.key
    return name.rpartition("/")[2].partition(".")[0]


def _wnid(sample: Sample, known: Known) -> str:
    """Return the wnid of an image, "" where nothing tells."""
    found = _FILE.fullmatch(_stem(sample))
    if found and (told := found["wnid"] or found["behind"]):
        return str(told)
    for path in (sample.image_name, sample.sample_id):
        for folder in reversed(path.split("/")[:-1]):
            if match := _FOLDER.fullmatch(folder):
                return match[1]
    if found and found["id"] in known.val:
        return known.val[found["id"]]
    return next(filter(None, (_of_label(label, known) for label in _labels(sample.fields))), "")


def _labels(fields: Mapping[str, object]) -> Iterator[object]:
    """Yield what is told as the label: a column, a `.cls`, keys of the JSON."""
    inner = fields.get("json")
    named = inner if isinstance(inner, Mapping) else {}
    cls = fields.get("cls")
    text = decode_text(cls) if isinstance(cls, bytes) else cls
    is_number = isinstance(text, str) and text.strip().isascii() and text.strip().isdecimal()
    yield int(str(text)[:8]) if is_number else text
    for name in ("label", "cls", "wnid", "synset", "class", "class_id", "label_id", "target"):
        yield from (place.get(name) for place in (fields, named))


def _of_label(label: object, known: Known) -> str:
    """Return the wnid of a label: a wnid, or its place among the sorted ones; -1: a test image."""
    if isinstance(label, str):
        return label.strip() if _WNID.fullmatch(label.strip()) else ""
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(known.by_label):
        return known.by_label[label]
    return ""


def _texts(sample: Sample, captions: Index | None) -> tuple[str, tuple[Hint, ...]]:
    """Return title and description as one text, and the tags."""
    found = captions.get(sample_id(sample)) if captions else []
    if not found:
        return "", ()
    title, description, tags = cast(tuple[str, str, list[str]], json.loads(found[0]))
    if _CAMERA_TITLE.fullmatch(title) or title in description:
        title = ""
    between = " " if title[-1:] in (".", "!", "?") else ". "
    alt_text = between.join(text for text in (title, description) if text)
    return alt_text, tuple(Hint(HintKind.TAG, tag, Trust.LOW) for tag in tags)


def _val_wnids(tables: Tables) -> dict[str, str]:
    """Return the wnids of the validation images by name. Raises RecipeError."""
    found: dict[str, str] = {}
    if "val_ground_truth" in tables:
        found |= _ground_truth(tables)
    if "val_solution" in tables:
        found |= _solution(tables)
    return found


def _solution(tables: Tables) -> dict[str, str]:
    """Read `ImageId,PredictionString`, of which the second is `wnid x1 y1 x2 y2 ...`."""
    name = "val_solution"
    text = decode_text(tables.bytes_of(name))
    rows = csv.reader(io.StringIO(text, newline=""))
    if (header := next(rows, [])) != ["ImageId", "PredictionString"]:
        raise tables.fail(name, f"the header {','.join(header)[:80]!r}", "ImageId,PredictionString")
    found: dict[str, str] = {}
    for row in rows:
        wnid = row[1].partition(" ")[0] if len(row) == 2 else ""
        if not _WNID.fullmatch(wnid):
            got = f"{','.join(row)[:80]!r} in line {rows.line_num}"
            raise tables.fail(name, got, "an image and `wnid x1 y1 x2 y2`")
        found[row[0].partition(".")[0]] = wnid
    return found


def _ground_truth(tables: Tables) -> dict[str, str]:
    """Read one ILSVRC2012_ID per line, in the order of the sorted names of the images."""
    name = "val_ground_truth"
    if "ilsvrc_ids" not in tables:
        raise RecipeError(
            f"source.tables.{name}: got no source.tables.ilsvrc_ids beside it, expected one: these"
            " ids are no positions among the sorted wnids; write the columns ILSVRC2012_ID and WNID"
            " of the devkit's meta.mat as lines `1 TAB n02119789`, or give val_solution instead"
        )
    wnids = _ilsvrc_ids(tables)
    lines = decode_text(tables.bytes_of(name)).split()
    if len(lines) != _VAL_IMAGES:
        raise tables.fail(name, f"{len(lines):,} ids", f"{_VAL_IMAGES:,}")
    if unknown := next((line for line in lines if line not in wnids), ""):
        raise tables.fail(name, f"the id {unknown[:80]!r}", "one of source.tables.ilsvrc_ids")
    return {f"ILSVRC2012_val_{n:08d}": wnids[line] for n, line in enumerate(lines, 1)}


def _ilsvrc_ids(tables: Tables) -> dict[str, str]:
    """Return wnids by ILSVRC2012_ID; above 1,000 meta.mat has the inner nodes, which no image has.

    Ids in the order of the wnids are another counting, with which all images would be mislabelled.
    """
    name, expected = "ilsvrc_ids", "lines `1 TAB n02119789`"
    found: dict[str, str] = {}
    for line in lines_of(decode_text(tables.bytes_of(name))):
        number, _, wnid = line.strip().partition("\t")
        if not (number.isdecimal() and _WNID.fullmatch(wnid)):
            raise tables.fail(name, repr(line[:80]), expected)
        found[number] = wnid
    leaves = [found.get(str(number), "") for number in range(1, _CLASSES + 1)]
    if len(set(leaves) - {""}) != _CLASSES:
        raise tables.fail(name, f"{len(set(leaves) - {''})} wnids for the ids 1 to 1000", "1000")
    if leaves == sorted(leaves):
        raise tables.fail(name, "positions among the sorted wnids", f"{expected}, from meta.mat")
    return dict(zip(map(str, range(1, _CLASSES + 1)), leaves, strict=True))


def _caption_rows(tables: Tables) -> Rows:
    """Yield the name of each photo, and its title, description and tags. Raises RecipeError."""
    for entry in _entries(tables):
        title, description = (_text(entry.get(name)) for name in ("title", "description"))
        given = entry.get("tags")
        tags = [_text(tag) for tag in given] if isinstance(given, list) else []
        stem = _text(entry.get("filename")).partition(".")[0]
        yield stem, json.dumps((title, description, [tag for tag in tags if tag]))


def _entries(tables: Tables) -> Iterator[Mapping[str, object]]:
    """Yield the objects of a JSON list one by one: parsed at once they would fill gigabytes."""
    name, expected = "captions", 'a JSON list of {"filename": ..., "title": ..., ...}'
    text = decode_text(tables.bytes_of(name)).strip()
    if not (text.startswith("[") and text.endswith("]")):
        got = "a zip archive" if text.startswith("PK") else f"{text[:40]!r} ... {text[-40:]!r}"
        raise tables.fail(name, got, expected)
    decoder, at = json.JSONDecoder(), 1
    while (at := _pass_space(text, at)) < len(text) - 1:
        try:
            entry, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            entry, end = None, at
        if not isinstance(entry, dict) or "filename" not in entry:
            raise tables.fail(name, f"{text[at : at + 80]!r} at character {at:,}", expected)
        yield entry
        at = end


def _pass_space(text: str, at: int) -> int:
    """Return where the next thing begins that is neither white space nor a comma."""
    found = _THING.search(text, at)
    return found.start() if found else len(text)


def _text(value: object) -> str:
    return printable(value) if isinstance(value, str) else ""
