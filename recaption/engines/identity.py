"""Which model answers: where its files are, and what of it goes into a recipe's fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path

from recaption.config import EngineConfig, RecipeError, nearest
from recaption.engines.random_model import PREFIX, SIZES, VERSION, random_checkpoint
from recaption.shapeworld.captioner import BUILT_IN

_WHOLE = 64 * 2**20  # bytes; larger files are hashed by size and both ends
_END = 2**20
_SKIPPED = {".md", ".txt.bak", ".lock", ".gitattributes"}


def looks_like_path(model: str) -> bool:
    """Whether a model is meant as a path: NAME and OWNER/NAME are looked up on a hub instead."""
    return model.startswith(("/", ".", "~")) or model.count("/") > 1 or Path(model).exists()


def resolve_model(model: str) -> str:
    """Return a checkpoint's folder for `builtin:NAME` and `random:SIZE`, another name as it is."""
    if model.startswith(PREFIX):
        return str(random_checkpoint(model))
    return str(BUILT_IN.get(model, model))


def model_hash(config: EngineConfig) -> str:
    """Identify the model: a local folder by its content, another by name and revision.

    Raises RecipeError for a path that is not there or holds no checkpoint.
    """
    if config.model.startswith(PREFIX):
        size = config.model.removeprefix(PREFIX)
        if size not in SIZES:
            raise RecipeError(
                f"engine.model: no random captioner {size!r}{nearest(size, SIZES)}"
                f" (sizes: {', '.join(SIZES)})"
            )
        return f"{config.model}@{VERSION}"
    if config.model.startswith("builtin:"):
        if config.model not in BUILT_IN:
            raise RecipeError(
                f"engine.model: no built-in captioner {config.model!r}"
                f"{nearest(config.model, BUILT_IN)} (there is {', '.join(BUILT_IN)})"
            )
        return folder_hash(BUILT_IN[config.model])
    if config.kind != "vllm" or not looks_like_path(config.model):
        return f"{config.model}@{config.revision or 'default'}"
    folder = Path(config.model).expanduser()
    if not folder.exists():
        raise RecipeError(
            f"engine.model: no such folder {config.model}; expected a checkpoint folder, or the"
            " OWNER/NAME of a model on a hub"
        )
    if not (folder / "config.json").is_file():
        raise RecipeError(f"engine.model: {config.model} has no config.json: not a checkpoint")
    return folder_hash(folder)


def similarity_hash(model: str) -> str:
    """Identify a model of image-text similarity: a local folder by its content, another by name."""
    folder = Path(model).expanduser()
    return folder_hash(folder) if looks_like_path(model) and folder.is_dir() else model


def folder_hash(folder: Path) -> str:
    """Return a hash of a folder's files: names, sizes and contents, of large ones both ends."""
    h = hashlib.blake2b(digest_size=8)
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix not in _SKIPPED and not file.name.startswith("."):
            h.update(f"{file.relative_to(folder)}:{file.stat().st_size}:".encode())
            h.update(_content(file))
    return h.hexdigest()


def _content(file: Path) -> bytes:
    if file.stat().st_size <= _WHOLE:
        return file.read_bytes()
    with file.open("rb") as f:
        head = f.read(_END)
        f.seek(-_END, 2)
        return head + f.read(_END)
