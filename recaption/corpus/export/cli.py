"""The command `recaption export`: its options, and what it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from recaption.corpus.export.run import Exported, Target

_CHOICE, _IMAGES, _HUB = "Which captions", "Images and files", "Hugging Face hub"

To = Annotated[
    str,
    typer.Option(help="webdataset, parquet, jsonl, folder, imagefolder, hub or lance"),
]
Out = Annotated[str, typer.Option(help="folder or URL; of jsonl: the file, or - for stdout")]
Style = Annotated[
    list[str] | None,
    typer.Option(help="only captions in this style; may be repeated", rich_help_panel=_CHOICE),
]
Slot = Annotated[
    list[int] | None,
    typer.Option(
        help="only the caption with this number, from 0, of each style; may be repeated",
        rich_help_panel=_CHOICE,
    ),
]
LeastScore = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NUMBER|clip=NUMBER",
        help="only captions with at least this mean log-probability, such as -0.5, or, where"
        " safeguards.clip was on, this cosine with the image",
        rich_help_panel=_CHOICE,
    ),
]
Caption = Annotated[
    str,
    typer.Option(
        help="of those of an image: first (in the order of --style), random (by --seed), best (by"
        " CLIP, else by log-probability) or all; default: all, of folder: first. folder writes all"
        " as lines, elsewhere the column text is the first of them, captions are all",
        rich_help_panel=_CHOICE,
    ),
]
Seed = Annotated[int, typer.Option(help="of --caption random", rich_help_panel=_CHOICE)]
Prefix = Annotated[
    str, typer.Option(help="put before each caption, with a space", rich_help_panel=_CHOICE)
]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OLD=NEW", help="made in each caption; may be repeated", rich_help_panel=_CHOICE
    ),
]
Images = Annotated[
    str,
    typer.Option(
        help="readable: what trainers cannot read, or would turn the wrong way, becomes JPEG or"
        " PNG, and hub leaves out where a photo was taken; found: bytes as they are; default:"
        " readable, of webdataset and parquet: found",
        rich_help_panel=_IMAGES,
    ),
]
Ext = Annotated[
    str,
    typer.Option(
        help="folder: suffix of caption files, such as .caption; default: .txt",
        rich_help_panel=_IMAGES,
    ),
]
Push = Annotated[
    str,
    typer.Option(
        metavar="USER/NAME",
        help="hub: upload it as this data set, private if it is new; needs a login: hf auth login",
        rich_help_panel=_HUB,
    ),
]
Public = Annotated[
    bool, typer.Option("--public", help="a new data set is public", rich_help_panel=_HUB)
]

_NEXT = {
    "webdataset": "webdataset.WebDataset(sorted(glob.glob('{out}/*.tar')))",
    "parquet": "datasets.load_dataset('parquet', data_dir='{out}')",
    "folder": "kohya: --train_data_dir '{out}' --caption_extension {ext}",
    "imagefolder": "datasets.load_dataset('imagefolder', data_dir='{out}')",
    "hub": "datasets.load_dataset('{out}')",
    "lance": "lance.dataset('{out}')",
}


def tell(exported: Exported, target: Target, console: Console) -> None:
    """Tell what an export wrote, what it left out and how to read it."""
    from recaption.printing import print_lines
    from recaption.storage.shown import without_secrets

    tally, out = exported.tally, without_secrets(target.out)
    what = f"{tally.captions:,} captions"
    what = what if target.to == "jsonl" else f"{tally.images:,} images, {what}"
    lines = [f"exported {what} -> {out}"]
    left_out = [f"{why} {count:,}" for why, count in sorted(tally.left_out.items()) if count]
    lines += [f"left out: {', '.join(left_out)}"] if left_out else []
    lines += [f"note: {note}" for note in exported.notes]
    if tally.images and target.to in _NEXT:
        place = target.push or out
        lines += [f"next: {_NEXT[target.to].format(out=place, ext=target.ext or '.txt')}"]
    print_lines(console, lines)
