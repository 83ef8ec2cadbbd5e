"""The command line. Exit code 0: done; 1: something was lost or failed; 2: the input is wrong."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from recaption.config import Recipe, RecipeError, load_recipe, to_yaml

app = typer.Typer(
    name="recaption",
    help="Recaption image data sets: shards in, a crash-safe caption corpus out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
console = Console(highlight=False)

RecipeArgument = Annotated[str, typer.Argument(help="A recipe: a YAML file, see configs/caption/")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="key=value overrides, such as corpus.path=s3://bucket/corpus seed=1"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print recipe and plan, then stop")]


@app.callback()
def commands() -> None:
    """Recaption image data sets: shards in, a crash-safe caption corpus out."""


def main() -> None:
    """Run the command line; a user's mistake is one message, never a traceback."""
    from recaption.engines.base import EngineBootError

    try:
        app()
    except (RecipeError, ValueError) as e:
        if not is_users_mistake(e):
            raise
        _fail(str(e), 2)
    except EngineBootError as e:
        _fail(str(e), 1)


def is_users_mistake(error: BaseException) -> bool:
    """Whether an error is one of ours, whose message is meant for the user."""
    from recaption.storage import StorageError

    return isinstance(error, RecipeError | StorageError)


def _fail(message: str, code: int) -> None:
    Console(stderr=True, highlight=False).print(f"[red]error:[/red] {message}", soft_wrap=True)
    sys.exit(code)


@app.command()
def caption(recipe: RecipeArgument, overrides: Overrides = None, dry_run: DryRun = False) -> None:
    """Caption the images of a recipe. Run it again and it continues."""
    from recaption.job import open_job
    from recaption.pipeline import run_job
    from recaption.progress import Progress
    from recaption.summary import describe

    resolved = load_recipe(recipe, overrides or [])
    if dry_run:
        _dry_run(resolved)
        return
    job = open_job(resolved)
    console.print(f"run {job.made_by.run_id}: {len(job.shards):,} shards → {resolved.corpus.path}")
    summary = run_job(job, Progress(console, resolved.run.progress_s))
    for line in describe(summary):
        console.print(line, soft_wrap=True, markup=False)
    if summary.state == "stopped":
        console.print("stopped; the same command continues where it ended")
    raise typer.Exit(exit_code(summary.exit_code, summary.rejected, summary.read, resolved))


def exit_code(code: int, rejected: int, read: int, recipe: Recipe) -> int:
    """The run's exit code, its reject limit counted in."""
    if code == 0 and read and rejected / read > recipe.run.reject_limit:
        console.print(
            f"[red]rejected {rejected / read:.2%} of the samples, over"
            f" run.reject_limit={recipe.run.reject_limit:.2%}[/red]"
        )
        return 1
    return code


def _dry_run(recipe: Recipe) -> None:
    from recaption.job import resolve_job

    console.print(to_yaml(recipe), markup=False, soft_wrap=True)
    job = resolve_job(recipe)
    console.print(f"# {len(job.shards):,} shards, fingerprint {job.made_by.fingerprint}")
