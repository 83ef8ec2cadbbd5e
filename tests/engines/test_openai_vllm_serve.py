"""The endpoint's engine against a real `vllm serve`: the same captions, also over a restart."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recaption.config import EngineConfig, SamplingConfig
from recaption.engines.base import Job, RequestFailed, boot_engine
from recaption.engines.driver import EngineDriver
from recaption.engines.openai import OpenAIEngine
from recaption.parts import Answer
from recaption.sample import Caption, Reason
from tests.engines.conftest import (
    GREEDY,
    LONG,
    MAX_MODEL_LEN,
    SAMPLING,
    InProcess,
    Loop,
    all_captions,
    greedy_jobs,
    job,
    sampled_jobs,
)

# Two boots of a server: 3 minutes on two idle cores, much more on busy ones.
pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(900)]

MODEL = "tiny"


class VllmServe:
    """A `vllm serve` of our own, which can be killed and started again."""

    def __init__(self, model: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = log
        self._command = [
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(model), "--served-model-name", MODEL),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--dtype", "float32", "--max-model-len", str(MAX_MODEL_LEN)),
            # A seeded request with chunked prefill kills vLLM 0.29 on a CPU.
            *("--enforce-eager", "--no-enable-chunked-prefill"),
            *("--limit-mm-per-prompt", '{"image": 1, "video": 0}'),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def config(self) -> EngineConfig:
        return EngineConfig(kind="openai", url=f"http://127.0.0.1:{self.port}/v1", model=MODEL)

    def start(self) -> None:
        environment = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=os.environ | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it and all that it started."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def serve(
    in_process: InProcess, loop: Loop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServe]:
    """The server. The session's engine makes room for it: one vLLM at a time."""
    loop.run(in_process.engine.close())
    made = VllmServe(in_process.model, tmp_path_factory.mktemp("serve") / "log")
    made.start()
    try:
        yield made
    finally:
        made.kill()
        print("\n".join(made.log.read_text().splitlines()[-30:]))


def ask(
    loop: Loop, serve: VllmServe, sampling: SamplingConfig, jobs: list[Job]
) -> tuple[list[Caption], RequestFailed]:
    """Have pictures captioned, and one request refused."""

    async def go() -> tuple[list[Caption], RequestFailed]:
        engine = await OpenAIEngine.boot(serve.config(), sampling)
        try:
            assert engine.info.version.startswith("vllm 0.")
            captions = await all_captions(engine, jobs)
            with pytest.raises(RequestFailed) as refusal:
                await engine.answer(job(0, prompt=LONG))
            return captions, refusal.value
        finally:
            await engine.close()

    return loop.run(go())


def compare(served: list[Caption], own: list[Caption], what: str) -> None:
    """Captions are equal, and so near in probability that they were of the same pixels."""
    pairs = list(zip(served, own, strict=True))
    equal = [a.text == b.text for a, b in pairs]
    gaps = [abs((a.mean_logprob or 9) - (b.mean_logprob or 0)) for a, b in pairs]
    kinds = len({caption.text for caption in own})
    print(f"{what}: {sum(equal)} of {len(own)} equal ({kinds} different), gap {max(gaps):.1e}")
    assert all(equal) and kinds > len(own) / 2 and max(gaps) < 1e-3
    for a, b in pairs:
        assert (a.seed, a.finish_reason) == (b.seed, b.finish_reason)
        assert (a.prompt_tokens, a.caption_tokens) == (b.prompt_tokens, b.caption_tokens)


def test_a_served_vllm_says_what_one_in_the_process_says(
    in_process: InProcess, loop: Loop, serve: VllmServe
) -> None:
    greedy, refusal = ask(loop, serve, GREEDY, greedy_jobs())
    assert refusal.reason == Reason.REQUEST_TOO_LONG
    compare(greedy, in_process.greedy, "temperature 0")
    sampled, _ = ask(loop, serve, SAMPLING, sampled_jobs())
    compare(sampled, in_process.sampled, "seeded, temperature 0.8")


def test_a_server_that_is_killed_and_restarted_costs_nothing(loop: Loop, serve: VllmServe) -> None:
    async def go() -> tuple[list[Answer], EngineDriver]:
        sampling = SAMPLING.model_copy(update={"max_tokens": 64})
        driver = EngineDriver(serve.config(), lambda: boot_engine(serve.config(), sampling))
        await driver.start()
        work = asyncio.ensure_future(driver.answer_all([job(i % 16, seed=i) for i in range(400)]))
        while driver.counters.requests < 40:
            await asyncio.sleep(0.02)
        serve.kill()
        assert not work.done()
        serve.start()
        try:
            return await work, driver
        finally:
            await driver.close()

    answers, driver = loop.run(go())
    assert all(len(answer.captions) == 1 for answer in answers) and len(answers) == 400
    assert driver.counters.deaths == 0 and driver.counters.boots == 1
