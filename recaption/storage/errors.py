"""The error that users of storage see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from recaption.storage.diagnosis import (
    BAD_ENDPOINT,
    UNKNOWN_SCHEME,
    Trouble,
    diagnose,
    type_names,
)
from recaption.storage.paths import is_by_driver
from recaption.storage.shown import text_without_secrets, without_secrets
from recaption.text import printable

_DRIVER_ERRORS = {
    *("BotoCoreError", "ClientError"),  # botocore; aiohttp has a ClientError too
    *("HTTPException", "HttpError", "FSTimeoutError"),
}


class StorageError(ValueError):
    """Storage said no; the message is one line: what was tried, on what, what happened, the fix."""

    def __init__(self, message: str, trouble: Trouble = Trouble.OTHER) -> None:
        super().__init__(message)
        self.trouble = trouble


def too_long(url: str, most: int) -> StorageError:
    """Return the error of a file that has more bytes than are read of one."""
    return StorageError(
        f"could not read {printable(without_secrets(url))}: it has more than {most:,} bytes, which"
        " is more than can be meant. Check the path."
    )


class HttpStatusError(OSError):
    """A web server answered with an error status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status


def explain(error: BaseException, url: str, doing: str) -> StorageError:
    """Return the error that a user gets: what was tried, on which url, what happened, the fix."""
    if isinstance(error, StorageError):
        return error
    trouble, what, fix = diagnose(error, url)
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    told = f"{printable(without_secrets(url))}: {text_without_secrets(printable(what + notes))}"
    return StorageError(f"could not {doing} {told}. {fix}.", trouble)


@contextmanager
def explained(url: str, doing: str) -> Iterator[None]:
    """Turn what storage and its drivers raise within into a StorageError; bugs pass through."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        # Of others' drivers any error is theirs: they raise what their clients raise, and more.
        if _is_from_storage(error) or is_by_driver(url):
            raise explain(error, url, doing) from error
        raise


def _is_from_storage(error: Exception) -> bool:
    if isinstance(error, (OSError, ImportError, NotImplementedError)):
        return True
    return bool(type_names(error) & _DRIVER_ERRORS) or any(
        text in str(error) for text in (UNKNOWN_SCHEME, BAD_ENDPOINT)
    )
