"""Two-tower checkpoints of the real architectures, small and random, as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

KINDS = ("clip", "siglip")


def write_checkpoint(folder: Path, kind: str) -> None:
    """Write a CLIP or SigLIP that reads images of 32 x 32 pixels and texts of 32 tokens."""
    import torch
    import transformers as tf

    from recaption.engines.random_model import _tokenizer

    tokenizer = _tokenizer()
    tokenizer.model_max_length = 32
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 32,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": 1,
        "pad_token_id": 0,
    }
    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": 16,
    }
    vision = small | {"image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    if kind == "clip":
        config = tf.CLIPConfig(text_config=text | small, vision_config=vision, projection_dim=16)
        model: Any = tf.CLIPModel(config)
        sized = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
        images = tf.CLIPImageProcessor(**sized)
        processor: Any = tf.CLIPProcessor(images, tokenizer)
    else:
        siglip = tf.SiglipConfig(
            text_config=text | small | {"projection_size": 32}, vision_config=vision
        )
        model = tf.SiglipModel(siglip)
        images = tf.SiglipImageProcessor(size={"height": 32, "width": 32})
        processor = tf.SiglipProcessor(images, tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
