"""What a user did wrong, told as a message and never as a traceback."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from recaption.config import RecipeError
from recaption.printing import print_lines
from recaption.storage import StorageError
from recaption.storage.shown import fit_to_print


def is_users_mistake(error: BaseException) -> bool:
    """Whether an error is one of ours, whose message is meant for the user."""
    return isinstance(error, RecipeError | StorageError)


def tell_mistake(messages: Sequence[str], listing: Sequence[str] = ()) -> None:
    """Print what is wrong to stderr, a line for each; `listing`: lines on what could be named."""
    told = Console(stderr=True, highlight=False)
    for message in messages:
        line = Text.assemble(("error:", "red"), " ", fit_to_print(" ".join(message.split())))
        told.print(line, soft_wrap=True)
    print_lines(told, listing)
