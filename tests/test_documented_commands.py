"""Every command in README, docs/, cluster/ and the headers of recipes, through a real shell.

The shell must hand on the words as they stand: it makes a thousand of `source.path={000..999}.tar`,
of which one would be captioned and called complete. What arrives must be what the command takes.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from recaption.cli import app as recaption_app
from recaption.recipe_file import load_recipe
from recaption.recipes import find_recipe
from train.__main__ import app as train_app
from train.compare import load_comparison
from train.config import load_train_recipe

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "cluster").glob("*.md")),
]
RECIPES = sorted((ROOT / "configs").rglob("*.yaml"))
APPS: dict[str, Any] = {"recaption": recaption_app, "train": train_app}

COMMAND = re.compile(
    r"(?:\w+=\S+ )*(?:ray job submit .*|for \w+ in [^;]*; do .*"
    r"|(?:python -m )?(?:recaption|train) .*)"
)
# Each word on a line of its own, then an empty one: the commands that a text runs, told apart.
SHELL = r"""
told() { printf '%s\n' "$@" ''; }
python() { [ "$1" = -m ] && shift; told "$@"; }
recaption() { told recaption "$@"; }
ray() { while [ "$1" != -- ]; do shift; done; shift; "$@"; }
"""


def commands_of(lines: list[str]) -> Iterator[str]:
    """Yield the commands among lines, those that go on behind a backslash made whole."""
    rest = iter(lines)
    for line in rest:
        found = COMMAND.match(re.sub(r"^(?:[a-z]+:)?\s*", "", line))
        if not found:
            continue
        command = found[0]
        while command.endswith("\\"):
            command = command[:-1].rstrip() + " " + next(rest).strip()
        yield re.sub(r"\s{2,}[(#].*$", "", command)


def documented() -> Iterator[tuple[str, str]]:
    for text in TEXTS:
        content = text.read_text()
        for block in re.findall(r"^```\w*\n(.*?)^```", content, re.DOTALL | re.MULTILINE):
            for command in commands_of(block.splitlines()):
                yield text.name, command
        for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", content):
            for command in commands_of([" ".join(span.split()).replace("\\|", "|")]):
                yield text.name, command
    for recipe in RECIPES:
        header = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
        for command in commands_of([line.lstrip("# ") for line in header]):
            yield recipe.name, command


DOCUMENTED = list(documented())


def run_in_a_shell(command: str) -> list[list[str]]:
    """Return the words of each command of ours that bash runs; alternatives `a|b` are one word."""
    shown = re.sub(r"(?<=\w)\|(?=\w)", r"\\|", command)
    shown = re.sub(r"\[--\w+ \w+\]", "", shown)  # an option, as manuals have it
    shell = subprocess.run(
        ["bash", "-c", SHELL + shown], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shell.stderr == ""
    return [words.split("\n") for words in shell.stdout.strip("\n").split("\n\n")]


def test_there_are_commands_to_try() -> None:
    assert len(DOCUMENTED) > 40
    assert {name for name, _ in DOCUMENTED} >= {"README.md", *(r.name for r in RECIPES)}


@pytest.mark.parametrize(("where", "command"), DOCUMENTED)
def test_a_documented_command_reaches_us_as_it_stands(where: str, command: str) -> None:
    runs = run_in_a_shell(command)
    if "$" not in command and "|" not in command and "[" not in command:
        meant = shlex.split(command)
        assert runs == [meant[-len(runs[0]) :]], f"{where}: the shell changed the words"
    for program, *words in runs:
        assert all(re.search(r"[\w)]", word) for word in words)
        check_words(program, words)


def check_words(program: str, words: list[str]) -> None:
    """Fail where a command would not take these words."""
    if not words or "." in program:
        return
    if (program, words[0]) == ("recaption", "train"):
        program, *words = words
    if not words:
        return
    group: Any = typer.main.get_command(APPS[program])
    context = click.Context(group, info_name=program)
    if program == "train" and words[0] not in group.commands:
        words = ["run", *words]
    while isinstance(group, click.Group) or hasattr(group, "commands"):
        if words[0].startswith("--"):  # parsing it would do it
            assert any(words[0] in one.opts for one in group.get_params(context))
            return
        _, group, words = group.resolve_command(context, words)
        context = click.Context(group, info_name=group.name, parent=context)
    is_help = words == []
    if is_help:
        return  # the name of a command, in a sentence
    taken = group.make_context(group.name, list(words)).params
    check_recipe(program, group.name, taken)


def check_recipe(program: str, command: str, taken: dict[str, Any]) -> None:
    """Load the recipe that a command names, with its overrides, where it is one of ours."""
    named = taken.get("recipe") or taken.get("comparison") or ""
    kind = "study" if command == "compare" else "train" if program == "train" else "caption"
    recipe = find_recipe(named, kind) if named else Path()
    if not recipe.is_file():
        assert (not taken.get("overrides") and not named.startswith("configs/")) or "..." in named
        return
    overrides = taken.get("overrides") or []
    given = [one.partition("=") for one in overrides]
    assert all(equals and value for _, equals, value in given)
    if kind == "study":
        load_comparison(str(recipe), overrides)
    elif kind == "train":
        load_train_recipe(recipe, overrides)
    else:
        made = load_recipe(recipe, overrides)
        told = {key: value for key, _, value in given}
        if "source.path" in told:
            assert isinstance(made.source.path, str)
            assert made.source.path.endswith(told["source.path"].rstrip("/"))


FIELDS = re.compile(r"(?:^|\s)([a-z_]+(?:\.[a-z_]+)+=[^\s'\"]*[*?{\[][^\s]*)")


@pytest.mark.parametrize("file", [*TEXTS, *RECIPES], ids=lambda file: file.name)
def test_what_a_shell_would_expand_stands_in_quotes(file: Path) -> None:
    """Also where it is no command: people copy what they read."""
    lines = file.read_text().splitlines()
    if file.suffix == ".yaml":
        lines = [line for line in lines if line.startswith("#")]
    assert [found[1] for line in lines for found in FIELDS.finditer(line)] == []
