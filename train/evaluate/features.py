"""Networks that give an image a vector, from files: the spaces that FID and KID are measured in."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# B images, C = 3 colours, H and W pixels, D features


class ScriptFeatures(nn.Module):
    """A TorchScript file that takes pixels, uint8 (B, C, H, W), and returns vectors (B, D).

    Such is InceptionV3 as published for StyleGAN (inception-2015-12-05.pt, Karras et al. 2020,
    arXiv:2006.06676): it resizes and normalises by itself, and FID in its space is the FID of
    papers, up to the number of images.
    """

    def __init__(self, script: Any) -> None:
        super().__init__()
        self.script = script
        names = {argument.name for argument in script.forward.schema.arguments}
        self._options = {"return_features": True} if "return_features" in names else {}

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return features (B, D)."""
        features: Tensor = self.script(image_BCHW, **self._options)
        return features.float().flatten(1)


class VisionFeatures(nn.Module):
    """A vision model of transformers, such as CLIP or DINO: its pooled vector, or first token's.

    FID in such a space compares with nothing but FID in the same space: Stein et al. 2023
    (arXiv:2306.04675) find DINOv2's closest to what people see.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        super().__init__()
        self.model = model
        size = processor.size
        side = size.get("shortest_edge") or size.get("height")
        crop = getattr(processor, "crop_size", None) or {}
        self.side = int(crop.get("height") or side)
        self.register_buffer("mean", torch.tensor(processor.image_mean)[:, None, None])
        self.register_buffer("std", torch.tensor(processor.image_std)[:, None, None])

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return features (B, D); images are resized to the model's square, nothing is cut off."""
        x_BCHW = image_BCHW.float() / 255
        size = (self.side, self.side)
        x_BCHW = F.interpolate(x_BCHW, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        pixels = (x_BCHW - self.mean) / self.std  # type: ignore[operator]
        is_tower = hasattr(self.model, "get_image_features")
        found = (self.model.get_image_features if is_tower else self.model)(pixel_values=pixels)
        if isinstance(found, Tensor):
            return found.float()
        pooled = getattr(found, "pooler_output", None)
        vectors: Tensor = found.last_hidden_state[:, 0] if pooled is None else pooled
        return vectors.float().flatten(1)


class Features(nn.Module):
    """A feature network for torchmetrics: knows the width of its vectors, runs on the GPU if any.

    `space` names what FID and KID are measured in, empty for a TorchScript file.
    """

    def __init__(self, network: nn.Module, space: str) -> None:
        super().__init__()
        self.network, self.space = network.eval(), space
        self.place = "cuda" if torch.cuda.is_available() else "cpu"
        self.network.to(self.place)
        self.num_features = int(self(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape[1])

    @torch.no_grad()
    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return features (B, D) of pixels, uint8, where the pixels were."""
        vectors: Tensor = self.network(image_BCHW.to(self.place))
        return vectors.to(image_BCHW.device)


@lru_cache(maxsize=4)
def load_features(weights: str) -> Features:
    """Load a TorchScript file, or a folder of a vision model. Raises ValueError for others."""
    path = Path(weights)
    if path.is_dir():
        from transformers import AutoImageProcessor, AutoModel

        model = AutoModel.from_pretrained(path, trust_remote_code=False)
        processor = AutoImageProcessor.from_pretrained(path, trust_remote_code=False)
        return Features(VisionFeatures(model, processor), space=type(model).__name__)
    try:
        script = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as e:
        raise ValueError(
            f"{path}: expected a TorchScript file of a feature network or a folder of a vision"
            f" model of transformers: {str(e).splitlines()[0]}"
        ) from e
    return Features(ScriptFeatures(script), space="")
