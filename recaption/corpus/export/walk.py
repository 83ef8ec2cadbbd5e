"""A corpus's images with the captions chosen of each, part by part, counted on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from recaption import storage
from recaption.config import RecipeError, SourceConfig
from recaption.corpus.export.images import readable, suffix_of, tells_place
from recaption.corpus.export.progress import Ticker
from recaption.corpus.export.rows import credits_of
from recaption.corpus.export.selection import Selection
from recaption.corpus.joined import JoinedSample, Rows, rows_by_sample, with_images
from recaption.corpus.ledger import CommitRecord, in_threads
from recaption.corpus.reader import CorpusReader
from recaption.decode import DecodeError
from recaption.job import list_source
from recaption.sample import Part, Shard

_MOST_LICENCES = 10_000
_MOST_TEMPLATES = 100


@dataclass(frozen=True, slots=True)
class Chosen:
    """An image of an export, with the captions chosen of it: at least one."""

    sample_id: str
    image: bytes
    suffix: str
    captions: Rows


@dataclass(slots=True)
class Tally:
    """What an export wrote, and what it left out, by why."""

    images: int = 0
    captions: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    templates: set[tuple[str, str, str]] = field(default_factory=set)  # style, template, its hash

    def add(self, captions: Rows) -> None:
        """Count an image with its captions."""
        self.images += 1
        self.captions += len(captions)
        if len(self.templates) < _MOST_TEMPLATES:
            self.templates |= {(c["style"], c["template"], c["template_hash"]) for c in captions}
        licence = credits_of(captions[0])["licence"]
        known = licence in self.licences or len(self.licences) < _MOST_LICENCES
        self.licences[licence if known else "others"] += 1


@dataclass(slots=True)
class Walk:
    """Reads a corpus for an export.

    `is_found` leaves images as they were found; `is_published` takes out where they were taken.
    """

    reader: CorpusReader
    source: SourceConfig
    selection: Selection
    ticker: Ticker
    is_found: bool = False
    is_published: bool = False
    tally: Tally = field(default_factory=Tally)

    def parts(self) -> Iterator[tuple[Part, list[Chosen]]]:
        """Yield each part with its images in order. Raises StorageError, RecipeError."""
        shards = list_shards(self.reader.corpus, self.source)
        for part, records in self.reader.iter_parts():
            chosen = choose(self.reader, records, self.selection, self.tally)
            found = self._read(shards, part, chosen, self.tally)
            for one in found:
                self.tally.add(one.captions)
            yield part, found
            self.ticker.tick(len(found))

    def image_bytes(self, looked_at: int = 4) -> int:
        """Estimate the bytes of all images from those of a few parts, spread over the corpus."""
        parts = list(self.reader.committed())
        few = parts[:: max(1, len(parts) // looked_at)]
        shards, total = list_shards(self.reader.corpus, self.source), 0
        for part in few:
            chosen = choose(self.reader, self.reader.records(part), self.selection, Tally())
            total += sum(len(one.image) for one in self._read(shards, part, chosen, Tally()))
        return total * len(parts) // max(1, len(few))

    def _read(
        self, shards: Mapping[str, Shard], part: Part, chosen: dict[str, Rows], tally: Tally
    ) -> list[Chosen]:
        found = list(with_images(self.source, shards, part, chosen))
        if self.is_published and not self.is_found:
            places = sum(tells_place(one.image) for one in found)
            tally.left_out["places where images were taken"] += places
        encoded = list(in_threads(self._encode, found))
        tally.left_out["images that cannot be decoded"] += encoded.count(None)
        return [one for one in encoded if one is not None]

    def _encode(self, one: JoinedSample) -> Chosen | None:
        if self.is_found:
            image, suffix = one.image, suffix_of(one.captions[0]["image_format"])
        else:
            try:
                image, suffix = readable(one.image, self.is_published)
            except DecodeError:
                return None
        return Chosen(one.sample.sample_id, image, suffix, one.captions)


def choose(
    reader: CorpusReader, records: list[CommitRecord], selection: Selection, tally: Tally
) -> dict[str, Rows]:
    """Return what is chosen of a part's captions by sample, in the order of the shard."""
    table = reader.captions(records).sort_by("ordinal")
    chosen: dict[str, Rows] = {}
    for sample_id, rows in rows_by_sample(table).items():
        if taken := selection.choose(rows, tally.left_out):
            chosen[sample_id] = taken
        else:
            tally.left_out["images of which no caption was chosen"] += 1
    without = records[0].rejected - sum(record.recovered for record in records[1:])
    tally.left_out["images without a caption"] += without
    return chosen


def list_shards(corpus: str, source: SourceConfig) -> dict[str, Shard]:
    """List the shards that a corpus's images are in. Raises RecipeError where they are gone."""
    try:
        return {shard.name: shard for shard in list_source(source)[1]}
    except (RecipeError, storage.StorageError) as e:
        raise RecipeError(
            f"the corpus's images: {e}; if they moved, give their place now as --source, or for"
            f" good: `recaption move {corpus} --source PLACE`"
        ) from e
