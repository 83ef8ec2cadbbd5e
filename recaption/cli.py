"""The command line. Exit code 0: done; 1: something was lost or failed; 2: the input is wrong."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from recaption.completion import complete_override, complete_recipe
from recaption.config import Recipe, RecipeError
from recaption.corpus.export import cli as export_options
from recaption.mistakes import is_users_mistake, tell_mistake
from recaption.printing import print_lines
from recaption.recipe_file import load_recipe, to_yaml
from recaption.shapeworld import cli as shapeworld
from recaption.storage.shown import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recaption.progress import Progress
    from recaption.summary import Summary

app = typer.Typer(
    name="recaption",
    help="Recaption image data sets: shards in, a crash-safe caption corpus out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(shapeworld.app, name="shapeworld")
console = Console(highlight=False)

RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        show_default=False,
        help="A recipe: a YAML file, or the name of one that comes with recaption, such as photos",
        autocompletion=complete_recipe,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="key=value overrides, such as corpus.path=s3://bucket/corpus seed=1",
        autocompletion=complete_override,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        help="A trial: caption at most so many images, the first ones of up to 8 shards, into"
        " CORPUS/trials/LIMIT-VERSION. The corpus itself stays as it is; without --limit all"
        " images are captioned into it, with the same seeds.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print recipe and plan, then stop")]


def _tell_versions(is_asked: bool) -> None:
    if is_asked:
        from recaption.versions import describe_versions

        _print(describe_versions())
        raise typer.Exit


@app.callback()
def commands(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_versions, is_eager=True, help="Show versions."),
    ] = False,
) -> None:
    """Recaption image data sets: shards in, a crash-safe caption corpus out."""


def main() -> None:
    """Run the command line; a user's mistake is one message, never a traceback."""
    from recaption.summary import RunFailedError

    try:
        app()
    except (RecipeError, ValueError) as e:
        if not is_users_mistake(e):
            raise
        _fail(str(e), 2, getattr(e, "listing", ()))
    except RunFailedError as e:
        _fail(str(e), 1)
    except BrokenPipeError:  # whoever read what we print has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(message: str, code: int, listing: Sequence[str] = ()) -> None:
    tell_mistake([message], listing)
    sys.exit(code)


@app.command()
def init(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="where the images are: a folder, tars, zips, Parquet, a list; local, s3://, hf://",
        ),
    ],
    out: Annotated[str, typer.Option(help="the recipe to write, or - for stdout")] = "recipe.yaml",
    model: Annotated[
        str, typer.Option(help="the captioner; default: one that fits the GPUs of this machine")
    ] = "",
    url: Annotated[
        str, typer.Option(help="of an endpoint that serves the model, such as http://host:8000/v1")
    ] = "",
    corpus: Annotated[str, typer.Option(help="where the captions are to go")] = "",
    force: Annotated[bool, typer.Option("--force", help="replace a recipe that is there")] = False,
) -> None:
    """Look at images and write a recipe for them. Start here."""
    from recaption.starter import Wishes, check_is_free, make_starter, tell_next, write_starter

    check_is_free(out, force)
    starter = make_starter(path, out, Wishes(model, url, corpus))
    print_lines(_told(out), starter.found)
    if out == "-":
        sys.stdout.write(starter.text)
        return
    write_starter(starter, out, force)
    _print(tell_next(out))


@app.command()
def caption(
    recipe: RecipeArgument = "",
    overrides: Overrides = None,
    dry_run: DryRun = False,
    limit: Limit = None,
) -> None:
    """Caption the images of a recipe. Run it again and it continues."""
    resolved = load_recipe(recipe, overrides or [])
    if dry_run:
        _dry_run(resolved, limit)
        return
    with _begin(resolved) as progress:
        from recaption.job import open_job

        job = open_job(resolved, limit=limit)
        _warn_of_other_runs(job.made_by.corpus)
        what = f"{job.trial:,} images of {len(job.shards):,} shards" if limit else ""
        what = what or f"{len(job.shards):,} shards"
        _print([f"run {job.made_by.run_id}: {what} -> {job.made_by.corpus}"])
        progress.doing("importing Ray")
        from recaption.pipeline import run_job

        summary = run_job(job, progress)
    _end(summary, resolved.corpus.path if limit else "")


@app.command()
def recipes(
    name: Annotated[
        str, typer.Argument(help="one of them, such as photos or train/demo: print its YAML")
    ] = "",
) -> None:
    """List the recipes that come with recaption, or print one to copy and change."""
    from recaption.recipes import KINDS, describe_recipes, find_ours

    if name:
        sys.stdout.write(find_ours(name).read_text(encoding="utf-8"))
        return
    for kind in KINDS:
        _print(describe_recipes(kind))


