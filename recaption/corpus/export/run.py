"""An export from start to end: checked, written, counted."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from recaption import storage
from recaption.config import Recipe, RecipeError, nearest
from recaption.corpus.export.by_part import export_parquet, export_webdataset
from recaption.corpus.export.folder import IMAGES, export_folder, export_imagefolder
from recaption.corpus.export.hub import export_hub
from recaption.corpus.export.jsonl import export_jsonl
from recaption.corpus.export.lance import export_lance
from recaption.corpus.export.progress import Ticker
from recaption.corpus.export.push import check_push, push
from recaption.corpus.export.selection import Selection
from recaption.corpus.export.walk import Tally, Walk
from recaption.corpus.manifest import read_recipe
from recaption.corpus.origin import source_of
from recaption.corpus.reader import CorpusReader
from recaption.corpus.regions import RegionLedger
from recaption.output import STDOUT, file_to_write, spell
from recaption.storage.paths import TEMPORARY_SUFFIX

FORMATS = ("webdataset", "parquet", "jsonl", "folder", "imagefolder", "hub", "lance")
_AS_FOUND = ("webdataset", "parquet")
_EXT = re.compile(r"\.[A-Za-z0-9_-]{1,20}")


@dataclass(frozen=True, slots=True)
class Target:
    """What is written where. Raises RecipeError for what does not go together.

    `source` is where the images are, if not where the corpus says; `images` is `found` or
    `readable`, by default as the format wants; `ext` is of caption files; `push` names a data set
    on the hub.
    """

    to: str
    out: str
    source: str = ""
    images: str = ""
    ext: str = ""
    push: str = ""
    is_public: bool = False

    def __post_init__(self) -> None:
        if self.to not in FORMATS:
            close = nearest(self.to, FORMATS)
            raise RecipeError(f"--to: expected {', '.join(FORMATS)}, got {self.to!r}{close}")
        if self.out == STDOUT and self.to != "jsonl":
            raise RecipeError(f"--out -: {self.to} is a folder of files; jsonl goes to stdout")
        if self.images not in ("", "found", "readable"):
            raise RecipeError(f"--images: expected found or readable, got {self.images!r}")
        self._needs("--ext", self.ext, "folder")
        self._needs("--push", self.push, "hub")
        self._needs("--public", self.is_public and not self.push, "hub --push USER/NAME")
        if self.ext and not self.ext.startswith("."):
            object.__setattr__(self, "ext", f".{self.ext}")
        if self.ext and (not _EXT.fullmatch(self.ext) or self.ext.lower() in IMAGES):
            raise RecipeError(f"--ext: got {self.ext!r}, expected a suffix such as .txt, .caption")

    def _needs(self, option: str, value: object, to: str) -> None:
        if value and self.to != to:
            raise RecipeError(f"{option}: goes with --to {to} alone, got --to {self.to}")

    @property
    def is_found(self) -> bool:
        """Whether images stay as they were found."""
        return self.images == "found" or (not self.images and self.to in _AS_FOUND)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote; `notes` are what its user should hear."""

    tally: Tally
    notes: list[str] = field(default_factory=list)


def run_export(
    reader: CorpusReader, target: Target, selection: Selection, console: Console
) -> Exported:
    """Export a corpus. Raises RecipeError or StorageError.

    Where there is nothing to write, nothing is: readers choke on empty files.
    """
    recipe = read_recipe(reader.corpus, reader.fingerprint)
    selection.check(recipe)
    unit = "captions" if target.to == "jsonl" else "images"
    ticker = Ticker(console, reader.committed().count(), unit)
    if target.to == "jsonl":
        with ticker.showing():
            return Exported(_write_jsonl(reader, target.out, selection, ticker), _crops(reader))
    place = spell(target.source, "--source") if target.source else ""
    source = source_of(reader.corpus, recipe.source, place)
    walk = Walk(reader, source, selection, ticker, target.is_found, target.to == "hub")
    with ticker.showing():
        notes = _write(walk, target, spell(target.out, "--out"), recipe)
    return Exported(walk.tally, [*notes, *_crops(reader)])


def _write(walk: Walk, target: Target, out: str, recipe: Recipe) -> list[str]:
    match target.to:
        case "webdataset":
            export_webdataset(walk, out)
        case "parquet":
            export_parquet(walk, out)
        case "folder":
            export_folder(walk, out, target.ext or ".txt")
        case "imagefolder":
            export_imagefolder(walk, out)
        case "lance":
            export_lance(walk, out)
        case "hub":
            return _write_hub(walk, target, out, recipe)
    return []


def _write_hub(walk: Walk, target: Target, out: str, recipe: Recipe) -> list[str]:
    if not target.push:
        return export_hub(walk, out, recipe)
    check_push(target.push, out)
    notes = export_hub(walk, out, recipe)
    if walk.tally.images:
        notes.append(f"pushed to {push(out, target.push, target.is_public)}")
    return notes


def _crops(reader: CorpusReader) -> list[str]:
    """Say that captions of crops, which trainers make themselves, are in no export."""
    units = RegionLedger(reader.corpus, reader.fingerprint).committed().values()
    crops = sum(map(len, units))
    return [f"captions of crops are not exported: of {crops:,} crops of parts"] if crops else []


def _write_jsonl(reader: CorpusReader, out: str, selection: Selection, ticker: Ticker) -> Tally:
    path = file_to_write(out, "an export to jsonl", lambda head: head.startswith(b'{"dataset": '))
    if path == STDOUT:
        return export_jsonl(reader, sys.stdout.buffer, selection, ticker)
    if not storage.is_remote(path):
        return _write_local_jsonl(reader, Path(path), selection, ticker)
    with tempfile.TemporaryFile() as file:
        tally = export_jsonl(reader, file, selection, ticker)
        file.seek(0)
        if tally.images:
            storage.write_bytes(path, file.read())
    return tally


def _write_local_jsonl(
    reader: CorpusReader, path: Path, selection: Selection, ticker: Ticker
) -> Tally:
    """Write beside the target and rename, so that half an export never has its name."""
    beside = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            tally = export_jsonl(reader, file, selection, ticker)
        if tally.images:
            beside.replace(path)
    except OSError as e:
        raise storage.explain(e, str(path), "write") from e
    finally:
        with suppress(OSError):
            beside.unlink()
    return tally
