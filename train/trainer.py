"""[Ray] A run on a cluster: workers by Ray Train, restarted from the last checkpoint when one dies.

Checkpoints are the run's own (`checkpoints.py`): Ray's are a copy more, and know no records.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import ray
import ray.train as ray_train
import ray.train.torch as ray_torch
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from recaption.config import RecipeError
from recaption.reachable import check_reachable
from recaption.runtime import Share, root_message, session
from train.config import ComputeConfig, TrainRecipe
from train.doing import doing
from train.errors import NotFiniteError, TrainingError, is_lasting, told
from train.interface import TrainData
from train.parallel import Workers
from train.progress import News, Teller
from train.screen import Screen
from train.worker import work

_COLLECTIVE_S = 1800
"""Seconds that workers wait for one another, such as for one that writes a checkpoint."""

_TELL_S = 1.0
_LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class _Job:
    """All that a worker is sent."""

    recipe: TrainRecipe
    data: TrainData
    notices: Any


def run_training(recipe: TrainRecipe, data: TrainData, screen: Screen, seen: int = 0) -> None:
    """Train on checked data until the recipe's images are seen, of which some were before.

    Raises RecipeError for what the user can mend, TrainingError where the run ends early.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_settings())
        with doing("starting Ray"):
            stack.enter_context(session())
            check_reachable("out", recipe.out)
            _check_resources(recipe.compute)
            notices = _start_notices()
        step = seen // recipe.data.batch_size
        with data.serving(_share(recipe), step) as captioners:
            watching = screen.watching(lambda: _take(notices), captioners)
            with watching, doing(f"starting {_workers(recipe.compute)}"):
                error = _fit(_Job(recipe, data, notices))
        kind, message = ray.get(notices.ending.remote())
    if kind == "recipe":
        raise RecipeError(message)
    if kind != "done":
        raise TrainingError(message or error or "the run was stopped; the same command continues")


def _workers(compute: ComputeConfig) -> str:
    return f"{compute.workers} workers" if compute.workers > 1 else "a worker"


def _fit(job: _Job) -> str:
    """Run the workers to their end; return what went wrong, if anything."""
    with tempfile.TemporaryDirectory(prefix="recaption-train-") as folder:
        trainer = ray_torch.TorchTrainer(
            _work,
            train_loop_config={"job": job},
            torch_config=ray_torch.TorchConfig(timeout_s=_patience(job.recipe)),
            scaling_config=_scaling(job.recipe.compute),
            run_config=ray_train.RunConfig(
                name="run",
                storage_path=folder,
                failure_config=ray_train.FailureConfig(
                    max_failures=job.recipe.compute.max_failures
                ),
            ),
        )
        try:
            trainer.fit()
        except ray_train.WorkerGroupError as e:
            return "; ".join(_root(rank, cause) for rank, cause in e.worker_failures.items())
        except ray_train.TrainingFailedError as e:
            return root_message(e)
    return ""


def _work(config: dict[str, Any]) -> None:
    """A worker's life. What would go wrong again is told to the driver, the rest is raised.

    Where several workers run, what one of them meets alone is raised as well: the others may wait
    for it. They are started once more by Ray Train then, and find the run ended.
    """
    job: _Job = config["job"]
    workers = Workers.of_process_group(torch.device(ray_torch.get_device()))
    teller = _NoticesTeller(job.notices, workers.is_first)
    if teller.has_ended():
        return
    with teller.telling():
        try:
            work(job.recipe, job.data, workers, teller)
        except NotFiniteError as e:
            teller.end("failed", str(e))
        except Exception as e:
            if not is_lasting(e):
                raise
            teller.end(*told(e))
            if workers.count > 1:
                raise
        else:
            if workers.is_first:
                teller.end("done", "")


