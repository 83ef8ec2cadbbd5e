"""A captioner without a model: deterministic, and made to misbehave on demand.

Its caption is a function of image, prompt and seed. `engine.args` tell it to be slow or to fail:
`delay_s` (of each request), `boot_delay_s`, `boot_fails` (an error message), `boot_fails_once_at`
(a path: the boot that creates this file fails), and lists of sample ids: `fail_on`, `hang_on`,
`die_on` (the engine is dead from then on), `exit_on` (kills the whole process). Questions it
answers by the first choice, but by the last where the prompt has one of `doubt_on`.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from recaption import __version__, keyed
from recaption.config import EngineConfig, RecipeError, SamplingConfig, nearest
from recaption.engines.base import EngineBootError, EngineDied, EngineInfo, Job, RequestFailed
from recaption.engines.choices import weigh
from recaption.sample import Caption, Reason, Request

_NOUNS = ("cat", "tree", "car", "house", "boat", "bird", "lamp", "chair", "hill", "clock")
_COLOURS = ("red", "green", "blue", "yellow", "white", "black", "brown", "grey")


@dataclass(frozen=True, slots=True)
class EchoArgs:
    """How the echo engine misbehaves; see the module's text."""

    delay_s: float = 0.0
    boot_delay_s: float = 0.0
    boot_fails: str = ""
    boot_fails_once_at: str = ""
    fail_on: tuple[str, ...] = ()
    die_on: tuple[str, ...] = ()
    hang_on: tuple[str, ...] = ()
    exit_on: tuple[str, ...] = ()
    doubt_on: tuple[str, ...] = ()


def echo_args(config: EngineConfig) -> EchoArgs:
    """Read `engine.args`. Raises RecipeError for one that does not exist."""
    known = {f.name for f in fields(EchoArgs)}
    for name in config.args:
        if name not in known:
            raise RecipeError(
                f"engine.args.{name}: echo has no such argument{nearest(name, known)}"
            )
    given: dict[str, Any] = {}
    for name, value in config.args.items():
        given[name] = tuple(value) if isinstance(value, list) else value
    return EchoArgs(**given)


class EchoEngine:
    """Answers at once with a made-up sentence."""

    def __init__(self, config: EngineConfig) -> None:
        self._args = echo_args(config)
        self._alive = True
        self.info = EngineInfo("echo", __version__, config.model or "echo", config.revision)
        self.concurrency = config.concurrency or 1024

    @classmethod
    async def boot(cls, config: EngineConfig, sampling: SamplingConfig) -> EchoEngine:
        """Start; `boot_fails` makes it fail with that text."""
        engine = cls(config)
        await asyncio.sleep(engine._args.boot_delay_s)
        if engine._args.boot_fails:
            raise EngineBootError(engine._args.boot_fails)
        if engine._args.boot_fails_once_at and _create(engine._args.boot_fails_once_at):
            raise EngineBootError("the echo engine was told to fail once")
        return engine

    async def answer(self, job: Job) -> list[Caption]:
        """Return `n` made-up captions."""
        await self._misbehave(job.sample_id)
        if not self._alive:
            raise EngineDied("the echo engine was told to die")
        r = job.request
        if r.choices:
            return weigh(r, self._first_tokens(r), len(r.prompt.split()))
        return [_caption(job.image.data, r.prompt, r.style, r.seed + i) for i in range(r.n)]

    def _first_tokens(self, request: Request) -> list[tuple[str, float]]:
        """Say the first choice with 0.95, the last where the prompt has a text of `doubt_on`."""
        is_doubted = any(text in request.prompt for text in self._args.doubt_on)
        first, *_, last = request.choices
        sure, unsure = (last, first) if is_doubted else (first, last)
        return [(sure, math.log(0.95)), (unsure, math.log(0.05))]

    async def _misbehave(self, sample_id: str) -> None:
        args = self._args
        if args.delay_s:
            await asyncio.sleep(args.delay_s)
        if sample_id in args.fail_on:
            raise RequestFailed(Reason.REQUEST_FAILED, "the echo engine was told to fail on this")
        if sample_id in args.hang_on:
            await asyncio.sleep(3600)
        if sample_id in args.die_on:
            self._alive = False
        if sample_id in args.exit_on:
            os.kill(os.getpid(), signal.SIGKILL)

    async def close(self) -> None:
        """Nothing to let go."""
        self._alive = False


def _create(path: str) -> bool:
    try:
        Path(path).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _caption(image: bytes, prompt: str, style: str, seed: int) -> Caption:
    key = keyed.digest("echo", image, prompt, seed)
    noun, colour = _NOUNS[key[0] % len(_NOUNS)], _COLOURS[key[1] % len(_COLOURS)]
    text = f"{style}: a {colour} {noun}, {key.hex()[:12]}"
    return Caption(
        text=text,
        seed=seed,
        finish_reason="stop",
        prompt_tokens=len(prompt.split()),
        caption_tokens=len(text.split()),
        mean_logprob=-key[2] / 256,
    )
