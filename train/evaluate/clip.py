"""How well generated images fit their captions, as a CLIP sees it: CLIPScore and R-precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchmetrics.multimodal.clip_score import CLIPScore

from recaption.similarity import Similarity, Vectors

# B images, C = 3 colours, H and W pixels, N images or captions, D features


class ClipScore:
    """100 x max(cosine, 0) of image and caption, the mean of all.

    Hessel et al. 2021 (arXiv:2104.08718), equation 1 with w = 100, as torchmetrics has it.
    """

    def __init__(self, model: str) -> None:
        # Workers that train together all measure the same: there is nothing to add up.
        towers = partial(load_towers, model)
        self._score = CLIPScore(model_name_or_path=towers, sync_on_compute=False)
        self._score.to("cuda" if torch.cuda.is_available() else "cpu")

    def see_real(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Pass over held-out images."""

    def see(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Score generated images."""
        self._score.update(list(image_BCHW.to(self._score.device)), list(captions))

    def finish(self) -> Iterator[tuple[str, float]]:
        """Yield the score."""
        yield "clip score", float(self._score.compute())
        self._score.reset()


class RPrecision:
    """The share of images whose own caption is nearer to them than any other of R captions.

    Xu et al. 2018 (arXiv:1711.10485), section 4: R = 100. The others are the captions that follow;
    those with the same text are passed over, and a tie is a miss.
    """

    def __init__(self, similarity: Similarity, candidates: int) -> None:
        self._similarity, self._candidates = similarity, candidates
        self._images: list[Vectors] = []
        self._captions: list[str] = []

    def see_real(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Pass over held-out images."""

    def see(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Take in generated images."""
        pixels = image_BCHW.permute(0, 2, 3, 1).cpu().numpy()
        self._images.append(self._similarity.of_images([Image.fromarray(one) for one in pixels]))
        self._captions += captions

    def finish(self) -> Iterator[tuple[str, float]]:
        """Yield the share, and of how many captions it was the first."""
        similarity_NN = np.concatenate(self._images) @ self._texts().T
        candidates = min(self._candidates, len(self._captions))
        yield "r-precision", r_precision(similarity_NN, self._captions, candidates)
        yield "r-precision candidates", float(candidates)
        self._images, self._captions = [], []

    def _texts(self) -> Vectors:
        texts, step = self._captions, 64
        pieces = [texts[k : k + step] for k in range(0, len(texts), step)]
        return np.concatenate([self._similarity.of_texts(piece) for piece in pieces])


def r_precision(similarity_NN: Vectors, captions: Sequence[str], candidates: int) -> float:
    """Return the share of images (rows) that are most similar to their own caption (column)."""
    count = len(captions)
    hits = 0
    for own in range(count):
        others = [(own + step) % count for step in range(1, candidates)]
        rivals = [other for other in others if captions[other] != captions[own]]
        most = max((similarity_NN[own, rival] for rival in rivals), default=-np.inf)
        hits += bool(similarity_NN[own, own] > most)
    return hits / count


class Towers(nn.Module):
    """A CLIP whose features are plain tensors, as torchmetrics expects them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        """Return a vector for each image (N, D)."""
        return _pooled(self.model.get_image_features(pixel_values=pixel_values))

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return a vector for each text (N, D)."""
        found = self.model.get_text_features(input_ids=input_ids, attention_mask=attention_mask)
        return _pooled(found)


def _pooled(found: Any) -> Tensor:
    vectors: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return vectors


def load_towers(model: str) -> tuple[Towers, Any]:
    """Load a CLIP and its processor by name or path."""
    from transformers import AutoModel, AutoProcessor

    towers = Towers(AutoModel.from_pretrained(model, trust_remote_code=False).eval())
    return towers, AutoProcessor.from_pretrained(model, trust_remote_code=False)