class _Notices:
    """Where the first worker writes what the driver shows."""

    def __init__(self) -> None:
        self._news: News | None = None
        self._notes: list[str] = []
        self._heard = time.monotonic()
        self._ending = ("", "")

    def tell(self, news: News) -> None:
        self._notes += news.notes
        self._news, self._heard = news, time.monotonic()

    def end(self, kind: str, message: str) -> None:
        if not self._ending[0]:
            self._ending = (kind, message)

    def take(self) -> News | None:
        notes, self._notes = self._notes, []
        age = time.monotonic() - self._heard
        return self._news and replace(self._news, notes=notes, age_s=age)

    def ending(self) -> tuple[str, str]:
        return self._ending


class _NoticesTeller(Teller):
    """Writes to the notices each second, from the first worker only but for an end."""

    def __init__(self, notices: Any, is_first: bool) -> None:
        super().__init__()
        self._notices, self._is_first = notices, is_first

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Tell what the first worker does until the block ends, and what is left then."""
        if not self._is_first:
            yield
            return
        stop = threading.Event()

        def tell() -> None:
            while not stop.wait(_TELL_S):
                self._notices.tell.remote(self.take())

        thread = threading.Thread(target=tell, daemon=True, name="teller")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            ray.get(self._notices.tell.remote(self.take()))

    def end(self, kind: str, message: str) -> None:
        """Tell how the run ended; of several workers' endings the first one counts."""
        ray.get(self._notices.end.remote(kind, message))

    def has_ended(self) -> bool:
        """Whether a worker told that the run cannot go on."""
        kind, _ = ray.get(self._notices.ending.remote())
        return bool(kind)


def _take(notices: Any) -> News | None:
    try:
        taken: News | None = ray.get(notices.take.remote(), timeout=_LOOK_S)
    except (ray.exceptions.RayError, TimeoutError):
        return None  # a head that is overloaded answers later
    return taken


def _start_notices() -> Any:
    """Start it on the driver's node, with which alone it may die."""
    node = ray.get_runtime_context().get_node_id()
    here = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(_Notices).options(num_cpus=0, scheduling_strategy=here).remote()


def _patience(recipe: TrainRecipe) -> int:
    """Seconds in a collective: a worker may have to wait for captions meanwhile."""
    waits = recipe.recaption.when_missing == "wait"
    return _COLLECTIVE_S + (int(recipe.recaption.wait_s) if waits else 0)


def _scaling(compute: ComputeConfig) -> ray_train.ScalingConfig:
    gpus = _gpus(compute)
    resources = {"CPU": compute.num_cpus, **({"GPU": gpus} if gpus else {})}
    return ray_train.ScalingConfig(
        num_workers=compute.workers, use_gpu=gpus > 0, resources_per_worker=resources
    )


def _share(recipe: TrainRecipe) -> Share:
    """Return what training reserves: its workers, and a reader of their data."""
    compute = recipe.compute
    return Share(
        cpus=compute.workers * compute.num_cpus + recipe.data.read_cpus,
        gpus=compute.workers * _gpus(compute),
        keys="compute.workers",
    )


def _gpus(compute: ComputeConfig) -> float:
    """GPUs of a worker."""
    if compute.num_gpus != "auto":
        return compute.num_gpus
    return 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0


def _check_resources(compute: ComputeConfig) -> None:
    """Raise where the workers would wait for ever."""
    there = ray.cluster_resources()
    for kind, each in (("GPU", _gpus(compute)), ("CPU", compute.num_cpus)):
        needed, has = compute.workers * each, float(there.get(kind, 0))
        if needed > has:
            raise RecipeError(
                f"compute.workers={compute.workers} with {each:g} {kind}s each need {needed:g},"
                f" the cluster has {has:g}; set compute.workers or compute.num_{kind.lower()}s"
                " lower, or add nodes"
            )


def _root(rank: int, error: BaseException) -> str:
    """Say in a line why a worker failed."""
    while (inner := getattr(error, "_base_exc", None) or error.__cause__) is not None:
        error = inner
    return f"worker {rank}: {root_message(error)}"


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """Ray Train's settings: workers stay in the driver's folder, a dead one is soon noticed."""
    wanted = {
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",
        "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    }
    added = {key: value for key, value in wanted.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)
