"""Where the files of these tests are."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest


@pytest.fixture(params=["path", "file", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder that does not exist yet, on each store that needs no server."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/a"
    return f"{tmp_path}/a" if request.param == "path" else f"file://{tmp_path}/a"
