"""A folder on a real S3 server, and a proxy before it that breaks requests."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from recaption import storage
from tests.corpus.build import BUCKET
from tests.s3_faults import FaultProxy


@pytest.fixture
def root() -> Iterator[str]:
    """A folder of its own in the test bucket, deleted in the end."""
    url = f"s3://{BUCKET}/test-storage/{uuid.uuid4().hex}"
    yield url
    storage.delete(file.url for file in storage.list_tree(url))


@pytest.fixture
def proxy(root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy that every request goes through from now on, faultless until told otherwise."""
    with FaultProxy(os.environ["AWS_ENDPOINT_URL"]) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL", started.url)
        monkeypatch.setenv("RECAPTION_S3_READ_TIMEOUT", "0.5")
        yield started
        started.rate = 0.0
        started.script.clear()
