"""The commands of the rendered world: `recaption shapeworld ...`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console

if TYPE_CHECKING:
    from recaption.shapeworld.render import ImageFormat
    from recaption.shapeworld.sets.rendered_set import RenderedSet

app = typer.Typer(no_args_is_help=True)
console = Console(highlight=False)

_ALONE = 8
"""Up to so many shards are rendered sooner than Ray has started."""


@app.callback()
def commands() -> None:
    """Rendered images with exactly known content: as data sets, and as a measure of captions."""


@app.command()
def render(
    out: Annotated[str, typer.Option(help="folder or s3:// URL")],
    shards: Annotated[int, typer.Option(help="1 to 100,000")] = 12,
    per_shard: Annotated[int, typer.Option(help="images in each, 1 to 10,000")] = 200,
    seed: Annotated[int, typer.Option(help="which images")] = 0,
    size: Annotated[
        int | None,
        typer.Option(help="pixels of the shorter side, 48 to 512; default: 64 to 128, drawn"),
    ] = None,
    image_format: Annotated[str, typer.Option("--format", help="jpg or png")] = "jpg",
    crops: Annotated[bool, typer.Option("--crops", help="of each scene a random crop")] = False,
    most_things: Annotated[
        int,
        typer.Option(help="only simple scenes: flat, square, no word, 1 to so many things; 0: all"),
    ] = 0,
    only_large: Annotated[
        bool, typer.Option("--only-large", help="with --most-things: only scenes of large things")
    ] = False,
    layout: Annotated[
        str,
        typer.Option(
            help="webdataset, imagenet, openimages, yfcc, or export: with true captions to train on"
        ),
    ] = "webdataset",
    workers: Annotated[
        int | None,
        typer.Option(help="processes, 0: on Ray; default: on Ray from 9 shards, if CPUs are many"),
    ] = None,
) -> None:
    """Render a set of images. The same arguments give the same bytes: run it again at will."""
    from recaption.shapeworld.sets.rendered_set import RenderedSet
    from recaption.shapeworld.sets.telling import telling
    from recaption.shapeworld.sets.writing import write_set

    known = cast("ImageFormat", image_format)  # the set checks it
    rendered = RenderedSet(seed, shards, per_shard, size, known, crops, most_things, only_large)
    place, count = _place(out), _workers(workers, rendered)
    _print(f"{shards:,} shards of {per_shard:,} images {_where(count)} -> {place}")
    started = time.monotonic()
    with telling(console, rendered.images) as tell:
        write_set(rendered, layout, place, count, tell)
    seconds = time.monotonic() - started
    rate = rendered.images / seconds
    _print(f"rendered {rendered.images:,} images in {seconds:,.1f} s ({rate:,.1f} images/s)")


def _place(out: str) -> str:
    """Return where to write, as it holds in every worker."""
    from recaption.config import RecipeError
    from recaption.sources.places import absolute

    if not out.strip():
        raise RecipeError("--out: got nothing, expected a folder or an s3:// URL")
    return absolute(out)


def _workers(asked: int | None, rendered: RenderedSet) -> int:
    from recaption.config import RecipeError
    from recaption.shapeworld.sets.workers import ON_RAY

    if asked is None:
        return ON_RAY if rendered.shards > _ALONE and (os.cpu_count() or 1) > 1 else 1
    if asked < 0:
        raise RecipeError(f"--workers: got {asked}, expected a number of processes, or 0 for Ray")
    return asked


def _where(workers: int) -> str:
    return f"in {workers} process{'es' if workers > 1 else ''}" if workers else "on Ray"


def _print(line: str) -> None:
    console.print(line, soft_wrap=True, markup=False)


@app.command()
def score(
    corpus: Annotated[str, typer.Argument(help="a caption corpus: folder or URL")],
    shards: Annotated[str, typer.Argument(help="the rendered shards it was made of")],
    json_file: Annotated[
        str, typer.Option("--json", help="write all figures, by kind and style, to this file")
    ] = "",
    version: Annotated[str, typer.Option(help="of the corpus, if it has several")] = "",
) -> None:
    """Hold every claim of a corpus's captions against the scenes: what is true, what is missing.

    Precision: of the claims that the image can settle, the true ones. Recall: of what a caption of
    its style should tell, what it tells. Each figure with its 95% interval and its count.
    """
    import json

    from recaption.output import spell
    from recaption.shapeworld.held import hold_corpus
    from recaption.shapeworld.score_table import tables
    from recaption.storage import write_bytes

    report = hold_corpus(spell(corpus, "CORPUS"), spell(shards, "SHARDS"), version).figures
    for table in tables(report):
        console.print(table)
    if json_file:
        write_bytes(json_file, json.dumps(report, indent=1).encode())
        _print(f"figures: {json_file}")
