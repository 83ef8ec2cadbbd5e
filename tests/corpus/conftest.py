"""The images of the corpora of these tests, and their places: local disk and, where it is, S3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from recaption import storage
from tests.corpus.build import BUCKET, needs_s3, write_photos


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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two shards of five images: with parts of two samples, three parts each."""
    return write_photos(tmp_path / "photos")
