"""The coordinator's memory of a run: who waits for what, and when a run is over."""

from __future__ import annotations

import asyncio

import pytest

from recaption import coordinator as module
from recaption.coordinator import Coordinator, Snapshot
from recaption.progress import told_engines


def test_what_an_engine_waits_for_is_in_the_progress_line() -> None:
    async def go() -> Snapshot:
        coordinator = Coordinator(1)
        await coordinator.boot("a")
        await coordinator.waits_for("a", "http://h/v1: no connection")
        return await coordinator.snapshot()

    assert told_engines(asyncio.run(go())) == "engines 1 booting 0:00: http://h/v1: no connection"


def test_what_engines_were_lost_by_is_in_the_progress_line() -> None:
    async def go() -> Snapshot:
        coordinator = Coordinator(1)
        await coordinator.boot("a")
        await coordinator.waits_for("a", "attempt 1")
        await coordinator.lost("a", "no memory")
        return await coordinator.snapshot()

    assert told_engines(asyncio.run(go())) == "engines 1 lost: no memory"


def test_a_run_ends_with_what_awaits_all_engines_though_some_were_not_heard_of() -> None:
    async def go() -> bool:
        coordinator = Coordinator(3)
        await coordinator.boot("a")
        return await asyncio.wait_for(coordinator.lost("a", "a typo", is_final=True), 5)

    assert asyncio.run(go())


def test_an_engine_that_is_never_heard_of_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_UNHEARD_S", 0.1)

    async def go() -> bool:
        coordinator = Coordinator(2)
        await coordinator.boot("a")
        return await asyncio.wait_for(coordinator.lost("a", "no memory"), 5)

    assert not asyncio.run(go())
