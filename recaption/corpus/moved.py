"""A corpus whose images are elsewhere now: told once, and every command finds them again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime

from recaption import storage
from recaption.config import RecipeError, SourceConfig
from recaption.corpus.joined import joined
from recaption.corpus.ledger import Ledger
from recaption.corpus.manifest import list_versions, read_manifest, read_recipe, recipe_url
from recaption.corpus.reader import CorpusReader
from recaption.job import list_source
from recaption.notices import note
from recaption.recipe_file import to_yaml
from recaption.sample import Shard


def move_source(corpus: str, place: str) -> tuple[str, int]:
    """Enter the new place of a corpus's images; return its root and how many shards it has.

    `place` is what `source.path` would say now. All captioned shards must be there, and the images
    of a part must be those that were captioned. The manifest as it was stays in moves/. Raises
    RecipeError or StorageError, and changes nothing then.
    """
    manifest = read_manifest(corpus)
    _check_is_quiet(corpus)
    versions = list_versions(corpus)
    if not versions:
        raise RecipeError(f"{corpus}: no caption has been written yet; caption into another corpus")
    recipes = {version: read_recipe(corpus, version) for version in versions}
    sources = {
        version: recipe.source.model_copy(update={"path": place, "root": ""})
        for version, recipe in recipes.items()
    }
    root, shards = "", 0
    for version, source in sources.items():
        root, listed = list_source(source)
        found = {shard.name: shard for shard in listed}
        shards = max(shards, len(found))
        committed = set(Ledger(corpus, version).committed().parts)
        _check_shards(corpus, manifest.root, root, committed, found)
        _check_images(CorpusReader(corpus, version), source, found)
    old = json.dumps(asdict(manifest), indent=1).encode()
    kept = storage.own(corpus, "moves", f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.json")
    storage.put_if_absent(kept, old)
    # The recipes first: they say where to read, the root only what a run must agree with.
    for version, recipe in recipes.items():
        moved = recipe.model_copy(update={"source": sources[version]})
        storage.write_bytes(recipe_url(corpus, version), to_yaml(moved).encode())
    new = json.dumps(asdict(replace(manifest, root=root)), indent=1).encode()
    storage.write_bytes(storage.own(corpus, "corpus.json"), new)
    return root, shards


def has_its_images(corpus: str, source: SourceConfig, shards: Iterable[Shard]) -> bool:
    """Say whether a source has a corpus's captioned shards, and in one part the very images."""
    found = {shard.name: shard for shard in shards}
    versions = list_versions(corpus)
    if any(Ledger(corpus, version).committed().parts.keys() - found for version in versions):
        return False
    try:
        compared = [_check_images(CorpusReader(corpus, one), source, found) for one in versions]
    except storage.StorageError:
        return False
    if any(compared):
        note(
            "the images are in another place than when they were captioned; `recaption move`"
            " tells the corpus for good",
            corpus,
        )
    return any(compared)


def _check_is_quiet(corpus: str) -> None:
    from recaption.status import read_runs

    live = read_runs(corpus)[1]
    if live:
        raise storage.StorageError(
            f"{corpus}: run {live[0]['run_id']} on {live[0]['host']} is at work; move when it has"
            " ended"
        )


def _check_shards(
    corpus: str, old: str, new: str, committed: set[str], found: dict[str, Shard]
) -> None:
    missing = sorted(committed - found.keys())
    if missing:
        raise RecipeError(
            f"{corpus}: {len(missing):,} of its {len(committed):,} captioned shards are not below"
            f" {new}, such as {missing[0]}; give as --source what {old} has become"
        )


def _check_images(reader: CorpusReader, source: SourceConfig, found: dict[str, Shard]) -> bool:
    """Compare the images of the first part with captions to what was captioned, if there is one.

    Raises StorageError where they are others.
    """
    for part, records in reader.iter_parts():
        captions = reader.captions(records)
        if captions.num_rows:
            for _ in joined(source, found, part, captions):
                pass
            return True
    return False
