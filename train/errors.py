"""How a run ends that does not reach its last image, and which errors are worth another try."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recaption.config import RecipeError
from recaption.storage import StorageError, Trouble
from recaption.text import printable

if TYPE_CHECKING:
    from train.config import TrainRecipe


class TrainingError(RuntimeError):
    """A run ended before its last image; the message says why."""


class NotFiniteError(TrainingError):
    """A loss or gradient is not a number or infinite; the message says where."""


class LastingError(TrainingError):
    """Something that would go wrong again the same way, though it is not the user's mistake."""


class PassingError(TrainingError):
    """Something that another try may not meet again, such as a store that does not answer."""


class RecipeErrors(RecipeError):
    """All that is wrong with a recipe, a line each; `rest`: the recipe without its wrong keys."""

    def __init__(self, lines: Sequence[str], rest: TrainRecipe | None = None) -> None:
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)
        self.rest = rest


_PROGRAMS = (ValueError, TypeError, LookupError, AssertionError, AttributeError, ImportError)
"""What a program raises that does the same each time; a lost worker is a RuntimeError."""


def is_lasting(error: BaseException) -> bool:
    """Whether another try from the last checkpoint would meet the same error again."""
    if isinstance(error, StorageError):
        return error.trouble is not Trouble.UNREACHABLE
    if isinstance(error, NotFiniteError | LastingError) or _is_out_of_memory(error):
        return True
    return isinstance(error, _PROGRAMS)


def describe(error: BaseException) -> str:
    """Say an error in a line: ours as they are, others with their kind and where they arose."""
    if isinstance(error, RecipeError | StorageError | TrainingError):
        return printable(str(error))
    if _is_out_of_memory(error):
        return (
            "the device's memory is full: set optimizer.accumulate higher, or data.batch_size or"
            f" the model smaller ({printable(str(error))[:200]})"
        )
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {printable(str(error))[:300] or 'no message'}{where}"


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether it is torch's error of a device; by name, since torch takes seconds to import."""
    return type(error).__name__ == "OutOfMemoryError"


def told(error: Exception) -> tuple[str, str]:
    """Return an error as what can be sent: its kind for `untold`, and a line."""
    if isinstance(error, RecipeError | StorageError) and is_lasting(error):
        return "recipe", describe(error)
    return "lasting" if is_lasting(error) else "passing", describe(error)


def untold(kind: str, message: str) -> Exception:
    """Return the error that was told by `told`."""
    made: type[Exception] = {"recipe": RecipeError, "lasting": LastingError}.get(kind, PassingError)
    return made(message)
