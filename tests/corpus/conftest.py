"""Where the corpora of these tests are: on local disk, and on the S3 server where there is one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from recaption import storage
from tests.corpus.build import BUCKET, needs_s3


@pytest.fixture(
    params=["local", pytest.param("s3", marks=[pytest.mark.s3, needs_s3])],
)
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The url of a corpus that does not exist yet."""
    if request.param == "local":
        yield str(tmp_path / "corpus")
        return
    url = f"s3://{BUCKET}/test-corpus/{uuid.uuid4().hex}"
    yield url
    storage.delete(file.url for file in storage.list_tree(url))
