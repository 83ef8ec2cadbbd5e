"""What is fixed of a corpus when it is made, and the check that a run fits it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from recaption import storage
from recaption.config import Recipe, RecipeError, nearest
from recaption.corpus.damage import damaged, read_as
from recaption.recipe_file import parse_recipe, parse_yaml, to_yaml
from recaption.storage.shown import location_of
from recaption.storage.spelling import is_same_place

FORMAT = 1
MOST_IN_PART = 65_536  # samples


@dataclass(frozen=True, slots=True)
class Manifest:
    """The identity of a corpus: what its sample ids and part numbers mean."""

    format: int
    dataset: str
    root: str
    part_samples: int
    created: str


def read_manifest(corpus: str) -> Manifest:
    """Read CORPUS/corpus.json. Raises StorageError or RecipeError."""
    url = storage.own(corpus, "corpus.json")
    if not storage.exists(url):
        raise RecipeError(f"{corpus}: not a corpus, it has no corpus.json; check the path")
    manifest = read_as(url, Manifest)
    if not 1 <= manifest.part_samples <= MOST_IN_PART:
        raise damaged(url, f"part_samples: got {manifest.part_samples}")
    if manifest.format != FORMAT:
        raise RecipeError(
            f"{corpus}: corpus format {manifest.format}, this program reads format {FORMAT}"
        )
    return manifest


def open_corpus(
    recipe: Recipe,
    root: str,
    dataset: str,
    fingerprint: str,
    is_same: Callable[[], bool] = lambda: False,
) -> Manifest:
    """Make a corpus, or check that this recipe continues the one that is there.

    `is_same` is asked where the images are in another place than they were: whether they are those
    that were captioned.
    """
    corpus = recipe.corpus.path
    wanted = Manifest(
        format=FORMAT,
        dataset=dataset,
        root=root,
        part_samples=recipe.source.part_samples,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    url = storage.join(corpus, "corpus.json")
    if not storage.exists(url):
        storage.put_if_absent(url, json.dumps(asdict(wanted), indent=1).encode())
    found = read_manifest(corpus)
    _check(corpus, found, wanted, is_same)
    versions = list_versions(corpus)
    if versions and fingerprint not in versions and recipe.corpus.on_change == "error":
        raise RecipeError(_changed(corpus, versions, fingerprint))
    storage.put_if_absent(recipe_url(corpus, fingerprint), to_yaml(recipe).encode())
    return found


def list_versions(corpus: str) -> list[str]:
    """Return the fingerprints of the corpus's versions, sorted."""
    names = storage.list_own(corpus, "recipes")
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def recipe_url(corpus: str, fingerprint: str) -> str:
    """Where a version keeps its recipe."""
    return storage.own(corpus, "recipes", f"{fingerprint}.yaml")


def read_recipe(corpus: str, fingerprint: str) -> Recipe:
    """Read the recipe that made a version."""
    url = recipe_url(corpus, fingerprint)
    return parse_recipe(parse_yaml(storage.read_bytes(url), url), url, is_stored=True)


def pick_version(corpus: str, fingerprint: str = "", key: str = "--version") -> str:
    """Return the version asked for by `key`, or the only one. Raises RecipeError."""
    versions = list_versions(corpus)
    if not versions:
        raise RecipeError(f"{corpus}: no caption has been written yet")
    if not fingerprint and len(versions) == 1:
        return versions[0]
    matches = [v for v in versions if fingerprint and v.startswith(fingerprint)]
    if len(matches) == 1:
        return matches[0]
    if fingerprint and not matches:
        close = nearest(fingerprint, versions)
        raise RecipeError(
            f"{corpus}: no version {fingerprint!r}{close} (versions: {', '.join(versions)})"
        )
    raise RecipeError(
        f"{corpus}: has {len(versions)} versions, name one with {key}: {', '.join(versions)}"
    )


def _check(corpus: str, found: Manifest, wanted: Manifest, is_same: Callable[[], bool]) -> None:
    if found.part_samples != wanted.part_samples:
        raise RecipeError(
            f"{corpus}: its parts have {found.part_samples} samples, the recipe says"
            f" source.part_samples={wanted.part_samples}; use {found.part_samples}, or another"
            " corpus.path"
        )
    if found.dataset != wanted.dataset:
        raise RecipeError(
            f"{corpus}: holds data set {found.dataset!r}, the recipe reads {wanted.dataset!r};"
            f" set source.dataset={found.dataset} if it is the same, or another corpus.path"
        )
    old = location_of(found.root)  # it had passwords in it once
    if old != wanted.root and not is_same_place(old, wanted.root) and not is_same():
        raise RecipeError(
            f"{corpus}: shard names are paths below {found.root}, this recipe's are below"
            f" {wanted.root}; if the images moved: `recaption move {corpus} --source"
            f" {wanted.root}`, else set source.root to the folder that is the same in both"
        )


def _changed(corpus: str, versions: list[str], fingerprint: str) -> str:
    return (
        f"{corpus}: made by recipe {', '.join(versions)}, this recipe is {fingerprint}: model,"
        " prompts, sampling, image preparation, hints or seed differ (compare with"
        f" recipes/{versions[-1]}.yaml there), or it was made by a recaption that read shards"
        " otherwise; take another corpus.path, or corpus.on_change=new to keep both versions in"
        " this corpus"
    )
