"""A recipe run by a user's program, as `recaption caption` runs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recaption import recipe_file
from recaption.config import Recipe
from recaption.recipe_file import apply_overrides, parse_recipe

if TYPE_CHECKING:
    from recaption.summary import Summary

Sections = Mapping[str, Any]
"""The sections of a recipe as nested mappings: {"source": {"path": "photos"}, ...}."""


def load_recipe(recipe: str | Path | Sections, overrides: Iterable[str] = ()) -> Recipe:
    """Return a checked recipe: from a YAML file, by the name of one of ours, or of its sections.

    `overrides` are as on the command line: ["corpus.path=out/captions", "seed=1"]. Raises
    RecipeError, which names each wrong key, what was expected and the nearest valid choice.
    """
    if isinstance(recipe, Mapping):
        return parse_recipe(apply_overrides(recipe, overrides))
    return recipe_file.load_recipe(recipe, overrides)


def caption(
    recipe: Recipe | str | Path | Sections, *, limit: int | None = None, progress: bool = True
) -> Summary:
    """Caption the images of a recipe into its corpus; call it again and it continues.

    With a `limit` at most so many images are captioned, as a trial beside the corpus, which stays
    as it is; `summary.corpus` says where.

    Joins the Ray session of this process or the cluster of RAY_ADDRESS or `ray start`; else starts
    Ray on this machine, and stops it in the end. `progress` prints lines to stderr. Ctrl-C ends it
    in order, with `summary.state` "stopped". Raises RecipeError or StorageError where the input is
    wrong, RunFailedError where the run cannot go on.
    """
    from rich.console import Console

    from recaption.job import open_job
    from recaption.pipeline import run_job
    from recaption.progress import Progress

    resolved = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    job = open_job(resolved, limit=limit)
    console = Console(stderr=True, highlight=False, quiet=not progress)
    return run_job(job, Progress(console, resolved.run.progress_s))
