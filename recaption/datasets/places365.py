"""Places365: the scene of each image, from its path or from the list of the validation images.

Training images lie at `data_large/b/bus_station/indoor/00004835.jpg` (or `data_256/...`), as
folders or in tars; the validation images, `Places365_val_00020696.jpg`, have a number in the table
`val`, which the table `categories` turns into a scene. `indoor_outdoor` says which of both it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from recaption.config import RecipeError, SourceConfig
from recaption.datasets import UNKNOWN, HintReader, Table, Tables
from recaption.notices import note
from recaption.sample import Hints, Sample, Trust
from recaption.text import decode_text, lines_of

TABLES: tuple[Table, ...] = (
    Table("categories", "categories_places365.txt: /a/airfield 0"),
    Table("val", "places365_val.txt: Places365_val_00000001.jpg 165"),
    Table("indoor_outdoor", "IO_places365.txt: /a/airfield 2"),
)
_COUNT = 365
_SCENES = {"1": "indoor scene", "2": "outdoor scene"}
_CATEGORY = re.compile(r"/(?P<first>[a-z])/(?P=first)[a-z_]+(?:/[a-z_]+)?")
_PATH = re.compile(rf"({_CATEGORY.pattern})/([^/.]+)[^/]*\Z")
_LISTED = re.compile(r"Places365_(?:val|test)_\d{8}")


@dataclass(frozen=True, slots=True)
class Places:
    """The tables: categories by number, numbers of validation images, scenes of categories."""

    categories: Mapping[str, str] = field(default_factory=dict)
    val: Mapping[str, str] = field(default_factory=dict)
    scenes: Mapping[str, str] = field(default_factory=dict)


def sample_id(sample: Sample) -> str:
    """Return `b/bus_station/indoor/00004835` or `Places365_val_00020696`; "" for another make."""
    stem = sample.stem
    if _LISTED.fullmatch(stem):
        return stem
    category = _category_in_path(sample)
    return f"{category[1:]}/{stem}" if category else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints. Raises RecipeError for an odd table."""
    places = _load(tables)
    return lambda sample: hints(sample, places)


def hints(sample: Sample, places: Places) -> Hints:
    """Return the scene of an image."""
    category = _category(sample, places)
    if places.val and not category:
        note(UNKNOWN, sample.sample_id)
    name = readable(category, places.scenes.get(category, "")) if category else ""
    return Hints(class_names=(name,) if name else (), class_trust=Trust.MEDIUM, source="places365")


def readable(category: str, scene: str = "") -> str:
    """Return `bus station, indoor` of `/b/bus_station/indoor`, `airfield (outdoor scene)`.

    Where the name tells indoor or outdoor, it alone counts: of /b/bus_station/indoor the published
    list says outdoor.
    """
    name, _, qualifier = category[3:].replace("_", " ").partition("/")
    if qualifier in ("indoor", "outdoor"):
        scene = ""
    full = f"{name}, {qualifier}" if qualifier else name
    return f"{full} ({scene})" if scene else full


def _category(sample: Sample, places: Places) -> str:
    """Return the category as in the tables, "" where it is not known."""
    category = _category_in_path(sample)
    if category and (not places.categories or category in places.categories.values()):
        return category
    return places.categories.get(places.val.get(sample.stem, ""), "")


def _category_in_path(sample: Sample) -> str:
    """Return what the path says; a folder's image has only its sample's id to tell the path."""
    for path in (sample.image_name, sample.sample_id):
        found = _PATH.search(f"/{path}")
        if found:
            return found[1]
    return ""


def _load(tables: Tables) -> Places:
    categories = _numbered(tables) if "categories" in tables else {}
    if "val" in tables and not categories:
        raise RecipeError(
            "source.tables.categories: missing; source.tables.val has only numbers of categories,"
            " which categories_places365.txt turns into names"
        )
    val = _val(tables, categories) if "val" in tables else {}
    scenes = _scenes(tables) if "indoor_outdoor" in tables else {}
    return Places(categories, val, scenes)


def _numbered(tables: Tables) -> dict[str, str]:
    """Return the categories by their numbers, 0 to 364, which are text here."""
    found = {number: name for name, number in _pairs(tables, "categories").items()}
    expected = f"the numbers 0 to {_COUNT - 1}, each once, behind a category as in /a/airfield 0"
    if found.keys() != set(map(str, range(_COUNT))):
        raise tables.fail("categories", f"{len(found)} numbers", expected)
    return found


def _scenes(tables: Tables) -> dict[str, str]:
    pairs = _pairs(tables, "indoor_outdoor")
    odd = next((line for line in pairs.items() if line[1] not in _SCENES), None)
    if odd or len(pairs) != _COUNT:
        got = " ".join(odd) if odd else f"{len(pairs)} categories"
        expected = f"{_COUNT} categories, each with 1 (indoor) or 2 (outdoor)"
        raise tables.fail("indoor_outdoor", got, expected)
    return {category: _SCENES[number] for category, number in pairs.items()}


def _pairs(tables: Tables, name: str) -> dict[str, str]:
    """Return category and number of each line."""
    pairs = _lines(tables, name)
    odd = next((line for line in pairs.items() if not _CATEGORY.fullmatch(line[0])), None)
    if odd:
        raise tables.fail(name, " ".join(odd), "lines such as /a/airfield 0")
    return pairs


def _val(tables: Tables, categories: Mapping[str, str]) -> dict[str, str]:
    """Return the category's number by the image's name without its ending."""
    pairs = _lines(tables, "val")
    expected = "lines such as Places365_val_00020696.jpg 156, the number one of the categories'"
    for name, number in pairs.items():
        if not _LISTED.match(name) or number not in categories:
            raise tables.fail("val", f"{name} {number}", expected)
    if not pairs:
        raise tables.fail("val", "no line", expected)
    return {name.partition(".")[0]: number for name, number in pairs.items()}


def _lines(tables: Tables, name: str) -> dict[str, str]:
    """Return first and second word of each line. Raises RecipeError where a line has others."""
    found: dict[str, str] = {}
    for line in lines_of(decode_text(tables.bytes_of(name))):
        words = line.split()
        if len(words) == 2:
            found[words[0]] = words[1]
        elif words:
            raise tables.fail(name, repr(line[:80]), "a name and a number on each line")
    return found
