"""Attributes by image-text similarity: the rule, and a real CLIP and SigLIP, tiny and untrained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recaption.attributes import AttributeFinder, AttributeStage
from recaption.config import AttributesConfig, RecipeError, apply_overrides, parse_recipe
from recaption.parts import PreparedPart
from recaption.sample import HintKind
from recaption.similarity import Similarity
from tests.corpora import jpeg, write_tar
from tests.corpus.build import open_only

DESCRIPTIONS = ["red", "blue", "green", "large"]
LANIT = AttributesConfig(
    model="x", descriptions=DESCRIPTIONS, template="a {} thing", empty_template="a thing", most=3
)


class Fixed:
    """A similarity model whose vectors the test gives."""

    def __init__(self, margins: list[list[float]]) -> None:
        self.texts: list[str] = []
        self._margins = np.array(margins, dtype=np.float32)
        self._at = 0

    def of_texts(self, texts: list[str]) -> Any:
        self.texts = texts
        return np.eye(len(texts), dtype=np.float32)

    def of_images(self, images: list[Any]) -> Any:
        rows = self._margins[self._at : self._at + len(images)]
        self._at += len(images)
        return rows


def find(margins: list[list[float]], **changed: Any) -> list[list[str]]:
    finder = AttributeFinder(LANIT.model_copy(update=changed))
    finder.__dict__["similarity"] = Fixed(margins)
    images = [Image.new("RGB", (8, 8))] * len(margins)
    return [[hint.text for hint in hints] for hints in finder.find(images)]


def test_a_description_is_on_where_it_is_closer_than_the_empty_template() -> None:
    #      empty red  blue green large
    rows = [
        [0.20, 0.30, 0.25, 0.10, 0.20],  # two are on: multi-hot, the surest first
        [0.40, 0.30, 0.25, 0.10, 0.20],  # none
        [0.00, 0.10, 0.40, 0.30, 0.20],  # four, of which three are kept
    ]
    assert find(rows) == [["red", "blue"], [], ["blue", "green", "large"]]


def test_the_margin_is_the_recipes() -> None:
    assert find([[0.20, 0.30, 0.25, 0.10, 0.20]], margin=0.07) == [["red"]]


def test_images_go_through_in_batches() -> None:
    row = [0.20, 0.30, 0.25, 0.10, 0.20]
    assert find([row] * 5, batch=2) == [["red", "blue"]] * 5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("attributes.model=clip", "attributes.descriptions needs a list"),
        ("attributes.template=photo", "expected one {}"),
    ],
)
def test_a_wrong_recipe_is_refused(override: str, message: str) -> None:
    base = {"source": {"path": "x"}, "engine": {"kind": "echo"}, "corpus": {"path": "y"}}
    with pytest.raises(RecipeError, match=message):
        parse_recipe(apply_overrides(base, [override]))


@pytest.fixture(scope="module", params=["clip", "siglip"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-tower checkpoint of the real architecture, as transformers saves it."""
    import torch
    import transformers as tf

    from recaption.engines.random_model import _tokenizer

    folder = tmp_path_factory.mktemp(request.param)
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
    if request.param == "clip":
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


def test_the_stage_writes_the_prompts_again(checkpoint: Path, tmp_path: Path) -> None:
    """From a real shard through the real model into the prompt, fenced, and into the hints."""
    members = [("0.jpg", jpeg("red", "red")), ("1.jpg", b"no image"), ("2.jpg", jpeg())]
    write_tar(tmp_path / "photos" / "00000.tar", members)
    names = [f"a {word} <b>" for word in DESCRIPTIONS]
    job = open_only(
        tmp_path / "corpus",
        tmp_path / "photos",
        f"attributes.model={checkpoint}",
        f"attributes.descriptions={names}",
        "attributes.margin=-2",
    )
    (part,) = job.preparer.parts(job.shards[0])
    stage = AttributeStage(job.recipe.attributes, job.preparer)
    done = PreparedPart.from_row(stage(part.to_row()))
    assert [bool(s.hints.texts(HintKind.ATTRIBUTE)) for s in done.samples] == [True, False, True]
    sample = done.samples[0]
    assert sorted(sample.hints.texts(HintKind.ATTRIBUTE)) == sorted(names)
    for before, after in zip(part.samples[0].requests, sample.requests, strict=True):
        assert after.seed == before.seed and after.prompt != before.prompt
        assert "<attributes>" in after.prompt and "a red ‹b›" in after.prompt
