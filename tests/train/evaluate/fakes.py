"""A family that paints what it is told to, data it can be held against, and a tiny CLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from train.batch import Batch
from train.config import TrainRecipe
from train.family import Phase, TextTokenizer

Painter = Callable[[str, int], Tensor]
"""An image uint8 (C, H, W) of a caption and a seed."""


class WordTokenizer:
    """A token for each word; nobody looks at them here."""

    length = 4

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        shape = (len(texts), self.length)
        return np.zeros(shape, dtype=np.int32), np.ones(shape, dtype=bool)


class PaintingFamily:
    """A family whose images a function makes, and whose losses are known."""

    def __init__(self, painter: Painter, losses: dict[str, Tensor] | None = None) -> None:
        self.nets = nn.ModuleDict({"net": nn.Linear(1, 1)})
        self.painter, self.losses = painter, losses or {}
        self.seeds: list[int] = []
        self.was_training: list[bool] = []

    @property
    def phases(self) -> Sequence[Phase]:
        return ()

    @property
    def tokenizer(self) -> TextTokenizer:
        return WordTokenizer()

    def shard_units(self) -> Sequence[nn.Module]:
        return ()

    def move_to(self, device: str) -> None:
        pass

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        self.was_training.append(self.nets.training)
        rows = batch.noise_key_B
        return {name: loss_N[rows] for name, loss_N in self.losses.items()}

    def sample(self, captions: Sequence[str], seeds: Sequence[int]) -> Tensor:
        self.was_training.append(self.nets.training)
        self.seeds += seeds
        return torch.stack([self.painter(c, s) for c, s in zip(captions, seeds, strict=True)])


class Data:
    """Held-out images, `per_batch` at a time."""

    def __init__(self, image_NCHW: Tensor, captions: Sequence[str], per_batch: int = 10) -> None:
        self.image_NCHW, self.captions, self.per_batch = image_NCHW, captions, per_batch

    def held_out(self, count: int, tokenizer: TextTokenizer) -> list[Batch]:
        count = min(count, len(self.captions))
        token_NT, mask_NT = tokenizer(self.captions[:count])
        everything = Batch(
            image_BCHW=self.image_NCHW[:count],
            token_BT=torch.from_numpy(token_NT).long(),
            mask_BT=torch.from_numpy(mask_NT),
            noise_key_B=torch.arange(count),
            captions=tuple(self.captions[:count]),
            sample_ids=tuple(map(str, range(count))),
        )
        return list(everything.split(self.per_batch)) if count else []


def recipe(*metrics: str, images: int = 40, **args: Any) -> TrainRecipe:
    """Return a recipe that asks for metrics."""
    evaluate = {"metrics": list(metrics), "images": images, "args": args}
    return TrainRecipe.model_validate(
        {"out": "run", "images": 1, "data": {"corpus": "corpus"}, "evaluate": evaluate}
    )


def noise_images(count: int, seed: int = 0, low: int = 0, high: int = 256) -> Tensor:
    """Return images of noise, uint8 (N, 3, 16, 16)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 3, 16, 16)
    return torch.randint(low, high, shape, dtype=torch.uint8, generator=generator)


def tiny_clip(folder: Path) -> str:
    """Write a CLIP, untrained, with a vocabulary of a few words."""
    import transformers as tf
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = ["<pad>", "<bos>", "<eos>", "<unk>", *(f"word{k}" for k in range(60))]
    inner = Tokenizer(WordLevel({w: k for k, w in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = Whitespace()
    inner.post_processor = TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        model_max_length=16,
    )
    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {"vocab_size": len(words), "max_position_embeddings": 16}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = tf.CLIPConfig(
        text_config=text | small | ids,
        vision_config=small | {"image_size": 16, "patch_size": 8},
        projection_dim=16,
    )
    torch.manual_seed(0)
    sized = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    tf.CLIPModel(config).save_pretrained(folder)
    tf.CLIPProcessor(tf.CLIPImageProcessor(**sized), tokenizer).save_pretrained(folder)
    return str(folder)
