"""vLLM in this process: `AsyncLLM`, its scheduler and model in a process of their own.

Many requests are in flight at once; the `n` captions of a request share its prefill, and the
requests of an image share its processed pixels and, where the cache is on, its prefix.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from recaption.config import EngineConfig, RecipeError, SamplingConfig
from recaption.engines.base import (
    EngineBootError,
    EngineDied,
    EngineInfo,
    Job,
    RequestFailed,
    Tell,
    caption_text,
    tell_nobody,
)
from recaption.engines.boot_log import BootLog, bytes_downloading
from recaption.engines.choices import CANDIDATES, weigh
from recaption.engines.identity import resolve_model
from recaption.engines.preflight import doubt_of_model
from recaption.engines.vllm_arguments import check_arguments
from recaption.sample import Caption, Reason
from recaption.text import printable

_CPU_ENVIRONMENT = {
    # A small machine: bind no threads to cores that others use, take 1 GiB for the KV cache.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # Threads of OpenMP (Intel's and LLVM's; GNU's) that wait for the next step sleep: spinning,
    # they take the cores from the engine's other processes and from whatever runs beside it.
    "KMP_BLOCKTIME": "0",
    "OMP_WAIT_POLICY": "PASSIVE",
}
_CPU_ARGUMENTS = {
    # A seeded request whose prefill is cut in chunks kills vLLM 0.29 on a CPU ("CPU Generator
    # does not use offset": gpu_model_runner rolls the generator back, which only CUDA's can).
    "enable_chunked_prefill": False,
}
_DEFAULT_SEQUENCES = 256
_FINAL = ("ValueError", "TypeError", "ValidationError", "ImportError", "ModuleNotFoundError")
"""Errors of the engine's own process that are of what it was given."""


