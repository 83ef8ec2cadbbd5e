"""A recipe made ready to run: its shards listed, its corpus opened, its fingerprint known."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from recaption import safeguards, storage
from recaption.config import Recipe, RecipeError, SourceConfig
from recaption.corpus.ledger import Committed, Ledger
from recaption.corpus.manifest import MOST_IN_PART, open_corpus, pick_version, read_manifest
from recaption.corpus.writer import Provenance
from recaption.datasets import check_tables, open_reader
from recaption.engines.identity import model_hash
from recaption.engines.preflight import check_arguments
from recaption.engines.scope import check_scope
from recaption.fingerprint import fingerprint
from recaption.prepare import Preparer
from recaption.prompts import load_prompts
from recaption.sample import Shard
from recaption.sources import list_shards, source_root
from recaption.storage.shown import location_of, text_without_secrets
from recaption.storage.spelling import is_lost_with_job
from recaption.text import printable

_TRIAL_SHARDS = 8  # from which a trial's images come, at most


@dataclass(frozen=True, slots=True)
class Job:
    """All that a run needs and its workers are told.

    `trial` is 0, or how many images a trial captions: of each shard its first part.
    """

    recipe: Recipe
    shards: tuple[Shard, ...]
    preparer: Preparer
    made_by: Provenance
    root: str
    trial: int = 0

    @property
    def ledger(self) -> Ledger:
        """The ledger of the job's version of the corpus."""
        return Ledger(self.made_by.corpus, self.made_by.fingerprint)

    def pending(self, committed: Committed) -> list[Shard]:
        """The shards that are not finished."""
        left = [s for s in self.shards if not committed.is_complete(s.name)]
        return [s for s in left if 0 not in committed.of(s.name)] if self.trial else left

    def parts_of(self, shard: Shard, committed: Committed) -> int | None:
        """How many parts of a shard are to be there in the end; None: as many as it has."""
        return 1 if self.trial else committed.count_of(shard.name)


def resolve_job(recipe: Recipe) -> Job:
    """Check a recipe against the world: model, styles, shards. Writes nothing.

    Raises RecipeError or StorageError.
    """
    caption = recipe.caption
    prompts = load_prompts(caption.styles, caption.templates, caption.language, caption.subject)
    check_arguments(recipe.engine)
    check_tables(recipe.source)
    open_reader(recipe.source)  # what is wrong with a table shows before the run
    _check_similarity("attributes", recipe.attributes.model, recipe.attributes.revision)
    _check_similarity(
        "safeguards.clip", recipe.safeguards.clip.model, recipe.safeguards.clip.revision
    )
    model = model_hash(recipe.engine)
    print_of = fingerprint(recipe, f"{prompts.digest} {safeguards.digest()}", model)
    root, shards = list_source(recipe.source)
    check_scope(recipe.engine, root)
    dataset = recipe.source.dataset or root.rstrip("/").rpartition("/")[2] or "data"
    made_by = Provenance.of(recipe, recipe.corpus.path, dataset, model, print_of, _run_id())
    return Job(recipe, tuple(shards), Preparer(recipe, prompts, dataset), made_by, root)


def _check_similarity(section: str, model: str, revision: str) -> None:
    if model:
        from recaption.similarity import check_model

        try:
            check_model(model, revision)
        except ValueError as e:
            raise RecipeError(f"{section}.model: {e}") from e


def list_source(source: SourceConfig) -> tuple[str, list[Shard]]:
    """Return a source's root and its shards. Raises RecipeError or StorageError."""
    try:
        return location_of(source_root(source)), list_shards(source)
    except storage.StorageError:
        raise
    except OSError as e:
        raise storage.explain(e, str(e.filename or source.path), "list") from e
    except ValueError as e:
        raise RecipeError(text_without_secrets(printable(str(e)))) from e


def open_job(recipe: Recipe, is_there: bool = False, limit: int | None = None) -> Job:
    """Resolve a recipe and open its corpus, which is made or checked; `is_there`: only checked.

    With a `limit`, that of a trial on so many images, see `trial_of`.
    """
    corpus = recipe.corpus.path
    if is_lost_with_job(corpus):
        raise RecipeError(
            f"corpus.path: {corpus} is in Ray's copy of the job's working directory and would go"
            " with it; give an absolute path that all nodes share, or s3://"
        )
    job = resolve_job(recipe)
    if limit is not None:
        job = trial_of(job, limit)
        recipe, corpus = job.recipe, job.made_by.corpus
    if is_there:
        read_manifest(corpus)
        pick_version(corpus, job.made_by.fingerprint)

    def is_same() -> bool:
        from recaption.corpus.moved import has_its_images

        return has_its_images(corpus, recipe.source, job.shards)

    open_corpus(recipe, job.root, job.made_by.dataset, job.made_by.fingerprint, is_same)
    return job


def trial_of(job: Job, limit: int) -> Job:
    """Return the job that captions at most `limit` images, into a corpus of its own.

    They are the first ones of up to eight shards from all over the source. Sample ids, prompts and
    seeds are the job's own, and so are the captions; but parts of another size cannot be mixed into
    its corpus, which stays untouched. The same trial again finds its corpus and continues it.
    """
    if limit < 1:
        raise RecipeError(f"--limit: expected at least 1 image, got {limit}")
    most = min(_TRIAL_SHARDS, len(job.shards), limit)
    shards = max(range(min(4, most), most + 1), key=lambda n: (limit // n * n, n))
    each = min(limit // shards, MOST_IN_PART)
    chosen = tuple(job.shards[i * len(job.shards) // shards] for i in range(shards))
    name = f"{limit}-{job.made_by.fingerprint[:8]}"
    corpus = storage.join(job.recipe.corpus.path, "trials", name)
    source = job.recipe.source.model_copy(update={"part_samples": each})
    target = job.recipe.corpus.model_copy(update={"path": corpus})
    recipe = job.recipe.model_copy(update={"source": source, "corpus": target})
    return replace(
        job,
        recipe=recipe,
        shards=chosen,
        preparer=replace(job.preparer, recipe=recipe),
        made_by=replace(job.made_by, corpus=corpus),
        trial=sum(min(each, each if s.images is None else s.images) for s in chosen),
    )


def _run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
