"""Trying again: which errors pass by themselves, and how long to wait for that."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from recaption.storage.diagnosis import status_and_code, type_names
from recaption.storage.errors import StorageError
from recaption.storage.shown import text_without_secrets
from recaption.text import printable

T = TypeVar("T")

logger = logging.getLogger(__name__)

_QUIET_ATTEMPTS = 2  # so many failures of one request are everyday life: INFO; more: WARNING

_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_TRANSIENT_CODES = {
    *("SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable"),
    *("Throttling", "ThrottlingException", "RequestThrottled"),
    *("RequestLimitExceeded", "BandwidthLimitExceeded"),
    *("IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"),  # damaged on the way
    *("ConditionalRequestConflict", "OperationAborted"),  # someone is writing the same key
}
_TRANSIENT_NAMES = {
    *("HTTPClientError", "ResponseStreamingError", "IncompleteReadError"),  # botocore
    *("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"),
    "ResponseParserError",
    *("ConnectError", "ConnectTimeout", "ReadError", "ReadTimeout", "RemoteProtocolError"),  # httpx
    *("ClientPayloadError", "ClientConnectionError", "ServerDisconnectedError"),  # aiohttp
    *("ConnectionError", "TimeoutError", "gaierror", "IncompleteRead", "FSTimeoutError"),
}
_TRANSIENT_ERRNO = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}
_PERMANENT_NAMES = {"SSLCertVerificationError", "NoCredentialsError", "InvalidURL"}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a request is tried: waits double from first to longest, in seconds.

    Each wait is shortened at random by up to half, so that a thousand workers do not come back at
    once. The default waits 25 s in all, which outlasts a store's hiccup and no outage.
    """

    attempts: int = 8
    first_delay_s: float = 0.2
    longest_delay_s: float = 20.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 <= self.first_delay_s <= self.longest_delay_s:
            raise ValueError(f"got {self}, expected attempts >= 1 and 0 <= first <= longest delay")

    def pause(self, attempt: int, error: Exception, doing: str) -> float:
        """Return how many seconds to wait after failure number `attempt` (from 1).

        Raises the error instead where waiting does not help or patience has run out.
        """
        if not is_transient(error):
            raise error
        if attempt >= self.attempts:
            error.add_note(f"tried {attempt} times" if attempt > 1 else "tried once")
            raise error
        longest = min(self.first_delay_s * 2.0 ** (attempt - 1), self.longest_delay_s)
        delay = longest * (0.5 + 0.5 * random.random())  # results do not depend on it
        level = logging.INFO if attempt <= _QUIET_ATTEMPTS else logging.WARNING
        message = "attempt %d of %d to %s failed (%s: %s); again in %.1f s"
        name = type(error).__name__
        why = text_without_secrets(printable(str(error)))
        logger.log(level, message, attempt, self.attempts, doing, name, why, delay)
        return delay


RETRIES = RetryPolicy()
"""What every call does unless told otherwise."""


def is_transient(error: BaseException) -> bool:
    """Say whether the same request may succeed a little later."""
    if isinstance(error, StorageError):
        return False
    status, code = status_and_code(error)
    if status:
        return status in _TRANSIENT_STATUS or code in _TRANSIENT_CODES
    names = type_names(error)
    if names & _PERMANENT_NAMES:
        return False
    return bool(names & _TRANSIENT_NAMES) or getattr(error, "errno", None) in _TRANSIENT_ERRNO


async def retried(attempt: Callable[[], Awaitable[T]], policy: RetryPolicy, doing: str) -> T:
    """Await `attempt()` until it succeeds, fails for good, or the policy's patience runs out."""
    number = 0
    while True:
        number += 1
        try:
            return await attempt()
        except Exception as error:
            delay = policy.pause(number, error, doing)
        await asyncio.sleep(delay)


def retried_here(attempt: Callable[[], T], policy: RetryPolicy, doing: str) -> T:
    """Do the same for a plain function in the calling thread."""
    number = 0
    while True:
        number += 1
        try:
            return attempt()
        except Exception as error:
            delay = policy.pause(number, error, doing)
        time.sleep(delay)
