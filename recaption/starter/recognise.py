"""Which public data set lies there: how its files are called, what stands beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from recaption import storage
from recaption.datasets import load_adapter
from recaption.datasets.web_row import SIMILARITY, TEXT
from recaption.sample import Sample
from recaption.starter.look import Look
from recaption.storage.paths import local_path

_MOST_ENTRIES = 5000  # of a folder in which tables are looked for
_FOLDERS_UP = 2
_BESIDE = ("", "metadata", "annotations", "meta", "labels", "tables", "csv")
_SPLITS = ("train", "val", "test")

SUBJECTS = {
    "inaturalist": "species",
    "plantnet": "species",
    "places365": "scene",
    "osv5m": "street",
    "sa1b": "blurred",
}
"""What `caption.subject` is for an adapter."""

_TABLES: Mapping[str, Mapping[str, str]] = {
    "imagenet": {
        "val_solution": r"LOC_val_solution\.csv",
        "captions": r"imagenet_captions\.json",
    },
    "openimages": {
        "classes": r"(oidv\d-)?class-descriptions(-boxable)?\.csv",
        "human_labels": r"[\w-]*annotations-human-imagelabels[\w-]*\.csv",
        "machine_labels": r"[\w-]*annotations-machine-imagelabels\.csv",
        "boxes": r"[\w-]*annotations-bbox\.csv",
        "images": r"[\w-]*images-(boxable-)?with-rotation\.csv",
    },
    "yfcc100m": {
        "lines": r"yfcc100m_dataset(\.bz2|\.gz|\.tsv)?",
        "autotags": r"yfcc100m_autotags(\.bz2|\.gz)?",
    },
    "places365": {
        "categories": r"categories_places365\.txt",
        "val": r"places365_val\.txt",
        "indoor_outdoor": r"IO_places365\.txt",
    },
    "osv5m": {"metadata": r"(train|test)\.csv"},
    "inaturalist": {"categories": r"(train|val)(2021)?\.json(\.tar\.gz)?"},
    "plantnet": {
        "species": r"plantnet300K_species_id_2_name\.json",
        "metadata": r"plantnet300K_metadata\.json",
    },
}
"""By adapter: what its tables' files are called, as published."""

_WNID = re.compile(r"(?:^|/)n\d{8}(?:[-_./]|$)|ILSVRC2012_(?:val|test)_\d{8}")
_TAXON = re.compile(r"(?:^|/)\d{5}_(?:Animalia|Plantae|Fungi|Chromista|Protozoa|Bacteria)_")
_SPECIES_ID = re.compile(r"/\d{7}/[0-9a-f]{32,64}")
_HEX_16 = re.compile(r"[0-9a-f]{16}")
_PHOTO = re.compile(r"\d{6,20}(?:_[0-9a-f]{6,12}(?:_[a-z])?)?|[0-9a-f]{32}")
_DIGITS = re.compile(r"\d{10,20}")
_LOGGED = frozenset(("status", "error_message", "sha256", "original_width", "exif"))
"""What img2dataset tells of each image."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """The adapter, the tables that were found, those that it could join too, and why."""

    adapter: str = "generic"
    tables: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    why: str = ""

    @property
    def subject(self) -> str:
        """What the prompts are told that the images are of."""
        return SUBJECTS.get(self.adapter, "")


def recognise(look: Look) -> Recognised:
    """Return the first data set whose marks all samples have, else the generic adapter."""
    samples = [sample for sample in look.samples if sample.rejection is None]
    if not samples:
        return Recognised()
    nearby = _nearby(look.root)
    for adapter, (has_mark, why) in _MARKS.items():
        found = _tables(adapter, nearby, look.root)
        needed = {table.name for table in load_adapter(adapter).TABLES if table.is_required}
        is_named = adapter in re.sub(r"[\W_]", "", look.root.lower())
        is_sure = adapter not in _UNSURE or bool(found) or (is_named and not needed)
        if is_sure and needed <= found.keys() and all(map(has_mark, samples)):
            return Recognised(adapter, found, _missing(adapter, found), why)
    return Recognised()


def _tables(adapter: str, nearby: Sequence[Path], root: str) -> dict[str, str]:
    """Return the tables of an adapter that lie nearby: of several those of the images' split."""
    found: dict[str, str] = {}
    for name, pattern in _TABLES.get(adapter, {}).items():
        files = [str(file) for file in nearby if re.fullmatch(pattern, file.name)]
        mine = [file for file in files if _split_of(file) in ("", _split_of(root))]
        if mine or files:
            found[name] = (mine or files)[0]
    if adapter == "openimages" and "classes" not in found:  # a label without a name says nothing
        return {name: path for name, path in found.items() if name == "images"}
    return found


