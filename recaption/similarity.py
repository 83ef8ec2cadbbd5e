"""Image-text similarity by any two-tower model of transformers: CLIP, SigLIP and their like.

Radford et al. 2021 (arXiv:2103.00020), Zhai et al. 2023 (arXiv:2303.15343).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recaption.safeguards.claims import sentences_of

if TYPE_CHECKING:
    from PIL.Image import Image

Vectors = npt.NDArray[np.float32]


def check_model(model: str, revision: str = "") -> None:
    """Look whether a model is there and has two towers, without loading its weights.

    Raises ValueError.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    is_path = model.startswith(("/", ".", "~"))
    if is_path and not Path(model).exists():
        raise ValueError(f"{model}: no such folder")
    named: dict[str, Any] = {"revision": revision} if revision else {}
    try:
        config: Any = AutoConfig.from_pretrained(model, **named)
    except (OSError, ValueError) as e:
        why = " ".join(str(e).split())[:300]
        raise ValueError(f"{model}: no model of transformers by this name or path: {why}") from e
    with torch.device("meta"):
        _check_towers(model, AutoModel.from_config(config))


class Similarity:
    """A model with its processor; by default on the GPU where there is one."""

    def __init__(self, model: str, revision: str = "", device: str = "auto") -> None:
        """Load a model by name or path. Raises ValueError for one without two towers."""
        import torch
        from transformers import AutoModel, AutoProcessor

        named: dict[str, Any] = {"revision": revision} if revision else {}
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = found if device == "auto" else device
        self._processor: Any = AutoProcessor.from_pretrained(model, **named)
        self._model: Any = AutoModel.from_pretrained(model, **named).eval().to(self._device)
        _check_towers(model, self._model)

    def of_texts(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text [T, D]; what the model cannot read of it is cut."""
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

    def pieces(self, text: str) -> list[str]:
        """Cut a text between sentences into pieces that the model can read whole (CLIP: 77 tokens).

        A sentence that is too long by itself stays whole, and its end is not read.
        """
        tokenizer = self._processor.tokenizer
        limit = min(
            tokenizer.model_max_length, self._model.config.text_config.max_position_embeddings
        )
        pieces: list[str] = []
        for sentence in sentences_of(text):
            longer = f"{pieces[-1]} {sentence}" if pieces else sentence
            if pieces and len(tokenizer(longer, verbose=False)["input_ids"]) <= limit:
                pieces[-1] = longer
            else:
                pieces.append(sentence)
        return pieces or [text]

    def _unit(self, features: Any, inputs: Any) -> Vectors:
        import torch

        with torch.inference_mode():
            found = features(**inputs.to(self._device))
            vectors = found if isinstance(found, torch.Tensor) else found.pooler_output
            unit: Vectors = torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()
        return unit


def _check_towers(name: str, model: object) -> None:
    if not all(hasattr(model, f"get_{kind}_features") for kind in ("image", "text")):
        raise ValueError(
            f"{name}: got a {type(model).__name__}, expected a model of images and texts such as"
            " CLIP or SigLIP"
        )