@app.command()
def preview(
    recipe: RecipeArgument = "",
    overrides: Overrides = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="samples, of all shards")] = 3,
    captions: Annotated[
        bool | None,
        typer.Option(
            "--caption/--no-caption",
            help="boot the engine and show its captions; default: only where it is an endpoint",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show a few samples: image, hints, prompts, tokens, captions. Writes nothing, needs no Ray."""
    from recaption.preview import show_preview

    raise typer.Exit(show_preview(load_recipe(recipe, overrides or []), limit, captions, console))


@app.command()
def retry(
    recipe: RecipeArgument = "",
    overrides: Overrides = None,
    reason: Annotated[
        list[str] | None, typer.Option(help="only rejects for this reason; may be repeated")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="ask again about at most so many images; other rejects stay", min=1),
    ] = None,
) -> None:
    """Ask again what was rejected. A reject that succeeds now becomes a caption."""
    resolved = load_recipe(recipe, overrides or [])
    with _begin(resolved) as progress:
        from recaption.job import open_job
        from recaption.replay import parse_reasons

        reasons = parse_reasons(reason or [])
        job = open_job(resolved, is_there=True)
        _print([f"run {job.made_by.run_id}: replaying rejects of {resolved.corpus.path}"])
        progress.doing("importing Ray")
        from recaption.pipeline import run_replay

        summary = run_replay(job, reasons, progress, limit)
    _end(summary)


@app.command()
def plan(
    recipe: RecipeArgument = "",
    overrides: Overrides = None,
    images_per_second: Annotated[
        float | None, typer.Option(help="of one engine; default: as in the corpus's last run")
    ] = None,
    price: Annotated[float | None, typer.Option(help="of an engine-hour, in any money")] = None,
) -> None:
    """Estimate shards, images, requests, tokens, hours and cost. Writes nothing."""
    from recaption.job import resolve_job
    from recaption.plan import describe_plan, make_plan

    job = resolve_job(load_recipe(recipe, overrides or []))
    made = make_plan(job, images_per_second)
    _print(describe_plan(made, price))
    raise typer.Exit(made.exit_code)


def _corpus(place: str) -> str:
    from recaption.output import spell

    return spell(place, "CORPUS")


def _source(place: str) -> str:
    from recaption.output import spell

    return spell(place, "--source") if place else ""


CorpusArgument = Annotated[
    str, typer.Argument(help="the corpus: a folder or s3:// URL", callback=_corpus)
]
Source = Annotated[
    str,
    typer.Option(
        help="where the images are: if moved, or not on this disk nor in the corpus's bucket",
        callback=_source,
    ),
]
Version = Annotated[str, typer.Option(help="a fingerprint, if the corpus has several versions")]


@app.command()
def status(corpus: CorpusArgument, version: Version = "", source: Source = "") -> None:
    """Show what a corpus holds, and the progress of runs under way."""
    from recaption.corpus.manifest import read_recipe
    from recaption.corpus.reader import CorpusReader
    from recaption.status import corpus_status, describe_status

    reader = CorpusReader(corpus, version)
    found = corpus_status(reader, read_recipe(corpus, reader.fingerprint), source)
    _print(describe_status(corpus, reader.fingerprint, found))


@app.command()
def report(
    corpus: CorpusArgument,
    out: Annotated[
        str, typer.Option(help="the page, or - for stdout; default: report.html in the corpus")
    ] = "",
    samples: Annotated[int, typer.Option(help="images in the gallery")] = 60,
    version: Version = "",
    seed: Annotated[int, typer.Option(help="which images are chosen")] = 0,
    source: Source = "",
    truth: Annotated[
        str,
        typer.Option(help="rendered shards, where the corpus is of such: tell true claims by them"),
    ] = "",
) -> None:
    """Write one static HTML page: images beside their captions, rejects, distributions."""
    from recaption.output import spell
    from recaption.report import write_report

    known = None
    if truth:
        from recaption.shapeworld.held import hold_corpus

        known = hold_corpus(corpus, spell(truth, "--truth"), version)
    path = write_report(corpus, out, samples, version, seed, source, known)
    _told(out).print(f"report: {path}", soft_wrap=True, markup=False)


@app.command()
def export(
    corpus: CorpusArgument,
    to: export_options.To,
    out: export_options.Out,
    style: export_options.Style = None,
    slot: export_options.Slot = None,
    least_score: export_options.LeastScore = None,
    caption: export_options.Caption = "",
    seed: export_options.Seed = 0,
    prefix: export_options.Prefix = "",
    replace: export_options.Replace = None,
    images: export_options.Images = "",
    ext: export_options.Ext = "",
    push: export_options.Push = "",
    public: export_options.Public = False,
    version: Version = "",
    source: Source = "",
) -> None:
    """Write a training-ready set: images with their captions, or a line per caption.

    folder: images beside caption files, for kohya, OneTrainer, SimpleTuner. imagefolder, hub,
    parquet: for datasets and diffusers. webdataset: tars, also for our own training. lance: a Lance
    table. jsonl: captions alone, with all that is known of them. The same command again replaces
    what it wrote, and finishes what a killed one left half done.
    """
    from recaption.corpus.export.run import Target, run_export
    from recaption.corpus.export.selection import read_selection
    from recaption.corpus.reader import CorpusReader

    target = Target(to, out, source, images, ext, push, public)
    chosen = read_selection(to, style, slot, least_score, caption, seed, prefix, replace)
    told = _told(out)
    exported = run_export(CorpusReader(corpus, version), target, chosen, told)
    export_options.tell(exported, target, told)
    if not exported.tally.images:
        _fail(f"{corpus}: no caption was exported, so nothing was written; see its status", 1)


@app.command()
def schema(
    kind: Annotated[
        Literal["caption", "train", "study"], typer.Option(help="the kind of recipe")
    ] = "caption",
) -> None:
    """Print the JSON schema of a kind of recipes, by which editors complete and check them."""
    from recaption.recipe_schema import schema_file

    sys.stdout.write(schema_file(kind).read_text(encoding="utf-8"))


@app.command()
def move(
    corpus: CorpusArgument,
    source: Annotated[str, typer.Option(help="where its images are now, as source.path")],
) -> None:
    """Tell a corpus that its images are elsewhere now; the captions stay as they are."""
    from recaption.corpus.moved import move_source
    from recaption.output import spell

    root, shards = move_source(corpus, spell(source, "--source"))
    _print([f"moved: {shards:,} shards below {root}"])


@app.command()
def clean(corpus: CorpusArgument) -> None:
    """Remove what killed runs left behind: files that no commit record names."""
    from recaption.corpus.garbage import remove_garbage

    _print([f"removed {remove_garbage(corpus):,} files from {corpus}"])


@app.command()
def demo(
    out: Annotated[str, typer.Option(help="where everything is written")] = "out/demo",
    shards: Annotated[int, typer.Option(help="shards of 100 rendered images")] = 3,
    train: Annotated[bool, typer.Option(help="train a small text-to-image model on them")] = True,
) -> None:
    """Render shards, caption them with a small model on real vLLM, report, train on the result."""
    from recaption.demo import run_demo

    raise typer.Exit(run_demo(out, shards, train, console))


@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def train(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="RECIPE [key=value]...", help="see --help")
    ] = None,
) -> None:
    """Train a text-to-image model on a corpus, sample it, compare runs; as `python -m train`."""
    from recaption.training import run_training_command

    run_training_command(words or [])


@contextlib.contextmanager
def _begin(recipe: Recipe) -> Iterator[Progress]:
    """Say at once what is begun, before anything heavy is imported; then show what is done."""
    model = recipe.engine.model or "a made-up captioner"
    _print([f"captioning with {model} ({recipe.engine.kind}) -> {recipe.corpus.path}"])
    from recaption.progress import Progress

    with Progress.of(console, recipe.run).showing() as progress:
        progress.doing("listing the shards")
        yield progress


def _end(summary: Summary, untouched: str = "") -> None:
    """Tell how a run ended; exit 1 if something was lost or too much rejected.

    `untouched`: the corpus beside which a trial was.
    """
    from recaption.summary import tell_end

    tell_end(summary, console)
    if untouched:
        _print(
            [
                f"a trial: `recaption report {summary.corpus}` shows it; without --limit all images"
                f" are captioned into {untouched}"
            ]
        )
    raise typer.Exit(summary.exit_code)


def _dry_run(recipe: Recipe, limit: int | None) -> None:
    from recaption.engines.preflight import look_ahead
    from recaption.job import resolve_job, trial_of
    from recaption.plan import describe_plan, make_plan

    job = resolve_job(recipe)
    job = job if limit is None else trial_of(job, limit)
    doubts = look_ahead(recipe.engine, is_dry=True)
    made = make_plan(job)
    console.print(to_yaml(recipe), markup=False, soft_wrap=True)
    console.print(f"fingerprint {job.made_by.fingerprint}")
    _print(describe_plan(made, None))
    _print([f"note: {doubt}" for doubt in doubts])
    if made.exit_code == 0:
        count, corpus = len(job.shards), without_secrets(job.made_by.corpus)
        _print([f"nothing written: without --dry-run {count:,} shards are captioned into {corpus}"])
    raise typer.Exit(made.exit_code)


def _warn_of_other_runs(corpus: str) -> None:
    from recaption.status import read_runs

    for run in read_runs(corpus)[1]:
        note = (
            f"note: run {run['run_id']} on {run['host']} was at work on this corpus less than 90 s"
            " ago; both together do no harm, but the same work twice"
        )
        _print([note])


def _told(out: str) -> Console:
    """Return where to tell what was done: stderr, where stdout is for what was made."""
    return Console(stderr=True, highlight=False) if out == "-" else console


def _print(lines: list[str]) -> None:
    print_lines(console, lines)
