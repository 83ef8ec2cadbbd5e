"""The command line of training.

Exit code 0: done; 1: the run failed; 2: the input is wrong; 130: interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from recaption.children import end_in_order, end_with_parent
from recaption.notices import describe_notices, take_notices
from recaption.printing import print_lines
from train.doing import doing
from train.screen import Screen

if TYPE_CHECKING:
    from train.check import Checked
    from train.config import TrainRecipe

HELP = """Train text-to-image models on captions that rotate and follow the crop.

`recaption train demo` trains by a recipe; the same command again continues, after a kill as after
`images` were raised. `key=value` after the recipe changes it, as in
`optimizer.rate=3e-4 out=s3://bucket/run images=1000000`. `python -m train` is the same.

A run's folder holds recipe.yaml, log.jsonl, events/ (TensorBoard), samples/ and checkpoints/.
"""


_INTERRUPTED = 130  # as shells say it of Ctrl-C


class _RecipeFirst(TyperGroup):
    """Takes a recipe where a command is expected: `train RECIPE` is `train run RECIPE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` in front of what is no command."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what interrupts it is told here: typer would end without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail(["interrupted; the same command goes on from the last checkpoint"], _INTERRUPTED)


RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        show_default=False,
        help="a YAML file, or the name of a recipe that comes with recaption: demo, scenes",
    ),
]

app = typer.Typer(
    name="train",
    cls=_RecipeFirst,
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)


def main(words: Sequence[str] | None = None, name: str | None = None) -> None:
    """Run the command line; a user's mistake is one message, never a traceback.

    `words`: instead of the process's own; `name`: what the program is called in its help.
    """
    from recaption.mistakes import is_users_mistake
    from train.errors import TrainingError

    end_in_order()
    end_with_parent()
    try:
        app(words, prog_name=name)
    except ValueError as e:
        if not is_users_mistake(e):
            raise
        _fail(getattr(e, "lines", [str(e)]), 2, getattr(e, "listing", ()))
    except TrainingError as e:
        _fail([str(e)], 1)
    except OSError as e:
        place = f"{e.filename}: " if e.filename else ""
        _fail([f"{place}{(e.strerror or str(e)).lower()}; the same command goes on from there"], 1)


@app.command()
def run(
    recipe: RecipeArgument = "",
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, such as compute.workers=4 seed=1")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print the resolved recipe and the plan, then stop")
    ] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="in this process, without Ray: one worker, no captioner")
    ] = False,
) -> None:
    """Train what a recipe describes; the word `run` may be left out."""
    if dry_run:
        _show_plan(recipe, overrides or [], alone)
        return
    _print(f"training {recipe}")  # at once: what is imported from here on takes seconds
    with Screen(console) as screen:
        end = _run(recipe, overrides or [], alone, screen)
    _print(end)


def _run(path: str, overrides: Sequence[str], alone: bool, screen: Screen) -> str:
    """Check a recipe and train; return what there is to say at the end."""
    with doing("reading the recipe"):
        from train.check import check_recipe, load_checked
        from train.pace import images_in_all
        from train.run_folder import check_run, open_run

        recipe = load_checked(path, overrides, alone)
        latest, total = check_run(recipe), images_in_all(recipe)
    if latest and latest.images >= total:
        return (
            f"finished: {latest.images:,} of {total:,} images seen, {recipe.out}; raise images to"
            f" go on{_rounding(recipe)}"
        )
    with doing("opening what it trains on"):
        checked = check_recipe(recipe, alone)
    for line in describe_notices(take_notices()):
        _print(line)
    open_run(recipe)
    _train(recipe, checked, alone, screen)
    return f"done: {total:,} images seen -> {recipe.out}{_rounding(recipe)}"


def _train(recipe: TrainRecipe, checked: Checked, alone: bool, screen: Screen) -> None:
    if alone:
        from train.alone import run_alone

        run_alone(recipe, checked.data, screen)
        return
    with doing("starting Ray"):
        from train.trainer import run_training
    seen = checked.latest.images if checked.latest else 0
    run_training(recipe, checked.data, screen, seen)


def _show_plan(path: str, overrides: Sequence[str], alone: bool) -> None:
    from train.check import check_recipe, load_checked
    from train.run_folder import to_yaml

    recipe = load_checked(path, overrides, alone)
    _print(to_yaml(recipe))
    check_recipe(recipe, alone)
    _print(_plan(recipe))


@app.command()
def crops(
    recipe: RecipeArgument = "",
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value")] = None,
) -> None:
    """Caption all crops that a recipe will draw, into its corpus, before any training."""
    _print(f"captioning the crops of {recipe}")
    with Screen(console) as screen:
        with doing("reading the recipe"):
            from train.config import load_train_recipe
            from train.warm import caption_all_crops

            resolved = load_train_recipe(recipe, overrides or [])
        end = caption_all_crops(resolved, screen)
    _print(end)


