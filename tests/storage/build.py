"""Content, errors and patience for the tests of storage."""

from __future__ import annotations

import random
from pathlib import Path

from recaption.storage import RetryPolicy

QUICK = RetryPolicy(attempts=4, first_delay_s=0.001, longest_delay_s=0.002)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def files_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def s3_error(status: int, code: str) -> Exception:
    error = Exception(f"An error occurred ({code})")
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error.response = response  # type: ignore[attr-defined]
    return error


def raised_from(cause: BaseException) -> OSError:
    error = OSError("translated")
    error.__cause__ = cause
    return error