class VllmEngine:
    """A captioner served by vLLM's AsyncLLM."""

    def __init__(self, llm: Any, config: EngineConfig, sampling: SamplingConfig) -> None:
        import vllm

        self._llm = llm
        self._log = BootLog()
        self._death = ""
        self._sampling = sampling_arguments(sampling)
        self._prompt = chat_prompt(llm)
        self.info = EngineInfo("vllm", vllm.__version__, config.model, config.revision)
        running = llm.vllm_config.scheduler_config.max_num_seqs
        # Enough that the next request waits, processed, when one of the running ones ends.
        self.concurrency = config.concurrency or running + max(16, running // 2)

    @classmethod
    async def boot(
        cls, config: EngineConfig, sampling: SamplingConfig, tell: Tell = tell_nobody
    ) -> VllmEngine:
        """Load the model and start the engine's process; takes a minute or more."""
        log = BootLog()
        starting = asyncio.ensure_future(asyncio.to_thread(_start, config))
        try:
            while not (await asyncio.wait({starting}, timeout=1))[0]:
                tell(await asyncio.to_thread(_stage, log, config))
            llm = starting.result()
        except (RecipeError, EngineBootError):
            raise
        except Exception as e:
            raise _boot_failure(e, config, log) from e
        try:
            return cls(llm, config, sampling)
        except Exception as e:
            await asyncio.to_thread(llm.shutdown)
            text = f"engine.model {config.model}: {_own_words(e)}"
            raise EngineBootError(text, is_final=True) from e

    async def answer(self, job: Job) -> list[Caption]:
        """Return `n` captions of one image, or what it makes of each choice of a question."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        r = job.request
        how = self._sampling | {"n": r.n, "seed": r.seed % 2**63}
        if r.choices:
            how = {"max_tokens": 1, "temperature": 0.0, "logprobs": CANDIDATES}
        sampling = SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY, **how)
        prompt = {
            "prompt": self._prompt(r.prompt),
            "multi_modal_data": {"image": job.image.rgb},
            "multi_modal_uuids": {"image": job.image.sha256},
        }
        output = await self._generate(prompt, sampling, job.job_id)
        n_prompt = len(output.prompt_token_ids or ())
        if r.choices:
            return weigh(r, _first_tokens(output), n_prompt)
        return [_caption(o, r.seed + i, n_prompt) for i, o in enumerate(output.outputs)]

    async def _generate(self, prompt: Any, sampling: Any, request_id: str) -> Any:
        from vllm.v1.engine.exceptions import EngineDeadError

        llm = self._llm
        if llm is None:
            raise EngineDied("the engine has been closed")
        try:
            outputs = [o async for o in llm.generate(prompt, sampling, request_id)]
        except EngineDeadError as e:
            raise EngineDied(self._told_death(e)) from e
        except Exception as e:
            if llm.errored:
                raise EngineDied(self._told_death(e)) from e
            raise _request_failure(e) from e
        if not outputs:
            raise RequestFailed(Reason.REQUEST_FAILED, "vLLM ended the request without an answer")
        return outputs[-1]

    def _told_death(self, error: Exception) -> str:
        """Say what the engine's process died of; looked up once, for all that were in it."""
        if not self._death:
            cause, words = self._log.cause(), _own_words(error)
            self._death = f"{cause} ({words})" if cause else words
        return self._death

    async def close(self) -> None:
        """Shut the engine's process down, in order."""
        llm, self._llm = self._llm, None
        if llm is None:
            return
        if llm.output_handler is not None:
            # Else it takes the end of the engine's process for a crash and logs it as one.
            llm.output_handler.cancel()
            await asyncio.wait({llm.output_handler})
        await asyncio.to_thread(llm.shutdown)


def engine_arguments(config: EngineConfig) -> dict[str, Any]:
    """Return the keyword arguments of vLLM's engine, also those of the benchmark's bare one.

    On a CPU, sets vLLM's environment for a small machine where it is not set.
    """
    from vllm.platforms import current_platform

    arguments: dict[str, Any] = {
        "model": resolve_model(config.model),
        "limit_mm_per_prompt": {"image": 1, "video": 0, "audio": 0},
        "max_num_seqs": _DEFAULT_SEQUENCES,
        "disable_log_stats": True,
    }
    if current_platform.is_cpu():
        arguments |= _CPU_ARGUMENTS
        for name, value in _CPU_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # Ray gives an actor as many threads as it reserved CPUs, one by default; the engine's
        # process, which inherits this, is to use the whole machine.
        os.environ["OMP_NUM_THREADS"] = str(max(int(config.num_cpus), os.cpu_count() or 1))
    if config.revision:
        arguments["revision"] = config.revision
    return arguments | config.args


def _start(config: EngineConfig) -> Any:
    check_arguments(config)
    doubt = doubt_of_model(config)  # vLLM would ask for two minutes, and not name the model
    if doubt is not None and not doubt.may_pass:
        raise EngineBootError(doubt.text, is_final=True)
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    return AsyncLLM.from_engine_args(AsyncEngineArgs(**engine_arguments(config)))


def _stage(log: BootLog, config: EngineConfig) -> str:
    """Say what a boot is at; vLLM logs nothing while it downloads."""
    stage = log.stage()
    size = bytes_downloading(config) if stage == "loading the model" else 0
    return f"downloading the model ({size / 1e9:,.1f} GB so far)" if size else stage


def _boot_failure(error: Exception, config: EngineConfig, log: BootLog) -> EngineBootError:
    """Return what vLLM says, with what its own process said of why it died.

    What is wrong with its arguments or its model another boot does not mend; what it found of
    memory, files and network it may.
    """
    words, cause = _own_words(error), log.cause()
    if isinstance(error, RuntimeError) and cause:
        words = f"{cause} ({words})"
    may_pass = isinstance(error, RuntimeError | OSError | MemoryError)
    is_final = not may_pass or isinstance(error, NotImplementedError)
    is_final |= isinstance(error, OSError) and config.model in words
    is_final |= cause.startswith(_FINAL) and "free memory" not in cause.casefold()
    return EngineBootError(f"engine.model {config.model}: vLLM: {words}", is_final=is_final)


def sampling_arguments(sampling: SamplingConfig) -> dict[str, Any]:
    """Return the keyword arguments of vLLM's SamplingParams, but for n, seed and output kind."""
    return sampling.model_dump() | {
        "logprobs": 0,  # the sampled token's own: for the mean log-probability
        "skip_special_tokens": True,
    }


def chat_prompt(llm: Any) -> Callable[[str], str]:
    """Return the function that puts a prompt behind the image in the model's chat template.

    The template is rendered once, by vLLM, with a marker in the place of the text: vLLM knows
    which templates take a message in parts, and which as a string with the image's placeholder.
    """
    marker = "RECAPTION-PROMPT"
    chat = _render(llm, marker)
    before, found, after = chat.partition(marker)
    if not found:
        raise ValueError("its chat template leaves out the user's text")
    return lambda text: before + text + after


def _render(llm: Any, text: str) -> str:
    """Return a chat about an image as the model is given it."""
    from PIL import Image
    from vllm.renderers.params import ChatParams

    image = {"type": "image_pil", "image_pil": Image.new("RGB", (64, 64))}
    messages = [{"role": "user", "content": [image, {"type": "text", "text": text}]}]
    how = {"add_generation_prompt": True, "tokenize": False}
    _, prompt = llm.renderer.render_messages(messages, ChatParams(chat_template_kwargs=how))
    if isinstance(prompt.get("prompt"), str):
        return str(prompt["prompt"])
    return _render_by_processor(llm.vllm_config.model_config, text)


def _render_by_processor(config: Any, text: str) -> str:
    """The same by transformers: of a Mistral, vLLM renders tokens only."""
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(
        config.model, revision=config.revision, trust_remote_code=config.trust_remote_code
    )
    content = [{"type": "image"}, {"type": "text", "text": text}]
    chat = [{"role": "user", "content": content}]
    return str(processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))


def _caption(output: Any, seed: int, prompt_tokens: int) -> Caption:
    tokens = len(output.token_ids)
    total = output.cumulative_logprob
    return Caption(
        text=caption_text(output.text),
        seed=seed,
        finish_reason=str(output.finish_reason or ""),
        prompt_tokens=prompt_tokens,
        caption_tokens=tokens,
        mean_logprob=total / tokens if tokens and total is not None else None,
    )


def _first_tokens(output: Any) -> list[tuple[str, float]]:
    """Return the candidates of the first token with their log-probabilities."""
    steps = output.outputs[0].logprobs
    return [(one.decoded_token or "", one.logprob) for one in steps[0].values()] if steps else []


def _request_failure(error: Exception) -> RequestFailed:
    cause = error.__cause__ or error
    text = _own_words(cause)
    # The text alone (its characters, its tokens), then the text with the image's tokens.
    of_text, of_all = "maximum context length is", "longer than the maximum model length"
    too_long = of_text in text or of_all in text
    return RequestFailed(Reason.REQUEST_TOO_LONG if too_long else Reason.REQUEST_FAILED, text)


def _own_words(error: BaseException) -> str:
    text = printable(str(error)) or type(error).__name__
    return text if len(text) <= 500 else text[:499] + "…"
