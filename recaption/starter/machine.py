"""The GPUs of this machine, seen without importing torch, and the engine that suits them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from recaption.config import RecipeError
from recaption.starter.models import CAPTIONERS, Captioner, fitting

_ASK = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
_PATIENCE_S = 20  # nvidia-smi takes seconds where the driver sleeps


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that this machine has."""

    name: str
    gib: float


@dataclass(frozen=True, slots=True)
class Engine:
    """What is proposed: keys of the recipe's engine section, and why, a line each."""

    settings: dict[str, str]
    why: list[str] = field(default_factory=list)
    instead: list[str] = field(default_factory=list)


def find_gpus() -> list[Gpu]:
    """Return the NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves; none where there is no driver."""
    try:
        told = subprocess.run(
            _ASK, capture_output=True, text=True, timeout=_PATIENCE_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return read_gpus(told, os.environ.get("CUDA_VISIBLE_DEVICES"))


def read_gpus(told: str, visible: str | None) -> list[Gpu]:
    """Read nvidia-smi's lines; of a GPU whose memory is shared with the CPU it tells none."""
    wanted = None if visible is None else [one.strip() for one in visible.split(",")]
    found = []
    for line in told.splitlines():
        index, uuid, name, memory = ([one.strip() for one in line.split(",")] + [""] * 4)[:4]
        is_visible = (
            wanted is None
            or index in wanted
            or any(w[:4] == "GPU-" and uuid.startswith(w) for w in wanted)
        )
        if is_visible and memory.isdigit():
            found.append(Gpu(name, int(memory) / 1024))
    return found


def choose_engine(gpus: Sequence[Gpu], model: str, url: str) -> Engine:
    """Return the engine for what was asked for, else for the GPUs that were seen."""
    if url:
        if not model:
            raise RecipeError(f"--url {url}: give --model too, by the name it is served under")
        return Engine({"kind": "openai", "model": model, "url": url})
    if model:
        return Engine({"kind": "vllm", "model": model} | _arguments(bool(gpus)))
    if not gpus:
        return _without_gpu()
    least = min(gpus, key=lambda gpu: gpu.gib)
    held = fitting(least.gib)
    if not held:
        return _too_small(least)
    chosen = [one for one in held if one.is_usual][-1]
    return Engine(
        {"kind": "vllm", "model": chosen.name} | _arguments(True),
        [f"seen here: {_seen(gpus)}; {_needs(chosen)}", *_larger(held, chosen)],
        ["a GPU each gets an engine (replicas: auto); a smaller model is faster, and may do"],
    )


def _arguments(has_gpu: bool) -> dict[str, str]:
    eager = "" if has_gpu else ", enforce_eager: true"
    return {"args": f"{{max_model_len: 4096{eager}}}"}


def _needs(one: Captioner) -> str:
    return f"{one.name.partition('/')[2]} fits cards from {one.card()} GB on (calculated)"


def _larger(held: Sequence[Captioner], chosen: Captioner) -> list[str]:
    names = [one.name for one in held if one.billions > chosen.billions]
    return [f"also fits, better and several times slower: {', '.join(names)}"] if names else []


def _seen(gpus: Sequence[Gpu]) -> str:
    kinds = dict.fromkeys((gpu.name, round(gpu.gib)) for gpu in gpus)
    counts = {kind: sum((g.name, round(g.gib)) == kind for g in gpus) for kind in kinds}
    return ", ".join(f"{n} x {name} with {gib} GiB" for (name, gib), n in counts.items())


def _too_small(gpu: Gpu) -> Engine:
    smallest = CAPTIONERS[0]
    return Engine(
        {"kind": "vllm", "model": smallest.name}
        | {"args": "{max_model_len: 2048, max_num_seqs: 8, quantization: fp8}"},
        [
            f"seen here: {_seen([gpu])}; {_needs(smallest)}. Weights in 8 bits and few",
            "requests at once may make it fit; else let another machine serve a model, see below",
        ],
        _ENDPOINT,
    )


def _without_gpu() -> Engine:
    smallest = CAPTIONERS[0]
    return Engine(
        {"kind": "vllm", "model": smallest.name} | _arguments(False),
        [
            "no NVIDIA GPU was seen on this machine. On its CPU this model takes many seconds an",
            f"image and about {round(2 * smallest.billions) + 3} GiB of memory: enough to try it."
            " On a Ray cluster, engines run where GPUs are.",
            "engine.model=random:small runs anywhere, to see all else work; its captions are noise",
        ],
        _ENDPOINT,
    )


_ENDPOINT = [
    "a model that is served elsewhere, by `vllm serve` or anything that speaks OpenAI's protocol:",
    "kind: openai",
    "url: http://localhost:8000/v1",
]
