"""What of an engine is found wrong before anything boots, in one line that names it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recaption.config import EngineConfig, RecipeError, SamplingConfig
from recaption.engines import preflight, random_model
from recaption.engines.base import EngineBootError, EngineInfo, Job, boot_engine
from recaption.engines.boot_log import BootLog
from recaption.engines.preflight import check_arguments, find_doubt, look_ahead
from recaption.engines.trial import prove
from recaption.sample import Caption
from tests.engines.conftest import SAMPLING
from tests.engines.fake_endpoint import FakeEndpoint, Raw, Status, serving


def vllm(model: str = "random:tiny", **settings: Any) -> EngineConfig:
    return EngineConfig(kind="vllm", model=model, **settings)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster, and a hub that cannot be reached."""
    from huggingface_hub import constants

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(preflight, "_CLUSTER", tmp_path / "none")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            {"max_modle_len": 5},
            "engine.args.max_modle_len: vLLM has no such argument, did you mean",
        ),
        ({"max_model_len": "32k"}, "engine.args.max_model_len: expected int, got '32k'"),
        ({"enforce_eager": "yes"}, "engine.args.enforce_eager: expected bool, got 'yes'"),
        ({"gpu_memory_utilization": "90%"}, "expected float, got '90%'"),
        ({"tensor_parallel_size": True}, "expected int, got True"),
        ({"tensor_parallel_size": 1.5}, "expected int, got 1.5"),
        ({"trust_remote_code": 1}, "expected bool, got 1"),
        ({"model": "x"}, "set engine.model instead"),
    ],
)
@pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="no vLLM here")
def test_an_argument_that_vllm_has_not_is_named(args: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as failure:
        check_arguments(vllm(args=args))
    assert words in str(failure.value) and "\n" not in str(failure.value)


@pytest.mark.parametrize(
    "args",
    [
        {"max_model_len": 512, "dtype": "float32", "gpu_memory_utilization": 1, "seed": 3},
        {"limit_mm_per_prompt": {"image": 2}, "quantization": None, "hf_overrides": {"a": 1}},
        {"enable_log_requests": True, "compilation_config": {"mode": 0}, "max_num_seqs": None},
    ],
)
def test_arguments_that_vllm_has_pass(args: dict[str, Any]) -> None:
    check_arguments(vllm(args=args))


def test_to_check_arguments_does_not_import_vllm() -> None:
    code = """
        import sys
        from recaption.config import EngineConfig
        from recaption.engines.preflight import check_arguments
        check_arguments(EngineConfig(kind="vllm", model="m", args={"max_model_len": 5}))
        sys.exit("vllm" in sys.modules or "torch" in sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)


def test_a_model_without_cache_and_network_is_named_at_once() -> None:
    with pytest.raises(RecipeError, match=r"engine.model: Qwen/Qwen3-VL-2B-Instrct is not in the"):
        look_ahead(vllm("Qwen/Qwen3-VL-2B-Instrct"), is_dry=False)
    (note,) = look_ahead(vllm("Qwen/Qwen3-VL-2B-Instrct"), is_dry=True)
    assert "the hub cannot be reached" in note and "expected a checkpoint folder" in note


def test_on_a_cluster_another_machine_may_have_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert len(look_ahead(vllm("Qwen/Qwen3-VL-2B-Instrct"), is_dry=False)) == 1


def test_an_engine_whose_model_is_not_there_says_so_instead_of_waiting() -> None:
    pytest.importorskip("vllm")
    with pytest.raises(EngineBootError, match=r"engine.model: no/such is not in the") as failure:
        asyncio.run(boot_engine(vllm("no/such"), SAMPLING))
    assert failure.value.is_final


def test_a_name_that_is_none_of_a_hub() -> None:
    with pytest.raises(RecipeError, match="neither a folder nor the OWNER/NAME"):
        look_ahead(vllm("Qwen 3 VL"), is_dry=True)


def test_a_cached_model_needs_no_network(tmp_path: Path) -> None:
    repo = tmp_path / "hub" / "models--a--b"
    (repo / "snapshots" / "1").mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("1")
    (repo / "snapshots" / "1" / "config.json").write_text("{}")
    assert look_ahead(vllm("a/b"), is_dry=False) == []
    with pytest.raises(RecipeError, match="a/b at revision 2 is not in the cache"):
        look_ahead(vllm("a/b", revision="2"), is_dry=False)
    repo.rename(tmp_path / repo.name)
    assert look_ahead(vllm("a/b", args={"download_dir": str(tmp_path)}), is_dry=False) == []
    assert look_ahead(vllm("builtin:shapeworld"), is_dry=False) == []
    assert look_ahead(EngineConfig(kind="echo"), is_dry=False) == []


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    """A fake endpoint in a thread: what is tested runs a loop of its own."""
    ready, is_over = threading.Event(), asyncio.Event()
    made: list[FakeEndpoint] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async with serving() as served:
            made.append(served)
            loops.append(asyncio.get_running_loop())
            ready.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield made[0]
    loops[0].call_soon_threadsafe(is_over.set)
    thread.join(10)


def served(url: str, model: str = "fake/captioner") -> EngineConfig:
    return EngineConfig(kind="openai", model=model, url=url)


def test_an_endpoint_is_looked_at(endpoint: FakeEndpoint) -> None:
    assert look_ahead(served(endpoint.url), is_dry=True) == []
    with pytest.raises(RecipeError, match="is not served, did you mean fake/captioner"):
        look_ahead(served(endpoint.url, "fake/captionr"), is_dry=False)
    endpoint.listing = Status(401, "bad key")
    with pytest.raises(RecipeError, match=rf"engine.url {endpoint.url}: HTTP 401: bad key"):
        look_ahead(served(endpoint.url), is_dry=False)
    endpoint.listing = Raw(b"<html>")
    with pytest.raises(RecipeError, match="it sends a web page"):
        look_ahead(served(endpoint.url), is_dry=False)


def test_a_dead_endpoint_is_named_and_may_yet_come() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    (note,) = look_ahead(served(url), is_dry=False)
    assert note.startswith(f"engine.url {url}: no connection") and "boot_timeout_s=300" in note
    doubt = find_doubt(served(url))
    assert doubt is not None and doubt.may_pass


def test_an_engine_that_cannot_caption_a_test_image_does_not_boot() -> None:
    config = EngineConfig(kind="echo", args={"fail_on": ["test"]})
    with pytest.raises(EngineBootError, match="cannot caption a test image: the echo engine was"):
        asyncio.run(boot_engine(config, SamplingConfig()))
    hanging = EngineConfig(kind="echo", args={"hang_on": ["test"]}, timeout_s=0.1)
    with pytest.raises(EngineBootError, match=r"no answer within engine.timeout_s=0.1"):
        asyncio.run(boot_engine(hanging, SamplingConfig()))


def test_what_an_engine_s_own_process_died_of_is_read_from_the_log(tmp_path: Path) -> None:
    code = """
        import os, subprocess, sys
        print("ValueError: of an earlier boot", file=sys.stderr, flush=True)
        from recaption.engines.boot_log import BootLog
        log = BootLog()
        dies = "raise ValueError('No memory\\x1b[2J for the cache blocks')"
        subprocess.run([sys.executable, "-c", dies])
        print("(Worker pid=7) ERROR [x.py:1] Exception: WorkerProc initialization failed due to an"
              " exception in a background process.", file=sys.stderr)
        print("RuntimeError: Engine core initialization failed. See above.", file=sys.stderr)
        sys.stderr.flush()
        open(sys.argv[1], "w").write(log.cause())
    """
    said, err = tmp_path / "said", tmp_path / "worker.err"
    with err.open("w") as stderr:
        command = [sys.executable, "-c", textwrap.dedent(code), str(said)]
        subprocess.run(command, stderr=stderr, check=True, timeout=60)
    assert said.read_text() == "ValueError: No memory for the cache blocks"


def test_a_log_that_is_no_file_tells_nothing() -> None:
    assert isinstance(BootLog().cause(), str)


def test_a_random_checkpoint_of_another_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random_model.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(random_model, "make_random_captioner", fake_checkpoint)
    first = random_model.random_checkpoint("random:tiny")
    assert first == random_model.random_checkpoint("random:tiny") and first.parent == tmp_path
    assert first.stat().st_mode & 0o077 == 0

    first.chmod(0o777)  # others may have written into it
    other = random_model.random_checkpoint("random:tiny")
    assert other != first and (other / "config.json").exists()
    first.chmod(0o700)
    monkeypatch.setattr(random_model.os, "getuid", lambda: os.geteuid() + 1)
    assert random_model.random_checkpoint("random:tiny") not in (first, other)


def test_a_link_in_the_place_of_a_random_checkpoint_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random_model.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(random_model, "make_random_captioner", fake_checkpoint)
    theirs = tmp_path / "theirs"
    fake_checkpoint(theirs, "tiny")
    name = f"recaption-random-tiny-{random_model.VERSION}-{os.getuid()}"
    (tmp_path / name).symlink_to(theirs)
    assert random_model.random_checkpoint("random:tiny").resolve() != theirs


def fake_checkpoint(folder: Path, size: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")


def test_an_engine_that_cannot_caption_is_closed_whatever_it_raised() -> None:
    class Broken:
        info = EngineInfo("broken", "", "", "")
        concurrency = 1
        is_closed = False

        async def answer(self, job: Job) -> list[Caption]:
            raise ValueError("top_k must be -1")

        async def close(self) -> None:
            self.is_closed = True

    engine = Broken()
    with pytest.raises(EngineBootError, match="top_k must be -1"):
        asyncio.run(prove(engine, EngineConfig(kind="echo")))
    assert engine.is_closed
