"""`recaption init PATH` looks at a place and writes a recipe for what is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recaption.config import RecipeError, SourceConfig
from recaption.notices import take_notices
from recaption.output import STDOUT
from recaption.recipe_file import parse_recipe, parse_yaml
from recaption.starter.page import Wishes, describe, render, shell_word
from recaption.starter.readable import first_readable
from recaption.starter.recognise import recognise
from recaption.starter.texts import look_for_texts
from recaption.storage.spelling import one_spelling

__all__ = ["Starter", "Wishes", "check_is_free", "make_starter", "tell_next", "write_starter"]


@dataclass(frozen=True, slots=True)
class Starter:
    """A recipe as text, and what was found, in lines for the terminal."""

    text: str
    found: list[str]


def check_is_free(file: str, force: bool) -> None:
    """Raise RecipeError where a recipe may not be written, before the work is done."""
    if Path(file).exists() and not force and file != STDOUT:
        raise RecipeError(
            f"--out {file}: it is there already; give another name, or --force to replace it"
        )


def make_starter(place: str, file: str, wishes: Wishes) -> Starter:
    """Look at a place and return a recipe for it. Raises RecipeError or StorageError."""
    try:
        source = SourceConfig(path=one_spelling(place, is_pattern=True))
    except ValueError as e:
        raise RecipeError(f"PATH: {e}") from e
    take_notices()  # what was noted before is not about this
    source, look = first_readable(source)
    source = source.model_copy(update={"kind": look.kind})
    known = recognise(look)
    texts = look_for_texts(look.samples, source)
    text = render(source, file, wishes, look, known, texts)
    parse_recipe(parse_yaml(text.encode(), file), file)  # a fault of ours would show here
    return Starter(text, describe(look, known, texts))


def write_starter(starter: Starter, file: str, force: bool) -> None:
    """Write the recipe; one that is there is replaced only if `force`. Raises RecipeError."""
    try:
        with Path(file).open("w" if force else "x", encoding="utf-8") as f:
            f.write(starter.text)
    except OSError as e:
        raise RecipeError(f"--out {file}: {(e.strerror or str(e)).lower()}") from e


def tell_next(file: str) -> list[str]:
    """Return what was written and the two commands that come next."""
    word = shell_word(file)
    return [
        f"recipe    {word}: look through it, its comments say what may be changed",
        f"next      recaption preview {word}",
        f"then      recaption caption {word}",
    ]
