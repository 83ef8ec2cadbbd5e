"""What of an engine can be checked before anything boots: its arguments, its model, its server.

`check_arguments` is certain and cheap. `look_ahead` asks a hub or a server, from here: on a
cluster others may have another cache, key or way.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from recaption.config import EngineConfig, RecipeError
from recaption.engines.base import RequestFailed, tell_nobody
from recaption.engines.identity import looks_like_path

_ASK_S = 10.0
_CLUSTER = Path("/tmp/ray/ray_current_cluster")  # `ray start` writes it
OURS = ("builtin:", "random:")
"""How names of models begin that are made here."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why an engine may not come up; `is_certain`: it will not, wherever it is booted."""

    text: str
    is_certain: bool = False
    may_pass: bool = False


def check_arguments(config: EngineConfig) -> None:
    """Check `engine.args` by name and type, without importing the engine. Raises RecipeError."""
    if config.kind == "echo":
        from recaption.engines.echo import echo_args

        echo_args(config)
    elif config.kind == "openai":
        from recaption.engines.openai_wire import check_arguments as check_keys

        check_keys(config)
    else:
        from recaption.engines.vllm_arguments import check_arguments as check_vllm

        check_vllm(config)


def look_ahead(config: EngineConfig, *, is_dry: bool) -> list[str]:
    """Look for the model or the server; return what is doubtful, a line each.

    Raises RecipeError for what cannot come up: anywhere, or here where the run is to be here.
    """
    doubt = find_doubt(config)
    if doubt is None:
        return []
    if doubt.is_certain or not (is_dry or doubt.may_pass or _is_part_of_a_cluster()):
        raise RecipeError(doubt.text)
    return [doubt.text]


def find_doubt(config: EngineConfig) -> Doubt | None:
    """Ask the hub or the server of a recipe; None: nothing speaks against it."""
    if config.kind == "openai":
        return asyncio.run(_doubt_of_server(config))
    return doubt_of_model(config) if config.kind == "vllm" else None


def doubt_of_model(config: EngineConfig) -> Doubt | None:
    """Look for a model of a hub: in the cache, then on the hub."""
    model = config.model
    is_elsewhere = (
        "://" in model or os.environ.get("VLLM_USE_MODELSCOPE") or "hf_config_path" in config.args
    )
    if model.startswith(OURS) or looks_like_path(model) or is_elsewhere:
        return None
    from huggingface_hub import errors

    repo, revision = model.partition(":")[0], config.revision or None  # REPO:QUANTISATION is GGUF's
    try:
        folders = (None, config.args.get("download_dir"))
        if any(is_cached(repo, revision, folder) for folder in folders):
            return None
        return _ask_hub(repo, revision)
    except errors.HFValidationError:
        text = f"engine.model: {model!r} is neither a folder nor the OWNER/NAME of a model on a hub"
        return Doubt(text, is_certain=True)


def is_cached(repo: str, revision: str | None, folder: str | None) -> bool:
    """Say whether a model of a hub is on this machine. Raises HFValidationError."""
    from huggingface_hub import try_to_load_from_cache

    found = [
        try_to_load_from_cache(repo, f, cache_dir=folder, revision=revision)
        for f in ("config.json", "params.json")
    ]
    return any(isinstance(path, str) for path in found)


def _ask_hub(repo: str, revision: str | None) -> Doubt | None:
    from huggingface_hub import HfApi, constants, errors

    named = repo + (f" at revision {revision}" if revision else "")
    fix = "expected a checkpoint folder, or the OWNER/NAME of a model on a hub"
    try:
        HfApi().model_info(repo, revision=revision, timeout=_ASK_S)
    except errors.GatedRepoError:
        return Doubt(
            f"engine.model: {named} is gated: ask for access and set HF_TOKEN", may_pass=True
        )
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        return Doubt(
            f"engine.model: the hub has no {named} (a private one needs HF_TOKEN); {fix}",
            is_certain=not _is_part_of_a_cluster(),
        )
    except Exception as e:  # of whatever kind: the hub cannot be asked
        why = "HF_HUB_OFFLINE is set" if constants.is_offline_mode() else type(e).__name__
        return Doubt(
            f"engine.model: {named} is not in the cache of this machine"
            f" ({constants.HF_HUB_CACHE}), and the hub cannot be reached ({why}); {fix}"
        )
    return None


async def _doubt_of_server(config: EngineConfig) -> Doubt | None:
    from recaption.engines.openai_blame import Denied, Trouble
    from recaption.engines.openai_server import Server

    key = os.environ.get(config.api_key_env, "")
    server = Server(config.url, config.model, key, 1, _ASK_S, tell_nobody)
    try:
        await server.owner(_ASK_S)
    except Denied as e:
        hint = "" if key else f" (no key: ${config.api_key_env} is not set)"
        return Doubt(f"engine.url {config.url}: {e}{hint}")
    except (Trouble, RequestFailed) as e:
        if isinstance(e, Trouble) and not e.is_hopeless:
            wait = f"; a run waits for it, up to engine.boot_timeout_s={config.boot_timeout_s:g}"
            return Doubt(f"engine.url {config.url}: {e}{wait}", may_pass=True)
        return Doubt(f"engine.url {config.url}: {e}")
    finally:
        await server.close()
    return None


def _is_part_of_a_cluster() -> bool:
    """Whether the run may be on other machines: they may know what this one does not."""
    return bool(os.environ.get("RAY_ADDRESS")) or _CLUSTER.exists()
