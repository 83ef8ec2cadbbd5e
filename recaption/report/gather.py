"""What the report shows, gathered from a corpus without reading all of it.

Counts come from the commit records, distributions and examples from a random choice of parts,
images from the shards. Memory is bounded by one part's captions, the examples, and a few numbers
for each of at most `MEASURED` captions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from recaption import storage
from recaption.config import Recipe, SourceConfig
from recaption.corpus.manifest import list_versions, read_manifest, recipe_url
from recaption.corpus.origin import source_of
from recaption.corpus.reader import CorpusReader
from recaption.job import list_source
from recaption.recipe_file import parse_recipe, parse_yaml
from recaption.recipe_yaml import write_yaml
from recaption.report.cards import Card, Reject
from recaption.report.census import Census, take_census
from recaption.report.examples import RejectKind, look_into_captions, look_into_rejects
from recaption.report.measure import MadeBy, Measures
from recaption.report.pictures import Picture, Wanted, Whereabouts, load_pictures
from recaption.report.runs import Runs, read_runs
from recaption.report.truth import Truth, TruthLine
from recaption.storage.shown import settings_without_secrets, without_secrets

log = logging.getLogger(__name__)

PARTS = 50
"""Parts whose captions are looked into; more where parts are so small that samples lack."""

_MORE_PARTS = 1000


@dataclass(slots=True)
class Findings:
    """All that the page shows."""

    corpus: str
    dataset: str
    created: str
    fingerprint: str = ""
    versions: tuple[str, ...] = ()
    recipe: str = ""
    styles: tuple[str, ...] = ()
    census: Census = field(default_factory=Census)
    measures: Measures = field(default_factory=Measures)
    runs: Runs = field(default_factory=Runs)
    cards: list[Card] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    reject_kinds: dict[str, RejectKind] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    truth: Sequence[TruthLine] = ()

    @property
    def is_all_measured(self) -> bool:
        """Whether the distributions are of every caption."""
        return self.captions == self.measures.captions

    @property
    def captions(self) -> int:
        """Captions in the version."""
        return self.census.scaled(self.census.captions)

    def picture_of(self, sample_id: str) -> Picture:
        """The picture of a sample that is shown."""
        return self.pictures.get(sample_id, Picture(note="not looked for"))


def gather(
    corpus: str, samples: int, version: str, seed: int, given: str = "", truth: Truth | None = None
) -> Findings:
    """Look into a version of a corpus. Raises RecipeError where there is no such thing.

    `given` is where its images are, as the user says; else they are where it may name them itself.
    """
    manifest = read_manifest(corpus)
    versions = tuple(list_versions(corpus))
    found = Findings(without_secrets(corpus), manifest.dataset, manifest.created, versions=versions)
    if not versions:
        return found
    reader = CorpusReader(corpus, version)
    found.fingerprint = reader.fingerprint
    found.recipe, recipe = _read_recipe(corpus, reader.fingerprint)
    found.styles = tuple(recipe.caption.styles) if recipe else ()
    found.runs = read_runs(corpus, reader.fingerprint)
    looked_into = max(PARTS, min(_MORE_PARTS, 2 * samples // manifest.part_samples))
    found.census = take_census(reader, looked_into, seed)
    found.truth = truth.lines() if truth else ()
    _look_into(reader, found, samples, seed, truth)
    if recipe and not found.measures.made_by:
        engine = recipe.engine
        asked = MadeBy(engine.model or engine.kind, engine.revision, engine.kind, "")
        found.measures.made_by.add(asked)
    source = recipe.source if recipe else None
    wanted = {w.sample_id: w for w in _wanted(found)}
    found.pictures = load_pictures(wanted.values(), source, _whereabouts(reader, source, given))
    return found


def _whereabouts(reader: CorpusReader, source: SourceConfig | None, given: str) -> Whereabouts:
    """Say where shards are looked for. Raises RecipeError or StorageError for what was given."""
    root = reader.manifest.root
    if not given or source is None:
        return Whereabouts(reader.corpus, root)
    shards = list_source(source_of(reader.corpus, source, given))[1]
    return Whereabouts(reader.corpus, root, {shard.name: shard.url for shard in shards})


def _look_into(
    reader: CorpusReader, found: Findings, samples: int, seed: int, truth: Truth | None
) -> None:
    captions = look_into_captions(reader, found.census.chosen, samples, seed)
    rejects = look_into_rejects(reader, found.census.chosen_for_rejects, seed)
    measured = set(captions.measures.styles)
    found.styles = (*found.styles, *sorted(measured - set(found.styles)))
    found.measures = captions.measures
    found.cards = captions.cards(found.styles, truth)
    found.rejects, found.reject_kinds = rejects.examples, rejects.kinds


def _wanted(found: Findings) -> Iterator[Wanted]:
    samples = [card.sample for card in found.cards] + [reject.sample for reject in found.rejects]
    for s in samples:
        yield Wanted(s.sample_id, s.shard, s.shard_url, s.ordinal, s.sha256)


def _read_recipe(corpus: str, fingerprint: str) -> tuple[str, Recipe | None]:
    """Return a version's recipe as text without secrets; parsed too, where this program can."""
    url = recipe_url(corpus, fingerprint)
    text = storage.read_bytes(url)
    try:
        data = parse_yaml(text, url)
        printed = write_yaml(settings_without_secrets(data))
        return printed, parse_recipe(data, url, is_stored=True)
    except ValueError as error:
        log.warning("the report shows no images: %s", error)
        return f"# cannot be read by this program: {error}", None
