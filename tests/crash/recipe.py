"""The recipe of the crash tests: rendered images, small parts, an engine that takes its time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from recaption.engines.random_model import make_random_captioner
from recaption.shapeworld.sets.shards import write_shards

_PER_SHARD = 100


def write_recipe(folder: Path, images: int, engine: str = "echo") -> Path:
    """Render the images, write the recipe, return its path; what is there already is kept."""
    shards = folder / "shards"
    if not shards.exists():
        write_shards(str(shards), images // _PER_SHARD, _PER_SHARD, seed=1, size=64, workers=2)
    recipe: dict[str, Any] = {
        "source": {"path": str(shards), "part_samples": 32},
        "caption": {"styles": ["short", "spatial"]},
        "corpus": {"path": str(folder / "corpus")},
        "run": {"passes": 6},
    }
    if engine == "echo":
        args = {"delay_s": 0.05}
        recipe["engine"] = {"kind": "echo", "args": args, "concurrency": 16}
        recipe["caption"]["per_style"] = 2
    else:
        model = make_random_captioner(folder / "model", "tiny")
        args = {"enforce_eager": True, "dtype": "float32", "max_model_len": 1024}
        recipe["engine"] = {"kind": "vllm", "model": str(model), "args": args}
        recipe["sampling"] = {"temperature": 0, "max_tokens": 12, "min_tokens": 4}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path
