"""[Ray] The cluster a run uses: joining or starting it, its engines' share, Ray Data's settings."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.data

from recaption.config import EngineConfig, RecipeError
from recaption.text import printable

WRITE_CPUS = 0.1
_RAISED = re.compile(r"[A-Za-z_][\w.]*: \S")
LOCAL_CPUS = 4


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """How many engines, and what each reserves."""

    replicas: int
    num_gpus: float
    num_cpus: float

    def pool(self, parts_in_flight: int) -> ray.data.ActorPoolStrategy:
        """The actor pool: of fixed size, so that no drain waits for an engine to boot."""
        return ray.data.ActorPoolStrategy(
            size=self.replicas,
            max_tasks_in_flight_per_actor=parts_in_flight,
            max_concurrent_calls_per_actor=parts_in_flight,
        )

    def resources(self) -> dict[str, Any]:
        """Ray's resource arguments of one engine."""
        return {"num_gpus": self.num_gpus, "num_cpus": self.num_cpus}

    def without(self, lost: int) -> EnginePlan:
        """The plan after so many engines were lost."""
        return replace(self, replicas=max(1, self.replicas - lost))


@dataclass(frozen=True, slots=True)
class Share:
    """What runs beside the engines reserves, and the keys of a recipe that would make it less."""

    cpus: float
    gpus: float = 0.0
    keys: str = "run.read_cpus"


def plan_engines(config: EngineConfig, beside: Share) -> EnginePlan:
    """Fit a recipe's engines into the cluster. Raises RecipeError where they do not fit."""
    has = float(ray.cluster_resources().get("GPU", 0))
    total = max(0.0, has - beside.gpus)
    there = f"the cluster has {has:g}" + (
        f", of which {beside.gpus:g} are not for engines ({beside.keys})" if beside.gpus else ""
    )
    if config.num_gpus == "auto":
        tensor_parallel = int(config.args.get("tensor_parallel_size", 1))
        gpus = float(tensor_parallel) if config.kind == "vllm" and has else 0.0
    else:
        gpus = config.num_gpus
    if gpus > total:
        raise RecipeError(
            f"engine.num_gpus: an engine needs {gpus:g} GPUs, {there}; set"
            " engine.num_gpus or tensor_parallel_size lower, or add nodes"
        )
    if config.replicas == "auto":
        replicas = max(1, int(total // gpus)) if gpus else 1
    else:
        replicas = config.replicas
    if gpus and replicas * gpus > total:
        raise RecipeError(
            f"engine.replicas: {replicas} engines of {gpus:g} GPUs need {replicas * gpus:g},"
            f" {there}; set engine.replicas=auto"
        )
    _check_cpus(replicas * config.num_cpus, beside)
    return EnginePlan(replicas, gpus, config.num_cpus)


def _check_cpus(needed: float, beside: Share) -> None:
    """Raise where a run would wait for ever for a CPU."""
    there = float(ray.cluster_resources().get("CPU", 0))
    if needed + beside.cpus > there:
        raise RecipeError(
            f"the cluster has {there:g} CPUs, the engines need {needed:g} and what runs beside them"
            f" {beside.cpus:g}; set engine.num_cpus, engine.replicas or {beside.keys} lower, or add"
            " nodes"
        )


@contextlib.contextmanager
def session(tell: Callable[[str], None] = lambda what: None) -> Iterator[None]:
    """Join the Ray cluster that is named or running, else start one on this machine.

    What takes its time is told.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray's C++ warns at each start that the pool's constructor arguments lie in its store.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {
        "logging_level": logging.WARNING,
        "log_to_driver": bool(os.environ.get("RECAPTION_WORKER_LOGS")),
    }
    is_main = threading.current_thread() is threading.main_thread()
    earlier = signal.getsignal(signal.SIGTERM)  # before Ray sets its own
    address = os.environ.get("RAY_ADDRESS", "")
    tell(f"joining the Ray cluster at {address}" if address else "starting Ray")
    try:
        _join_or_start(quiet)
        if is_main:
            # `ray job stop` and cluster managers end a run in order, as Ctrl-C does.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        tell("starting the workers")
        yield
    finally:
        tell("stopping Ray")
        ray.shutdown()
        if is_main and earlier is not None:  # None: not set from Python, nor can be set from it
            signal.signal(signal.SIGTERM, earlier)


def _join_or_start(quiet: dict[str, Any]) -> None:
    """Join the cluster of RAY_ADDRESS or `ray start`; never one that another program started."""
    # More CPUs than there may be: the engine, a reader and a writer each reserve some, and a
    # small machine runs them side by side all the same.
    cpus = max(LOCAL_CPUS, os.cpu_count() or 1)
    with _started(), _token_kept_private():
        try:
            ray.init(num_cpus=cpus, include_dashboard=False, **quiet)
        except ValueError:
            ray.init(**quiet)  # a cluster is there, and its CPUs are not ours to set


@contextlib.contextmanager
def _started() -> Iterator[None]:
    """Tell in one line why Ray did not start: it raises plain exceptions, after a minute."""
    try:
        yield
    except RecipeError:
        raise
    except Exception as e:
        address = os.environ.get("RAY_ADDRESS", "")
        where = f"the cluster at RAY_ADDRESS={address}" if address else "Ray on this machine"
        raise RecipeError(
            f"{where} could not be reached or started: {root_message(e)}; see"
            " /tmp/ray/session_latest/logs, `ray status` and `ray stop`, free memory and disk"
            " (df -h /tmp /dev/shm), then run the same command again"
        ) from e


@contextlib.contextmanager
def _token_kept_private() -> Iterator[None]:
    """Let nobody else read the token that Ray writes: who has it runs code as us.

    By the folder's mode and not by a umask, which Ray's workers would have for the corpus as well.
    """
    folder = Path.home() / ".ray"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / "auth_token").chmod(0o600)


_ADVICE = ("To change retry attempts", "Failed to ", "The above exception was", "During handling")


def root_message(error: BaseException) -> str:
    """Say in a line what lies at the bottom of an error of Ray's: its kind and its words.

    Ray's own texts hold the traceback of the task and, of Ray Data, advice on retries; what was
    raised stands in it as `module.Kind: words`.
    """
    while isinstance(error, ray.exceptions.RayTaskError) and error.cause is not None:
        if isinstance(error.cause, ray.exceptions.UserCodeException):
            break  # its own cause did not come along, but the traceback tells it
        error = error.cause
    lines = [line for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith((" ", *_ADVICE))]
    if isinstance(error, ray.exceptions.RayTaskError):
        raised = [s for s in told if _RAISED.match(s) and "UserCodeException: " not in s]
        if raised:
            kind, _, words = raised[-1].partition(": ")
            return printable(f"{kind.rpartition('.')[2]}: {words}")
    return f"{type(error).__name__}: {printable(told[-1]) if told else 'no message'}"


@contextlib.contextmanager
def data_context() -> Iterator[None]:
    """Ray Data's settings for a stream of parts, for the datasets made within."""
    context = ray.data.DataContext.get_current()
    saved = context.copy()
    # A row is a part: each becomes a block of its own, nothing is split or merged.
    context.target_max_block_size = 1
    context.target_min_block_size = 1
    # A part that is lost to crashes is found missing in the ledger and done in another pass.
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.enable_auto_log_stats = False
    context.execution_options.preserve_order = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.data.DataContext._set_current(saved)