def _split_of(path: str) -> str:
    name = path.rstrip("/").rpartition("/")[2].lower()
    return next((split for split in _SPLITS if split in name), "")


def _missing(adapter: str, found: Mapping[str, str]) -> dict[str, str]:
    """Return what else could be joined: name and what it is."""
    tables = load_adapter(adapter).TABLES
    return {table.name: table.what for table in tables if table.name not in found}


def _nearby(root: str) -> list[Path]:
    """Return the files in a local source's root, the folders above, and those beside them."""
    if storage.is_remote(root):
        return []
    top = Path(local_path(root))
    folders = [top, *list(top.parents)[:_FOLDERS_UP]]
    return [file for folder in folders for file in _files(folder)]


def _files(folder: Path) -> list[Path]:
    """Return what is there itself: a stranger's link may lead anywhere."""
    found: list[Path] = []
    for beside in _BESIDE:
        try:
            found += islice((folder / beside).iterdir(), _MOST_ENTRIES)
        except OSError:
            continue
    return sorted(file for file in found if not file.is_symlink())


def _names(sample: Sample) -> str:
    return f"{sample.sample_id}/{sample.image_name}"


def _columns(sample: Sample) -> set[str]:
    beside = sample.fields.get("json")
    names = {*sample.fields, *(beside if isinstance(beside, Mapping) else ())}
    return {str(name).lower() for name in names}


def _is_of_the_web(sample: Sample) -> bool:
    columns = _columns(sample)
    has_text = bool(columns & {*TEXT, "txt"})
    is_logged = "url" in columns and len(columns & _LOGGED) > 1
    return bool(columns & SIMILARITY.keys()) or is_logged or ("url" in columns and has_text)


def _by_id(adapter: str) -> Callable[[Sample], bool]:
    return lambda sample: bool(load_adapter(adapter).sample_id(sample))


_MARKS: Mapping[str, tuple[Callable[[Sample], bool], str]] = {
    "imagenet": (
        lambda sample: bool(_WNID.search(_names(sample))),
        "names hold the wnids of ImageNet's classes, such as n01440764",
    ),
    "inaturalist": (
        lambda sample: bool(_TAXON.search(_names(sample))),
        "folders are called 00000_Animalia_..., as iNaturalist 2021 calls them",
    ),
    "places365": (_by_id("places365"), "images lie in folders such as /a/airfield, by scene"),
    "sa1b": (_by_id("sa1b"), "images are called sa_NUMBER, as those of SA-1B are"),
    "plantnet": (
        lambda sample: bool(_SPECIES_ID.search(_names(sample))),
        "images are called by hashes, in folders of species' numbers",
    ),
    "openimages": (
        lambda sample: bool(_HEX_16.fullmatch(sample.stem)),
        "images are called by 16 hex digits, as those of Open Images are",
    ),
    "osv5m": (
        lambda sample: bool(_DIGITS.fullmatch(sample.stem)),
        "images are called by Mapillary's numbers, and the table of OSV-5M lies nearby",
    ),
    "yfcc100m": (
        lambda sample: bool(_PHOTO.fullmatch(sample.stem)),
        "images are called by Flickr's numbers, and the lines of YFCC100M lie nearby",
    ),
    "web": (_is_of_the_web, "each image has its address and a text beside it, as img2dataset does"),
}
"""By adapter, the surest first: whether a sample may be of that data set, and what tells so."""

_UNSURE = frozenset(("openimages", "plantnet", "osv5m", "yfcc100m"))
"""Marks that other data may have too: a table has to lie nearby, or the path to name the set."""
