"""Whether the parts of a flow model are there and fit together, without loading any weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from recaption.config import RecipeError
from recaption.engines.identity import looks_like_path
from recaption.text import printable
from train.families.flow.config import FlowConfig, TextConfig
from train.families.flow.tokenizer import TextTokenizer

T = TypeVar("T")

VAE = "an AutoencoderKL of diffusers (model.latent.subfolder where it is part of a pipeline)"
"""What model.latent.vae has to name."""

_KINDS = {"clip": ("clip", "clip_text_model"), "t5": ("t5", "mt5")}
"""Types of transformers' configurations by text.kind."""


def problems(config: FlowConfig, image_size: int) -> list[str]:
    """Return what is wrong with a model's parts, a line each."""
    found = []
    for check in (_check_space, _check_text):
        try:
            check(config, image_size)
        except RecipeError as e:
            found.append(str(e))
    return found


def side_in(image_size: int, downscale: int, patch: int) -> int:
    """Return the side of an image in its space. Raises RecipeError if it has no whole patches."""
    unit = downscale * patch
    if image_size % unit or not image_size:
        near = max(unit, image_size // unit * unit)
        made = f"patch={patch}" + (f" of latents of {downscale} pixels" if downscale > 1 else "")
        raise RecipeError(
            f"data.image_size={image_size} with model.{made}: expected a multiple of {unit},"
            f" such as {near}; change the one or the other"
        )
    return image_size // downscale


def downscale_of(block_out_channels: object) -> int:
    """Return how many pixels of a side an autoencoder makes one of."""
    assert isinstance(block_out_channels, list | tuple)
    return int(2 ** (len(block_out_channels) - 1))


def check_vocabulary(text: TextConfig, made: int, read: int) -> None:
    """Raise RecipeError where a tokenizer makes tokens that the encoder does not know."""
    if made > read:
        raise RecipeError(
            f"text.tokenizer={text.tokenizer or text.model} makes {made} different tokens, but"
            f" {text.model} reads {read}: leave text.tokenizer out to take the model's own"
        )


def check_places(text: TextConfig, places: int | None) -> None:
    """Raise RecipeError where a text is longer than what the encoder has places for."""
    if places is not None and text.length > places:
        raise RecipeError(
            f"text.length={text.length}, but {text.model} has {places} places:"
            f" set text.length={places}"
        )


def load(key: str, name: str, wanted: str, loader: Callable[[], T]) -> T:
    """Return what a loader of a model's part returns; whatever it raises is a RecipeError."""
    if looks_like_path(name) and not Path(name).expanduser().exists():
        raise RecipeError(f"{key}={name}: no such file or folder; expected {wanted}")
    try:
        return loader()
    except RecipeError:
        raise
    except Exception as e:
        why = printable(str(e))[:300] or type(e).__name__
        raise RecipeError(f"{key}={name}: expected {wanted}, by name or path: {why}") from e


def _check_space(config: FlowConfig, image_size: int) -> None:
    latent, downscale = config.latent, 1
    if latent.vae:
        named = load("model.latent.vae", latent.vae, VAE, lambda: _vae_config(config))
        downscale = downscale_of(named["block_out_channels"])
    side_in(image_size, downscale, config.patch)


def _vae_config(config: FlowConfig) -> dict[str, Any]:
    latent = config.latent
    folder = Path(latent.vae).expanduser() / latent.subfolder
    if folder.is_dir():
        found = json.loads((folder / "config.json").read_bytes())
    else:
        from diffusers import AutoencoderKL

        found = AutoencoderKL.load_config(latent.vae, subfolder=latent.subfolder or None)
    if not isinstance(found, dict) or "block_out_channels" not in found:
        raise ValueError("its config.json is not that of an AutoencoderKL")
    return found


def _check_text(config: FlowConfig, image_size: int) -> None:
    text = config.text
    name = text.tokenizer or text.model
    if not name:
        return
    made = load_tokenizer(text)
    if text.kind != "trainable":
        wanted = f"a {text.kind} encoder of transformers"
        found = load("model.text.model", text.model, wanted, lambda: _encoder_config(text))
        check_vocabulary(text, made.vocabulary, int(found.vocab_size))
        check_places(text, getattr(found, "max_position_embeddings", None))


def load_tokenizer(text: TextConfig) -> TextTokenizer:
    """Return a text's tokenizer, which works. Raises RecipeError."""
    made = TextTokenizer(text.tokenizer or text.model, text.length)
    if made.name:
        key, wanted = "model.text.tokenizer", "a tokenizer of transformers"
        if not text.tokenizer:
            key, wanted = "model.text.model", f"a {text.kind} encoder of transformers with its own"
        load(key, made.name, wanted, lambda: made(["a text"]))
    return made


def _encoder_config(text: TextConfig) -> Any:
    from transformers import AutoConfig

    found = AutoConfig.from_pretrained(text.model, trust_remote_code=False)
    if found.model_type not in _KINDS[text.kind]:
        raise ValueError(f"it is a model of the type {found.model_type}")
    return getattr(found, "text_config", found)
