"""Which errors are worth another try, and how they are told from one process to another."""

from __future__ import annotations

import pytest
import ray
import torch

from recaption.config import RecipeError
from recaption.runtime import root_message
from recaption.storage import StorageError, Trouble
from train.errors import LastingError, NotFiniteError, PassingError, is_lasting, told, untold


@pytest.mark.parametrize(
    "error",
    [
        StorageError("was it replaced?"),
        StorageError("no such file", Trouble.MISSING),
        RecipeError("no weight"),
        NotFiniteError("nan"),
        TypeError("a bug"),
        KeyError("a bug"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
)
def test_what_would_go_wrong_again_is_not_tried_again(error: Exception) -> None:
    assert is_lasting(error)


@pytest.mark.parametrize(
    "error",
    [
        StorageError("503", Trouble.UNREACHABLE),
        RuntimeError("connection closed by peer"),
        OSError("input/output error"),
        PassingError("503"),
    ],
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert not is_lasting(error)


def test_an_error_arrives_as_what_it_was() -> None:
    def sent(error: Exception) -> tuple[type[Exception], str]:
        arrived = untold(*told(error))
        return type(arrived), str(arrived)

    assert sent(StorageError("00001.tar: was it replaced?")) == (
        RecipeError,
        "00001.tar: was it replaced?",
    )
    assert sent(RecipeError("a\x1b[2Jb\nc")) == (RecipeError, "ab c")
    assert sent(StorageError("503", Trouble.UNREACHABLE)) == (PassingError, "503")
    assert sent(TypeError("no\nlength")) == (LastingError, "TypeError: no length")
    kind, line = sent(torch.OutOfMemoryError("CUDA out of memory"))
    assert kind is LastingError and "data.batch_size" in line


USER_CODE = """ray::MapBatches(load)() (pid=1, ip=192.0.2.2)
  File "streaming.py", line 1, in load
KeyError: 'inner'

The above exception was the direct cause of the following exception:

ray::MapBatches(load)() (pid=1, ip=192.0.2.2)
  File "streaming.py", line 2, in load
recaption.storage.errors.StorageError: 00001.tar: was it replaced?

The above exception was the direct cause of the following exception:

ray::MapBatches(load)() (pid=1, ip=192.0.2.2)
ray.exceptions.UserCodeException: UDF failed to process a data block.
Failed to apply UDF transform after 1/1 attempts (total backoff 0.0s).
To change retry attempts, backoff, or which errors are retried, configure `ray.data...`"""


def test_the_root_of_an_error_of_ray_data_is_told_not_its_advice() -> None:
    cause = ray.exceptions.UserCodeException("UDF failed to process a data block.")
    error = ray.exceptions.RayTaskError("load", USER_CODE, cause, "x", 1, "192.0.2.2")
    assert root_message(error) == "StorageError: 00001.tar: was it replaced?"


def test_the_root_of_an_error_of_a_task_is_its_own() -> None:
    error = ray.exceptions.RayTaskError("f", "...", TypeError("no\nlength"), "x", 1, "192.0.2.2")
    assert root_message(error) == "TypeError: length"
    assert root_message(RuntimeError()) == "RuntimeError: no message"
