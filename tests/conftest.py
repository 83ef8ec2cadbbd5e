"""Fixtures of all tests: one Ray for the whole session, started when it is first needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fast import MARKS, is_fast


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only the unit tests: see tests/fast.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    is_left_out = config.getoption("--fast") and is_test and not is_fast(collection_path)
    return True if is_left_out else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--fast"):
        items[:] = [
            item
            for item in items
            if "ray_session" not in getattr(item, "fixturenames", ())
            and not any(item.get_closest_marker(mark) for mark in MARKS)
        ]


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A Ray of our own, on this machine, apart from any other that runs here."""
    import ray

    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=500 * 2**20,
    )
    yield
    ray.shutdown()
