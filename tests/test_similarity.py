"""Similarity of images and texts, by real towers with random weights."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recaption.config import ClipConfig
from recaption.likeness import Likeness
from recaption.similarity import Similarity, check_model
from tests.two_towers import KINDS, write_checkpoint


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    write_checkpoint(folder, request.param)
    return folder


def test_real_towers_give_unit_vectors_that_agree_with_the_model(checkpoint: Path) -> None:
    similarity = Similarity(str(checkpoint))
    images = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    seen, told = similarity.of_images(images), similarity.of_texts(["a red thing", "a thing"])
    for vectors in (seen, told):
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alone = np.concatenate([similarity.of_images([image]) for image in images])
    assert np.allclose(seen, alone, atol=1e-5), "an image's vector does not depend on its batch"
    assert not np.allclose(seen[0], seen[1])


def test_a_model_without_two_towers_is_refused() -> None:
    from recaption.engines.random_model import random_checkpoint

    with pytest.raises(ValueError, match="expected a model of images and texts"):
        Similarity(str(random_checkpoint("random:tiny")))


def test_a_model_is_looked_at_without_its_weights(checkpoint: Path, tmp_path: Path) -> None:
    from recaption.engines.random_model import random_checkpoint

    weights = next(checkpoint.glob("*.safetensors"))
    hidden = weights.rename(tmp_path / "weights")
    try:
        check_model(str(checkpoint))
    finally:
        hidden.rename(weights)
    with pytest.raises(ValueError, match="expected a model of images and texts"):
        check_model(str(random_checkpoint("random:tiny")))
    with pytest.raises(ValueError, match="nothing: no such folder"):
        check_model(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="no model of transformers by this name or path"):
        check_model(str(tmp_path))


def test_a_long_text_is_cut_between_sentences_into_what_can_be_read(checkpoint: Path) -> None:
    similarity = Similarity(str(checkpoint))
    sentences = [f"Dog {k}." for k in range(12)]
    pieces = similarity.pieces(" ".join(sentences))
    assert 1 < len(pieces) < 12 and " ".join(pieces) == " ".join(sentences)
    assert similarity.pieces("A dog.") == ["A dog."]
    assert similarity.pieces("") == [""]


def test_a_caption_counts_as_its_least_like_piece(checkpoint: Path) -> None:
    similarity = Similarity(str(checkpoint))
    likeness = Likeness(similarity)
    image = Image.new("RGB", (40, 30), "red")
    text = " ".join(f"Dog {k}." for k in range(12))

    async def ask() -> list[float]:
        vector = await likeness.of_image(image)
        texts = [text, *similarity.pieces(text)]
        return list(await asyncio.gather(*(likeness.of_caption(one, vector) for one in texts)))

    whole, *pieces = asyncio.run(ask())
    alone = similarity.of_texts(similarity.pieces(text)) @ similarity.of_images([image])[0]
    assert whole == pytest.approx(min(pieces)) and pieces == pytest.approx(list(alone), abs=1e-5)


def test_what_is_asked_together_goes_through_together() -> None:
    sizes: list[int] = []

    class Counting:
        def of_texts(self, texts: list[str]) -> np.ndarray:
            sizes.append(len(texts))
            if "bad" in texts:
                raise RuntimeError("no")
            return np.array([[float(text)] for text in texts], np.float32)

        of_images = of_texts

        def pieces(self, text: str) -> list[str]:
            return [text]

    likeness = Likeness(Counting())  # type: ignore[arg-type]
    one = np.ones(1, np.float32)

    async def ask(*texts: str) -> list[object]:
        asked = (likeness.of_caption(text, one) for text in texts)
        return list(await asyncio.gather(*asked, return_exceptions=True))

    assert asyncio.run(ask(*map(str, range(200)))) == list(range(200))
    assert sizes == [64, 64, 64, 8]
    (failed,) = asyncio.run(ask("bad"))
    assert isinstance(failed, RuntimeError)
    assert asyncio.run(ask("7")) == [7.0], "an error ends nothing for others"


def test_no_gate_without_a_model() -> None:
    assert Likeness.load(ClipConfig()) is None
