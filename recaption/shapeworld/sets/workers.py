"""The same work on many items: in this process, in several of this machine, or on Ray."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ON_RAY = 0
"""The number of workers that stands for all CPUs of a Ray cluster."""

_TASKS_PER_CPU = 2
"""On Ray, queued or running at a time: none waits for work, and few wait in the scheduler."""


def work(do: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """Yield what `do` returns for each item, on Ray as each is done; an error ends it."""
    if workers == ON_RAY:
        return _on_ray(do, items)
    return _in_processes(do, items, workers) if workers > 1 else map(do, items)


def _in_processes(
    do: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(items)), mp_context=spawn) as pool:
        with _interrupts_held():
            results = pool.map(do, items)
        yield from results


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back: processes that start within never get it, this one gets it after.

    A worker that is interrupted while it starts leaves its pool waiting for ever.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _on_ray(do: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    import ray

    from recaption import runtime

    with runtime.session():
        task: Any = ray.remote(_call)
        shared, waiting = ray.put(do), iter(items)
        at_once = _TASKS_PER_CPU * int(ray.cluster_resources().get("CPU", 1))
        running = [task.remote(shared, item) for item in islice(waiting, at_once)]
        while running:
            (done,), running = ray.wait(running)
            running += [task.remote(shared, item) for item in islice(waiting, 1)]
            yield _result(done)


def _call(do: Callable[[Item], Result], item: Item) -> Result:
    return do(item)


def _result(done: Any) -> Any:
    """Return what a task returned, or raise what it raised, as if it had run here."""
    import ray

    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as e:
        raise e.cause from None
