"""`import recaption` is quick, and what it names is there."""

from __future__ import annotations

import subprocess
import sys
import typing

import pytest

import recaption


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; t = time.process_time(); import recaption;"
        " s = time.process_time() - t;"
        " heavy = {'ray', 'torch', 'vllm', 'transformers', 'pandas', 'pyarrow', 'pydantic'};"
        " print(sorted(heavy & sys.modules.keys()), s)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, _, seconds = done.stdout.strip().rpartition(" ")
    assert loaded == "[]"
    assert float(seconds) < 0.1


def test_all_that_is_named_is_there() -> None:
    for name in recaption.__all__:
        assert getattr(recaption, name) is not None
        assert name in dir(recaption)
    typing.get_type_hints(recaption.load_recipe)
    with pytest.raises(AttributeError, match="no attribute 'captions'"):
        _ = recaption.captions  # type: ignore[attr-defined]
