"""Entries of a WebDataset that `recaption export` wrote: tars with an image, `.txt` and `.json`.

It may come from a stranger. A sample that is not what an export has costs itself: its place stays,
and another image of its window stands in it (`windows.py`). Of a tar that breaks off, what is
before the fault is trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recaption.config import RecipeError, SourceConfig
from recaption.corpus.ledger import in_threads
from recaption.job import list_source
from recaption.notices import note
from recaption.sample import FULL_IMAGE, Part, Sample, Shard
from recaption.sources.base import Wanted, want_all
from recaption.sources.inside import check_shard
from recaption.sources.webdataset import read_samples
from recaption.storage import StorageError
from train.config import TrainRecipe
from train.errors import RecipeErrors, describe
from train.pairs import Entry, lost_entry, make_entry
from train.styles import wrong_styles

_LOOKED_AT = 8
"""Samples at the start of each tar that tell whether it is an export, and its styles."""


@dataclass(frozen=True, slots=True)
class ExportEntries:
    """The entries of an export. Picklable: it is sent to the reading tasks."""

    recipe: TrainRecipe
    source: SourceConfig
    shards: Mapping[str, Shard]
    images: Mapping[str, int]

    def counts(self) -> Sequence[tuple[Part, int]]:
        """Return how many samples each tar has."""
        return [(Part(name, 0), n) for name, n in self.images.items()]

    def read(self, part: Part, epoch: int) -> list[Entry]:
        """Return a tar's entries, as many as were counted. Raises StorageError."""
        shard, count = self.shards[part.shard], self.images[part.shard]
        entries: list[Entry] = []
        for sample in _samples(shard, self.source):
            if sample is not None and len(entries) < count:
                entries.append(self._entry(sample))
        gone = f"{part.shard}: fewer samples than were counted; was it replaced?"
        return entries + [lost_entry(part.name, gone)] * (count - len(entries))

    def _entry(self, sample: Sample) -> Entry:
        if sample.image is None:
            why = sample.rejection.message if sample.rejection else "it has no image"
            return lost_entry(sample.sample_id, why)
        document = sample.fields.get("json")
        try:
            rows = _rows(document)
            identity = str(document["sample_id"])  # type: ignore[index]
            whole = [row for row in rows if row["region"] == FULL_IMAGE]
            regions = [row for row in rows if row["region"] != FULL_IMAGE]
            return make_entry(identity, sample.image, whole, regions, self.recipe.data.styles)
        except Exception as e:  # whatever a stranger's document makes it raise is its own fault
            return lost_entry(sample.sample_id, f"its .json is not of an export ({describe(e)})")


def _rows(document: object) -> list[dict[str, Any]]:
    """Return the captions of a sample's document, each with what they share. Raises ValueError."""
    captions = document.get("captions") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(captions, list) or not captions:
        raise ValueError("no captions in it")
    names = ("width", "height", "alt_text", "class_names")
    shared = {name: document.get(name) for name in names}
    return [shared | row for row in captions if isinstance(row, dict)]


def _samples(
    shard: Shard, source: SourceConfig, wanted: Wanted = want_all
) -> Iterator[Sample | None]:
    """Yield the samples of a tar up to where it breaks. Raises StorageError."""
    check_shard(shard, source)
    samples = read_samples(shard, source, wanted)
    while True:
        try:
            yield next(samples)
        except StopIteration:
            return
        except StorageError:
            raise
        except Exception as e:  # a broken tar: what comes before the fault is good
            note("tars that break off; what is behind is not trained on", f"{shard.name}: {e}")
            return


@dataclass(slots=True)
class _Tar:
    """What is known of a tar before it is trained on."""

    count: int = 0
    good: int = 0
    styles: dict[str, None] = field(default_factory=dict)


def open_export_entries(recipe: TrainRecipe) -> ExportEntries:
    """List an export and count its samples. Raises RecipeError or StorageError."""
    source = SourceConfig(path=recipe.data.export, kind="webdataset")
    shards = {shard.name: shard for shard in list_source(source)[1]}

    def look(shard: Shard) -> _Tar:
        return _look(shard, source)

    tars = dict(zip(shards, in_threads(look, list(shards.values())), strict=True))
    if not any(tar.good for tar in tars.values()):
        raise RecipeError(
            f"{recipe.data.export}: its tars hold no image beside a .json with captions; expected"
            " what `recaption export CORPUS --to webdataset` writes"
        )
    styles = list(dict.fromkeys(style for tar in tars.values() for style in tar.styles))
    wrong = wrong_styles(recipe, styles, "the export")
    if wrong:
        raise RecipeErrors(wrong)
    counts = {name: tar.count for name, tar in tars.items()}
    return ExportEntries(recipe, source, shards, counts)


def _look(shard: Shard, source: SourceConfig) -> _Tar:
    """Count the samples of a tar, and look at the first ones; bodies of others are not loaded."""
    tar = _Tar()
    for sample in _samples(shard, source, lambda ordinal: ordinal < _LOOKED_AT):
        tar.count += 1
        if sample is None or sample.image is None:
            continue
        try:
            rows = _rows(sample.fields.get("json"))
        except ValueError:
            continue
        tar.good += 1
        tar.styles |= {str(row.get("style")): None for row in rows}
    return tar
