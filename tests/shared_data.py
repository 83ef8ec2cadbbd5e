"""Where the real test inputs are: real photos, and images that are hard to read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def shared_data() -> Path:
    """Return the folder of real test inputs; skip the test where there is none."""
    named = os.environ.get("RECAPTION_SHARED")
    folder = Path(named) if named else _BESIDE
    if not folder.is_dir():
        where = f"RECAPTION_SHARED={named}" if named else f"{folder} (or set RECAPTION_SHARED)"
        pytest.skip(f"no real test inputs: {where} is not a folder")
    return folder
