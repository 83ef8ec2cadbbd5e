"""The recipes that come with recaption, found by name: `photos` is configs/caption/photos.yaml."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator
from pathlib import Path

from recaption.config import RecipeError, nearest

KINDS = {
    "caption": "recaption caption NAME",
    "train": "recaption train NAME",
    "study": "recaption train compare NAME",
}
"""Folders of configs/, and the commands that their recipes are for."""

_OURS = Path(__file__).parent / "configs"  # in a checkout a link to its own, in a wheel a copy
_COLUMNS = 79
_HEADER_BYTES = 4096


class UnknownRecipeError(RecipeError):
    """No recipe is there under this name; `listing` has a line for each that could be named."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.listing = [*describe_recipes(kind), "  or the path of a recipe of your own"]


def find_recipe(given: str | Path, kind: str) -> Path:
    """Return the file that is meant: one that is there, else one of ours of this kind.

    A name is looked for in the current folder, then in its configs/, then in the package. What is
    found nowhere is returned as it was given. Raises UnknownRecipeError if nothing was given.
    """
    if not str(given):
        raise UnknownRecipeError("no recipe is named: expected one of these", kind)
    return next((one for one in _places(Path(given), kind) if _is_file(one)), Path(given))


def _is_file(file: Path) -> bool:
    with contextlib.suppress(OSError):  # a name too long, a folder that is closed to us
        return file.is_file()
    return False


def _places(file: Path, kind: str) -> Iterator[Path]:
    yield file
    if file.parts[:1] == ("configs",):
        yield _OURS.joinpath(*file.parts[1:])
    elif len(file.parts) == 1:
        name = file.name if file.suffix in {".yaml", ".yml"} else f"{file}.yaml"
        yield Path(name)
        yield Path("configs", kind, name)
        yield _OURS / kind / name


def our_recipe(kind: str, name: str) -> Path:
    """Return the file of a recipe that came with recaption, whatever the current folder holds."""
    return _OURS / kind / f"{name}.yaml"


def names(kind: str) -> list[str]:
    """Return the names of the recipes of a kind that came with recaption."""
    return [p.stem for p in _recipes_in(_OURS / kind)]


def find_ours(name: str) -> Path:
    """Return a recipe that came with recaption: by `NAME`, or `KIND/NAME` where two have it."""
    for kind in KINDS:
        file = our_recipe(kind, name.removeprefix(f"{kind}/"))
        if file in _recipes_in(_OURS / kind):
            return file
    choices = [p.stem for kind in KINDS for p in _recipes_in(_OURS / kind)]
    raise RecipeError(
        f"recipe {name}: none of this name comes with recaption{nearest(name, choices)}; see"
        " `recaption recipes`"
    )


def missing_recipe(file: Path, kind: str, error: OSError) -> RecipeError:
    """Return what to raise where a recipe cannot be opened; a name gets all those there are."""
    is_name = file.name == str(file) and isinstance(error, FileNotFoundError)
    choices = [str(file.parent / p.name) for p in _recipes_in(file.parent)]
    if is_name:
        choices += [p.stem for p in _recipes_in(_OURS / kind)]
    what = (error.strerror or str(error)).lower()
    first = "; the recipe comes first, then key=value" if "=" in str(file) else ""
    message = f"recipe {file}: {what}{first}{nearest(str(file), choices)}"
    return UnknownRecipeError(message, kind) if is_name else RecipeError(message)


def describe_recipes(kind: str) -> list[str]:
    """Return a heading, and a line for each recipe of a kind: name, and what it is for."""
    found = {p.stem: _purpose(p) for p in _recipes_in(_OURS / kind)}
    width = max(map(len, found))
    room = _COLUMNS - width - 4
    lines = [
        f"  {name:{width}}  {textwrap.shorten(purpose, room, placeholder=' …')}"
        for name, purpose in found.items()
    ]
    return [f"{KINDS[kind]}, where NAME is", *lines]


def _purpose(recipe: Path) -> str:
    """Return the first sentence of a recipe's header."""
    with recipe.open(encoding="utf-8") as f:
        lines = f.read(_HEADER_BYTES).splitlines()
    said = [line.removeprefix("#").strip() for line in lines if not line.startswith("# yaml-")]
    paragraph = " ".join(said[: said.index("")] if "" in said else said)
    return paragraph.partition(". ")[0].removesuffix(".")


def _recipes_in(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix in {".yaml", ".yml"})
    except OSError:
        return []
