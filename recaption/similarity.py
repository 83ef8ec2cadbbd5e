"""Image-text similarity by any two-tower model of transformers: CLIP, SigLIP and their like.

Radford et al. 2021 (arXiv:2103.00020), Zhai et al. 2023 (arXiv:2303.15343).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

Vectors = npt.NDArray[np.float32]


class Similarity:
    """A model with its processor, on the GPU where there is one."""

    def __init__(self, model: str, revision: str = "") -> None:
        """Load a model by name or path. Raises ValueError for one without two towers."""
        import torch
        from transformers import AutoModel, AutoProcessor

        named: dict[str, Any] = {"revision": revision} if revision else {}
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._processor: Any = AutoProcessor.from_pretrained(model, **named)
        self._model: Any = AutoModel.from_pretrained(model, **named).eval().to(self._device)
        if not all(hasattr(self._model, f"get_{kind}_features") for kind in ("image", "text")):
            raise ValueError(
                f"{model}: got a {type(self._model).__name__}, expected a model of images and"
                " texts such as CLIP or SigLIP"
            )

    def of_texts(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text [T, D]."""
        # SigLIP was trained on texts padded to their full length.
        is_siglip = "siglip" in type(self._model).__name__.lower()
        inputs = self._processor(
            text=list(texts),
            padding="max_length" if is_siglip else True,
            truncation=True,
            return_tensors="pt",
        )
        return self._unit(self._model.get_text_features, inputs)

    def of_images(self, images: Sequence[Image]) -> Vectors:
        """Return a unit vector for each image [N, D]."""
        inputs = self._processor(images=list(images), return_tensors="pt")
        return self._unit(self._model.get_image_features, inputs)

    def _unit(self, features: Any, inputs: Any) -> Vectors:
        import torch

        with torch.inference_mode():
            found = features(**inputs.to(self._device))
            vectors = found if isinstance(found, torch.Tensor) else found.pooler_output
            unit: Vectors = torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()
        return unit
