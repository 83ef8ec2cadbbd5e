"""The mark and the patience of the tests that need a real S3 server."""

from __future__ import annotations

import pytest

from recaption.storage import RetryPolicy
from tests.corpus.build import needs_s3

NEEDS_S3 = [pytest.mark.s3, needs_s3]
QUICK = RetryPolicy(attempts=10, first_delay_s=0.01, longest_delay_s=0.1)
ONCE = RetryPolicy(attempts=1)