@app.command()
def compare(
    comparison: Annotated[
        str,
        typer.Argument(
            metavar="COMPARISON", show_default=False, help="a YAML file, or a name: captions"
        ),
    ] = "",
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, for all runs")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="runs at once, each on one thread")] = 2,
    table: Annotated[bool, typer.Option("--table", help="only show what is finished")] = False,
) -> None:
    """Run arms x seeds that differ in what a comparison names; table and plot of a metric."""
    from train.compare import check_cells, load_comparison, results, run_cells, write_results

    found, cells = load_comparison(comparison, overrides or [])
    if not table:
        check_cells(cells)
        run_cells(found, cells, jobs, _print)
    for line in write_results(found, results(cells)):
        _print(line)
    _print(f"all values: {found.out}/results.json, pictures: plot.png and samples.png beside it")


@app.command()
def sample(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="a run's folder, one of its checkpoints/*.json, a .safetensors file of `weights`,"
            " or builtin:shapes"
        ),
    ],
    prompt: Annotated[list[str], typer.Option(help="a text; may be repeated")],
    out: Annotated[str, typer.Option(help="the picture, PNG")] = "grid.png",
    per_prompt: Annotated[int, typer.Option(min=1, help="images of each prompt")] = 4,
    seed: Annotated[int, typer.Option(help="another seed, other images")] = 0,
    guidance: Annotated[
        float | None, typer.Option(help="how closely to follow the text; 1: no guidance")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="steps of the sampler")] = None,
    beside: Annotated[
        str, typer.Option(help="another model, whose images of the same noise are on the left")
    ] = "",
    score: Annotated[
        bool,
        typer.Option(
            "--score", help="tell which colours and shapes are right: prompts of rendered scenes"
        ),
    ] = False,
) -> None:
    """Draw images for prompts with the averaged weights of a checkpoint."""
    asked: dict[str, Any] = {"guidance": guidance, "steps": steps}
    changes = {key: value for key, value in asked.items() if value is not None}
    with Screen(console), doing("loading the checkpoint"):
        from recaption import storage
        from train.grid import to_png
        from train.pictures import check_scorable, draw_painted, paint_by

        if score:
            check_scorable(prompt)
        painted = []
        for place in filter(None, (beside, checkpoint)):
            painted.append(paint_by(place, prompt, per_prompt, seed, changes, score))
            _print(f"{len(painted[-1].images)} images by {painted[-1].about}")
        storage.write_bytes(out, to_png(draw_painted(painted, prompt)))
    _print(f"picture: {out}")


@app.command()
def weights(
    checkpoint: Annotated[
        str, typer.Argument(help="a run's folder, or one of its checkpoints/*.json")
    ],
    out: Annotated[str, typer.Option(help="the file, .safetensors")],
) -> None:
    """Write a checkpoint's averaged weights to one file, for `sample` and for start_from."""
    from train.weights import SUFFIX, read_weights, write_weights

    if not out.endswith(SUFFIX):
        _fail([f"--out: got {out}, expected a name that ends in {SUFFIX}"], 2)
    made = read_weights(checkpoint)
    write_weights(made, out)
    _print(f"averaged weights of a model that saw {made.images:,} images -> {out}")


@app.command()
def evaluators() -> None:
    """List the metrics that evaluate.metrics may name."""
    from train.evaluate import describe

    for name, line in describe().items():
        _print(f"{name:<12} {line}")


def _plan(recipe: TrainRecipe) -> str:
    from train.pace import steps_in_all

    steps = steps_in_all(recipe)
    saved = -(-recipe.images // recipe.checkpoints.every)
    return (
        f"plan: {steps:,} steps of {recipe.data.batch_size} images on {recipe.compute.workers}"
        f" workers, {saved:,} checkpoints -> {recipe.out}{_rounding(recipe)}"
    )


def _rounding(recipe: TrainRecipe) -> str:
    """Say why a run sees another number of images than was asked for, where it does."""
    from train.pace import images_in_all

    size, total = recipe.data.batch_size, images_in_all(recipe)
    if total == recipe.images:
        return ""
    return f" (images={recipe.images:,} is no multiple of data.batch_size={size}: {total:,} are)"


def _print(text: str) -> None:
    print_lines(console, text.splitlines())


def _fail(messages: Sequence[str], code: int, listing: Sequence[str] = ()) -> NoReturn:
    from recaption.mistakes import tell_mistake

    tell_mistake(messages, listing)
    sys.exit(code)


if __name__ == "__main__":
    main()
