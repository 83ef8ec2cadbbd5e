"""`recaption train ...`: the commands of the `train` package, where what they need is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from recaption.config import RecipeError

EXTRA = ("diffusers", "matplotlib", "tensorboard", "torchmetrics")
"""What the `train` extra installs and captioning goes without."""


def run_training_command(words: Sequence[str]) -> None:
    """Run `train`'s command line and end the process with its exit code. Raises RecipeError."""
    check_is_ours()
    check_is_installed()
    # By name: `train` stands on `recaption`, never the other way round.
    importlib.import_module("train.__main__").main(words, "recaption train")


def check_is_installed() -> None:
    """Raise RecipeError where the `train` extra is not installed."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise RecipeError(
            f"training needs {', '.join(missing)}, not installed here: pip install"
            " 'recaption[train]'"
        )


def check_is_ours() -> None:
    """Raise RecipeError where a file of the user's hides our `train`.

    Ray's workers look for modules in the folder in which a run was started, before all others.
    """
    for name in ("train.py", "train/__init__.py"):
        found = Path(name)
        if found.is_file() and not found.resolve().is_relative_to(Path(__file__).parents[1]):
            raise RecipeError(
                f"{found.absolute()} hides recaption's own module `train`: run from another folder,"
                " or rename it"
            )
