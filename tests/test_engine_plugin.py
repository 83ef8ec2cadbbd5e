"""What recaption adds to vLLM's processes: they die with their owner, and torchvision imports."""

import importlib.util
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from multiprocessing import spawn
from multiprocessing.connection import Connection
from types import SimpleNamespace

import psutil
import pytest

from recaption.engines import torchvision_compat, vllm_plugin

_spawn = multiprocessing.get_context("spawn")


def _child(ready: Connection, grandchild: str | None) -> None:
    vllm_plugin.register()
    if grandchild:
        _spawn.Process(target=_child, args=(ready, None), name=grandchild).start()
    ready.send(os.getpid())
    time.sleep(60)


def _owner(ready: Connection, child: str, grandchild: str | None) -> None:
    # From a thread that ends at once: no reason for the child to die.
    process = _spawn.Process(target=_child, args=(ready, grandchild), name=child)
    starter = threading.Thread(target=process.start)
    starter.start()
    starter.join()
    time.sleep(60)


def _start(
    child: str, grandchild: str | None = None
) -> tuple[psutil.Process, list[psutil.Process]]:
    receiver, sender = _spawn.Pipe(duplex=False)
    owner = _spawn.Process(target=_owner, args=(sender, child, grandchild))
    owner.start()
    children = [psutil.Process(receiver.recv()) for _ in range(2 if grandchild else 1)]
    return psutil.Process(owner.pid), children


@pytest.mark.slow
def test_engine_and_workers_die_with_their_owner_and_not_before() -> None:
    owner, children = _start("EngineCore_DP0", "VllmWorker-0")
    _, alive = psutil.wait_procs(children, timeout=1.5)
    assert len(alive) == 2
    owner.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


@pytest.mark.slow
def test_another_child_of_the_user_outlives_its_owner() -> None:
    owner, children = _start("Process-1")
    owner.kill()
    _, alive = psutil.wait_procs(children, timeout=1.5)
    for child in alive:
        child.kill()
    assert alive == children


@pytest.mark.parametrize(("has_ops", "declared"), [(False, 1), (True, 0)])
def test_operators_are_declared_only_where_they_are_missing(
    monkeypatch: pytest.MonkeyPatch, has_ops: bool, declared: int
) -> None:
    calls: list[None] = []
    monkeypatch.setattr(torchvision_compat, "_declare_operators", lambda: calls.append(None))
    monkeypatch.setattr(torchvision_compat, "_hand_on", lambda: None)
    extension = SimpleNamespace(_has_ops=lambda: has_ops)
    monkeypatch.setitem(sys.modules, "torchvision.extension", extension)
    finder = torchvision_compat._SchemaFinder()
    finder.find_spec("torchvision", None)
    finder.find_spec("torchvision.ops", None)
    assert not calls
    finder.find_spec("torchvision._meta_registrations", None)
    assert len(calls) == declared


def test_the_hook_is_installed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    torchvision_compat.install()
    torchvision_compat.install()
    assert [type(f).__name__ for f in sys.meta_path].count("_SchemaFinder") == 1


def test_a_process_that_is_spawned_gets_the_hook_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM's engine core imports torchvision before it loads any plugin."""
    monkeypatch.setattr(spawn, "get_preparation_data", spawn.get_preparation_data)
    torchvision_compat._hand_on()
    told = spawn.get_preparation_data("EngineCore")
    del told["authkey"]  # which goes to a child alone
    sent = pickle.dumps(told)
    monkeypatch.setattr(sys, "meta_path", [])
    assert pickle.loads(sent)["name"] == "EngineCore"
    assert [type(f).__name__ for f in sys.meta_path] == ["_SchemaFinder"]


@pytest.mark.parametrize(
    ("torch", "torchaudio", "is_hidden"),
    [
        ("2.13.0+cpu", "2.11.1", True),
        ("2.13.0+cpu", "2.11.1+cpu", False),
        ("2.13.0", "2.11", False),
    ],
)
def test_builds_for_sound_that_do_not_load_look_as_if_not_installed(
    monkeypatch: pytest.MonkeyPatch, torch: str, torchaudio: str, is_hidden: bool
) -> None:
    versions = {"torch": torch, "torchaudio": torchaudio}
    monkeypatch.setattr("importlib.metadata.version", lambda name: versions.get(name, torch))
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    torchvision_compat._SchemaFinder().find_spec("transformers", None)
    assert ("torchaudio" in sys.modules) == is_hidden
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("torchvision"), reason="no torchvision here")
def test_torchvision_imports_in_a_fresh_process() -> None:
    code = "import torch, torchvision.transforms.v2.functional as f; f.hflip(torch.ones(3, 8, 8))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
