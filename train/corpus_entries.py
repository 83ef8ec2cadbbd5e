"""Entries of a caption corpus, joined to its images part by part."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from recaption.config import Recipe, RecipeError, SourceConfig
from recaption.corpus.joined import joined
from recaption.corpus.ledger import Ledger
from recaption.corpus.manifest import read_recipe
from recaption.corpus.origin import source_of
from recaption.corpus.reader import CorpusReader
from recaption.corpus.regions import RegionLedger
from recaption.corpus.schema import CAPTIONS
from recaption.corpus.tables import read_captions
from recaption.job import list_source
from recaption.sample import Part, Shard
from recaption.storage import StorageError
from train.config import TrainRecipe
from train.doing import doing, tell_how_far
from train.errors import RecipeErrors
from train.pairs import Entry, make_entry, unit_of
from train.styles import wrong_styles

_OF_REGIONS = ("sample_id", "region", "style", "slot", "caption", "mean_logprob")
_OF_IMAGES = ("image_sha256", "width", "height", "alt_text", "class_names", *_OF_REGIONS)
_POLL_S = 0.5

Failure = Callable[[], str]
"""Says why the captioners of crops gave up, '' while they did not."""


@dataclass(frozen=True, slots=True)
class CorpusEntries:
    """The entries of one version of a corpus. Picklable: it is sent to the reading tasks.

    `parts` maps each part to its images and to how often it was replayed. `failure` is asked while
    captions of crops are waited for.
    """

    recipe: TrainRecipe
    made_by: Recipe
    dataset: str
    corpus: str
    fingerprint: str
    source: SourceConfig
    shards: Mapping[str, Shard]
    parts: Mapping[Part, tuple[int, int]]
    failure: Failure | None = field(default=None, compare=False)

    def counts(self) -> Sequence[tuple[Part, int]]:
        """Return how many captioned images each part has."""
        return [(part, images) for part, (images, _) in self.parts.items()]

    def read(self, part: Part, epoch: int) -> list[Entry]:
        """Return a part's entries, with the captions of crops that it has by now.

        Raises StorageError where images or captions cannot be read or are not what they were.
        """
        images, retries = self.parts[part]
        ledger = Ledger(self.corpus, self.fingerprint)
        captions = read_captions(ledger, ledger.chain(part, retries + 1), _some(_OF_IMAGES))
        of_regions = self._regions(part, epoch)
        styles = self.recipe.data.styles
        entries = [
            make_entry(
                one.sample.sample_id,
                one.image,
                one.captions,
                of_regions.get(one.sample.sample_id, []),
                styles,
            )
            for one in joined(self.source, self.shards, part, captions)
        ]
        if len(entries) != images:
            raise StorageError(
                f"{part.name}: {len(entries)} captioned images were found, its commit records"
                f" count {images}; was it captioned further meanwhile? Start again"
            )
        return entries

    def _regions(self, part: Part, epoch: int) -> dict[str, list[dict[str, Any]]]:
        """Return the captions of a part's crops by sample id."""
        recipe = self.recipe
        if recipe.crops.whole >= 1 or not recipe.recaption.enabled:
            return {}
        ledger = RegionLedger(self.corpus, self.fingerprint)
        unit = unit_of(recipe, epoch)
        is_there = ledger.has(part, unit)
        if not is_there and recipe.recaption.when_missing == "wait":
            self._wait(ledger, part, unit)
            is_there = True
        units = {unit} if is_there else set()
        if recipe.recaption.when_missing == "overlap":
            units |= ledger.of_part(part)
        by_sample: dict[str, list[dict[str, Any]]] = {}
        rows = ledger.captions(part, units, _some(_OF_REGIONS)).to_pylist()
        for row in sorted(rows, key=lambda r: (r["region"], r["style"], r["slot"])):
            by_sample.setdefault(row["sample_id"], []).append(row)
        return by_sample

    def _wait(self, ledger: RegionLedger, part: Part, unit: str) -> None:
        """Wait until the captions of a part's crops are there."""
        config = self.recipe.recaption
        deadline = time.monotonic() + config.wait_s
        while not ledger.has(part, unit):
            why = self.failure() if self.failure else _NOBODY
            if not why and time.monotonic() > deadline:
                why = f"none came in recaption.wait_s={config.wait_s:g} seconds"
            if why:
                raise StorageError(
                    f"{part.name}: its crops have no captions ({unit}), and"
                    f" recaption.when_missing=wait: {why}"
                )
            time.sleep(_POLL_S)


_NOBODY = "no captioner runs; set recaption.is_live=true, or another recaption.when_missing"


def _some(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([CAPTIONS.field(name) for name in columns])


def open_corpus_entries(recipe: TrainRecipe) -> CorpusEntries:
    """Check a recipe's corpus against its images. Raises RecipeError or StorageError."""
    data = recipe.data
    reader = CorpusReader(data.corpus, data.version, key="data.version")
    made_by = read_recipe(data.corpus, reader.fingerprint)
    wrong = wrong_styles(recipe, made_by.caption.styles, "the corpus")
    source = source_of(data.corpus, made_by.source, data.images, "data.images")
    shards = {shard.name: shard for shard in _list(source)}
    committed = reader.committed()
    images: dict[Part, int] = {}
    there = committed.count()
    with doing("counting the captioned images"):
        for number, record in enumerate(reader.ledger.records(committed)):
            tell_how_far(number, there)
            more = record.recovered if record.retry else record.captioned
            images[record.part] = images.get(record.part, 0) + more
    gone = sorted({part.shard for part, n in images.items() if n and part.shard not in shards})
    if gone:
        wrong.append(
            f"{data.corpus}: images of {len(gone)} of its shards are missing, such as {gone[0]};"
            f" looked in {source.path}; give their place now as data.images, or for good by"
            f" `recaption move {data.corpus} --source PLACE`"
        )
    if not any(images.values()):
        wrong.append(f"{data.corpus}: no image in it has a caption; see `recaption status`")
    if wrong:
        raise RecipeErrors(wrong)
    parts = {part: (n, committed.last_retry(part)) for part, n in images.items()}
    return CorpusEntries(
        recipe=recipe,
        made_by=made_by,
        dataset=reader.manifest.dataset,
        corpus=data.corpus,
        fingerprint=reader.fingerprint,
        source=source,
        shards=shards,
        parts=parts,
    )


def _list(source: SourceConfig) -> list[Shard]:
    try:
        return list_source(source)[1]
    except (RecipeError, StorageError) as e:
        raise RecipeError(f"the corpus's images: {e}; give their place now as data.images") from e
