"""A recipe's fingerprint: a hash of what decides its captions, the name of a corpus's version."""

from __future__ import annotations

import json
from typing import Any

from recaption import keyed, sources
from recaption.config import CaptionConfig, Recipe, SafeguardsConfig, SourceConfig
from recaption.engines.identity import similarity_hash
from recaption.storage.shown import is_secret_name

_RATE_ONLY = frozenset(
    "max_num_seqs max_num_batched_tokens gpu_memory_utilization kv_cache_memory_bytes swap_space"
    " tensor_parallel_size pipeline_parallel_size data_parallel_size enforce_eager block_size"
    " enable_prefix_caching mm_processor_cache_gb mm_processor_cache_type disable_log_stats"
    " distributed_executor_backend enable_chunked_prefill async_scheduling load_format"
    " compilation_config limit_mm_per_prompt delay_s boot_delay_s".split()
)
"""Engine arguments that change the speed, not what is asked for."""


def fingerprint(recipe: Recipe, prompts_hash: str, model_hash: str) -> str:
    """Hash what decides a caption: model, prompts, sampling, how images are read, seed.

    Not in it: what only moves or speeds the work (paths, replicas, batch sizes). 16 hex digits.
    """
    args = {
        k: v
        for k, v in recipe.engine.args.items()
        if k not in _RATE_ONLY and not is_secret_name(k)  # a key that was renewed changes nothing
    }
    asked = recipe.caption.model_dump(exclude={"templates", "subject"})  # `prompts_hash` tells them
    for young in ("language", "clean_alt_text"):
        if asked[young] == getattr(CaptionConfig(), young):
            del asked[young]  # younger than the first corpora, whose fingerprints stay
    decisive = {
        "kind": recipe.engine.kind,
        "model": model_hash,
        "revision": recipe.engine.revision,
        "args": args,
        "sampling": recipe.sampling.model_dump(),
        "image": recipe.image.model_dump(),
        "caption": asked | {"styles": sorted(recipe.caption.styles)},
        "columns": recipe.source.model_dump(
            include={
                *("image_column", "id_column", "alt_text_column"),
                *("class_column", "class_from_folder"),
            }
        )
        | _adapter(recipe.source),
        "prompts": prompts_hash,
        "reading": sources.VERSION,
        "seed": recipe.seed,
    }
    if recipe.attributes.model:
        decisive["attributes"] = recipe.attributes.model_dump(
            exclude={"batch", "replicas", "num_gpus", "num_cpus"}
        ) | {"model": similarity_hash(recipe.attributes.model)}
    if (guards := _safeguards(recipe.safeguards)) != _safeguards(SafeguardsConfig()):
        decisive["safeguards"] = guards
    return keyed.hexdigest("fingerprint-1", json.dumps(decisive, sort_keys=True, default=str))


def _safeguards(config: SafeguardsConfig) -> dict[str, Any]:
    """Return what decides of the safeguards; of what is younger than corpora only what is on."""
    decisive = config.model_dump(exclude={"clip", "least_logprob"})
    if config.clip.model:
        decisive["clip"] = config.clip.model_dump(exclude={"device"})
        decisive["clip"]["model"] = similarity_hash(config.clip.model)
    if config.least_logprob is not None:
        decisive["least_logprob"] = config.least_logprob
    return decisive


def _adapter(source: SourceConfig) -> dict[str, Any]:
    """Return how hints are read; nothing for the generic way, which is older than the key."""
    if source.adapter == "generic":
        return {}
    tables = {name: path.rpartition("/")[2] for name, path in source.tables.items()}
    return {"adapter": source.adapter, "tables": tables, "min_score": source.min_label_score}
