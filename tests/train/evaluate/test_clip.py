"""CLIPScore and R-precision: by the formula, with an oracle, by chance, with a tiny real CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from recaption.similarity import Similarity
from tests.train.evaluate.fakes import Data, PaintingFamily, noise_images, recipe, tiny_clip
from train.evaluate import open_evaluators
from train.evaluate.clip import RPrecision, r_precision

CAPTIONS = [f"word{k}" for k in range(40)]
IMAGES = noise_images(40)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


class Oracle:
    """Knows the caption of an image by its first pixel."""

    def of_texts(self, texts: Sequence[str]) -> Any:
        return np.eye(100, dtype=np.float32)[[int(text.removeprefix("word")) for text in texts]]

    def of_images(self, images: Sequence[Image.Image]) -> Any:
        pixels = [cast(tuple[int, ...], image.getpixel((0, 0))) for image in images]
        return np.eye(100, dtype=np.float32)[[pixel[0] for pixel in pixels]]


def test_an_oracle_finds_every_caption() -> None:
    metric = RPrecision(cast(Similarity, Oracle()), candidates=100)
    images = IMAGES.clone()
    images[:, 0, 0, 0] = torch.arange(40)
    for rows in (slice(0, 25), slice(25, 40)):
        metric.see(images[rows], CAPTIONS[rows])
    assert dict(metric.finish()) == {"r-precision": 1.0, "r-precision candidates": 40.0}


@pytest.mark.parametrize("candidates", [2, 10, 100])
def test_chance_finds_one_in_r(candidates: int) -> None:
    rng = np.random.default_rng(0)
    captions = [str(k) for k in range(2000)]
    share = r_precision(rng.random((2000, 2000), np.float32), captions, candidates)
    assert share == pytest.approx(1 / candidates, abs=4 * (1 / candidates / 2000) ** 0.5)


def test_the_same_caption_twice_is_no_rival_and_a_tie_is_a_miss() -> None:
    same = np.ones((3, 3), np.float32)
    assert r_precision(same, ["a", "a", "a"], 3) == 1.0
    assert r_precision(same, ["a", "b", "c"], 3) == 0.0


def test_both_agree_with_the_similarity_of_the_model(clip: str) -> None:
    of_caption = dict(zip(CAPTIONS, IMAGES, strict=True))
    family = PaintingFamily(lambda caption, seed: of_caption[caption])
    given = {"weights": clip}
    asked = recipe("clip_score", "r_precision", clip_score=given, r_precision=given)
    (evaluator,) = open_evaluators(asked, family, Data(IMAGES, CAPTIONS))
    values = dict(evaluator(family))
    similarity = Similarity(clip)
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in IMAGES]
    cosine_NN = similarity.of_images(pictures) @ similarity.of_texts(CAPTIONS).T
    mean = 100 * float(np.diag(cosine_NN).mean())
    assert values["clip score"] == pytest.approx(max(mean, 0), abs=0.05)
    assert values["r-precision"] == r_precision(cosine_NN, CAPTIONS, 100)
    assert len(set(family.seeds)) == 40
    assert dict(evaluator(family)) == values
    assert family.seeds[:40] == family.seeds[40:]


def test_captions_longer_than_the_model_reads_are_cut(clip: str, tmp_path: Path) -> None:
    family = PaintingFamily(lambda caption, seed: IMAGES[0])
    data = Data(IMAGES[:2], ["word1 " * 50, "word2"])
    asked = recipe("clip_score", clip_score={"weights": clip})
    (evaluator,) = open_evaluators(asked, family, data)
    assert np.isfinite(dict(evaluator(family))["clip score"])
