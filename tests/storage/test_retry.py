"""What passes by itself is tried again, the rest is not."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl

import pytest

from recaption.storage import RetryPolicy, StorageError
from recaption.storage.errors import HttpStatusError
from recaption.storage.retry import is_transient, retried, retried_here
from tests.storage.build import QUICK, raised_from, s3_error


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=6, first_delay_s=1, longest_delay_s=4)
    error = ConnectionResetError("reset")
    waits = [policy.pause(i, error, "read a") for i in range(1, 6)]
    for wait, longest in zip(waits, [1, 2, 4, 4, 4], strict=True):
        assert longest / 2 <= wait <= longest
    with pytest.raises(ConnectionResetError) as caught:
        policy.pause(6, error, "read a")
    assert caught.value.__notes__ == ["tried 6 times"]


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_delay_s": 30}, {"first_delay_s": -1}])
def test_a_policy_checks_itself(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected attempts >= 1"):
        RetryPolicy(**wrong)


def test_retries_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    failures = [ConnectionResetError("reset"), TimeoutError("slow"), HttpStatusError(503, "Busy")]

    def attempt() -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    with caplog.at_level(logging.INFO, "recaption"):
        assert retried_here(attempt, QUICK, "read a") == "done"
    assert [r.levelname for r in caplog.records] == ["INFO", "INFO", "WARNING"]
    assert "attempt 1 of 4 to read a failed (ConnectionResetError: reset)" in caplog.text


def test_bugs_are_not_tried_again() -> None:
    calls = []

    async def attempt() -> None:
        calls.append(1)
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        asyncio.run(retried(attempt, QUICK, "read a"))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("error", "is_passing"),
    [
        (ConnectionResetError(), True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (OSError(errno.ENETUNREACH, "network is unreachable"), True),
        (HttpStatusError(503, ""), True),
        (HttpStatusError(429, ""), True),
        (HttpStatusError(404, ""), False),
        (HttpStatusError(501, ""), False),
        (s3_error(503, "SlowDown"), True),
        (s3_error(400, "RequestTimeout"), True),
        (s3_error(409, "ConditionalRequestConflict"), True),
        (s3_error(412, "PreconditionFailed"), False),
        (s3_error(403, "AccessDenied"), False),
        (s3_error(404, "NoSuchBucket"), False),
        (raised_from(s3_error(503, "SlowDown")), True),
        (OSError(errno.ENOSPC, "full"), False),
        (FileNotFoundError(), False),
        (ssl.SSLCertVerificationError("self-signed"), False),
        (ValueError("bug"), False),
        (StorageError("explained already"), False),
    ],
)
def test_what_passes_by_itself(error: Exception, is_passing: bool) -> None:
    assert is_transient(error) is is_passing
