"""The captioner's size and its files: a Qwen2-VL of 2.3 million parameters, 5 MB in bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recaption.engines.random_model import Size, config_of, processor_of

PATCH, MERGE = 12, 2
TOKEN = PATCH * MERGE
"""Side in pixels of what one image token sees."""

SIZE = Size(
    width=128,
    depth=4,
    hidden=384,
    vision_width=128,
    vision_depth=4,
    vision_ratio=3,
    patch=PATCH,
    min_pixels=14_300,  # a little below 120 x 120, which a square image of any size becomes
    max_pixels=17_280,
    rope_theta=20.0,  # a grid of 5 x 5 needs wavelengths of its own length
    rope_sections=(2, 7, 7),
)


def build(tokenizer: Any, seed: int) -> Any:
    """Return the model with fresh weights."""
    import torch
    from transformers import Qwen2VLForConditionalGeneration

    torch.manual_seed(seed)
    config = config_of(SIZE, tokenizer)
    config.text_config.initializer_range = config.vision_config.initializer_range = 0.06
    return Qwen2VLForConditionalGeneration(config)


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a checkpoint in bfloat16 that transformers and vLLM load."""
    import copy

    import torch

    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
    processor_of(SIZE, tokenizer).save_pretrained(folder)
