"""Entries of a WebDataset that `recaption export` wrote: tars with `.jpg`, `.txt` and `.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recaption.config import RecipeError, SourceConfig
from recaption.corpus.ledger import in_threads
from recaption.job import list_source
from recaption.sample import FULL_IMAGE, Part, Sample, Shard
from recaption.sources import read_parts
from recaption.sources.tar import open_tar
from recaption.storage import StorageError
from train.config import TrainRecipe
from train.pairs import Entry, make_entry

_WHOLE_TAR = 65_536
"""Samples of a part, at most: an exported tar is one part."""


@dataclass(frozen=True, slots=True)
class ExportEntries:
    """The entries of an export. Picklable: it is sent to the reading tasks."""

    recipe: TrainRecipe
    source: SourceConfig
    shards: Mapping[str, Shard]
    images: Mapping[str, int]

    def counts(self) -> Sequence[tuple[Part, int]]:
        """Return how many images each tar has."""
        return [(Part(name, 0), n) for name, n in self.images.items()]

    def read(self, part: Part, epoch: int) -> list[Entry]:
        """Return a tar's entries. Raises StorageError where it is not what was exported."""
        read = next(read_parts(self.shards[part.shard], self.source))
        if read.fault:
            raise StorageError(read.fault)
        return [self._entry(part, sample) for sample in read.samples]

    def _entry(self, part: Part, sample: Sample) -> Entry:
        document = sample.fields.get("json")
        where = f"{part.shard}: {sample.key}"
        if sample.image is None or not isinstance(document, dict):
            raise StorageError(f"{where} has no image or no .json: not a set that was exported")
        captions = [dict(row) for row in document.get("captions") or []]
        if not captions:
            raise StorageError(f"{where}.json has no captions: nothing to train on")
        shared: dict[str, Any] = {
            name: document.get(name) for name in ("width", "height", "alt_text", "class_names")
        }
        # an export has an empty name in place of none, for readers that guess types
        shared["class_names"] = [name for name in shared["class_names"] or () if name]
        rows = [shared | row for row in captions if row["region"] == FULL_IMAGE]
        regions = [row for row in captions if row["region"] != FULL_IMAGE]
        styles = self.recipe.data.styles
        there = {row["style"] for row in rows}
        if styles and not there.intersection(styles):
            raise StorageError(
                f"{where} has no caption in the styles {', '.join(styles)} of data.styles"
                f" (it has {', '.join(sorted(there))})"
            )
        return make_entry(str(document["sample_id"]), sample.image, rows, regions, styles)


def open_export_entries(recipe: TrainRecipe) -> ExportEntries:
    """List an export and count its images. Raises RecipeError or StorageError."""
    source = SourceConfig(path=recipe.data.export, kind="webdataset", part_samples=_WHOLE_TAR)
    shards = {shard.name: shard for shard in list_source(source)[1]}
    counts = dict(zip(shards, in_threads(_count, list(shards.values())), strict=True))
    if not any(counts.values()):
        raise RecipeError(
            f"{recipe.data.export}: its tars hold no .json beside an image; expected what"
            " `recaption export CORPUS --to webdataset` writes"
        )
    return ExportEntries(recipe, source, shards, counts)


def _count(shard: Shard) -> int:
    """Count the samples of a tar by its member names."""
    count = 0
    with open_tar(shard) as tar:
        while (member := tar.next()) is not None:
            count += member[0].endswith(".json")
    return count
