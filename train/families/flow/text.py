"""What reads the captions: frozen encoders of transformers, or a transformer that is trained."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from train.families.flow.fit import load
from train.families.flow.layers import Attention, RMSNorm, SwiGLU, init_linear

# B images, T text tokens, E channels of the encoded text

HEAD = 32
"""Channels of a head of the trainable encoder."""


class TextEncoder(nn.Module):
    """From tokens and mask to a vector per token (B, T, width) and one per text (B, width).

    What is in places without a token, and the vector of a text that has none, mean nothing.
    """

    width: int
    vocabulary: int


class TextBlock(nn.Module):
    """Attention in both directions, and an MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(width)
        self.attention = Attention(width, heads=width // HEAD)
        self.mlp_norm = RMSNorm(width)
        self.mlp = SwiGLU(width)

    def forward(self, x_BTE: Tensor, mask_B11T: Tensor) -> Tensor:
        """Return the tokens after the block."""
        x_BTE = x_BTE + self.attention(self.attention_norm(x_BTE), mask_B11S=mask_B11T)
        changed_BTE: Tensor = x_BTE + self.mlp(self.mlp_norm(x_BTE))
        return changed_BTE


class TrainableText(TextEncoder):
    """A small transformer, trained along with the denoiser."""

    def __init__(self, vocabulary: int, length: int, width: int, depth: int) -> None:
        super().__init__()
        self.width, self.vocabulary = width, vocabulary
        self.token = nn.Embedding(vocabulary, width)
        self.place_TE = nn.Parameter(torch.empty(length, width))
        self.blocks = nn.ModuleList(TextBlock(width) for _ in range(depth))
        self.norm = RMSNorm(width)
        self.apply(init_linear)
        for table in (self.token.weight, self.place_TE):
            nn.init.normal_(table, std=0.02)

    def forward(self, token_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return a vector per token and their mean."""
        x_BTE = self.token(token_BT) + self.place_TE
        mask_B11T = with_first(mask_BT)[:, None, None]
        for block in self.blocks:
            x_BTE = block(x_BTE, mask_B11T)
        x_BTE = self.norm(x_BTE)
        return x_BTE, mean_token(x_BTE, mask_BT)


class FrozenText(TextEncoder):
    """CLIP's or T5's text encoder as it is; runs without gradient."""

    def __init__(self, kind: Literal["clip", "t5"], model: str) -> None:
        super().__init__()
        self.kind = kind
        self.encoder = _load(kind, model).eval().requires_grad_(False)
        self.width = int(self.encoder.config.hidden_size)
        self.vocabulary = int(self.encoder.config.vocab_size)
        self.places: int | None = getattr(self.encoder.config, "max_position_embeddings", None)

    @torch.no_grad()
    def forward(self, token_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return a vector per token, and for the text CLIP's own vector, or T5's mean."""
        x_BTE = self.encoder(
            input_ids=token_BT, attention_mask=with_first(mask_BT).long()
        ).last_hidden_state.float()
        pool = last_token if self.kind == "clip" else mean_token
        return x_BTE, pool(x_BTE, mask_BT)


def with_first(mask_BT: Tensor) -> Tensor:
    """Return the mask with the first place true: attention over nothing is not a number."""
    first_T = torch.arange(mask_BT.shape[1], device=mask_BT.device) == 0
    return mask_BT | first_T


def mean_token(x_BTE: Tensor, mask_BT: Tensor) -> Tensor:
    """Return the mean over the tokens of a text."""
    kept_BTE = torch.where(mask_BT[:, :, None], x_BTE, 0)
    return kept_BTE.sum(1) / mask_BT.sum(1, keepdim=True).clamp_min(1)


def last_token(x_BTE: Tensor, mask_BT: Tensor) -> Tensor:
    """Return the vector of a text's last token: CLIP's end of text, which has seen all."""
    last_B = mask_BT.sum(1).clamp_min(1) - 1
    return x_BTE[torch.arange(len(x_BTE), device=x_BTE.device), last_B]


def _load(kind: Literal["clip", "t5"], model: str) -> Any:
    """Load an encoder of transformers in the precision that it is stored in."""
    from transformers import CLIPTextModel, T5EncoderModel

    loader = CLIPTextModel if kind == "clip" else T5EncoderModel
    wanted = f"a {kind} encoder of transformers"
    return load(
        "model.text.model", model, wanted, lambda: loader.from_pretrained(model, dtype="auto")
    )
