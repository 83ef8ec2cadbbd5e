"""Lines as they may reach a terminal or a log, whoever wrote what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from recaption.storage.shown import fit_to_print

if TYPE_CHECKING:
    from rich.console import Console


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Print lines as they are, however long: no markup, no control characters, no secrets."""
    for line in lines:
        console.print(fit_to_print(line), soft_wrap=True, markup=False, highlight=False)
