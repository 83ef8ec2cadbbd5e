"""Attributes by image-text similarity: the rule, and a real CLIP and SigLIP, tiny and untrained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recaption.attributes import AttributeFinder, AttributeStage
from recaption.captioner import _load_likeness
from recaption.config import AttributesConfig, ClipConfig, RecipeError
from recaption.parts import PreparedPart
from recaption.recipe_file import apply_overrides, parse_recipe
from recaption.sample import Hint, HintKind, Reason
from tests.corpora import jpeg, write_tar
from tests.corpus.build import open_only
from tests.two_towers import KINDS, write_checkpoint

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


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    write_checkpoint(folder, request.param)
    return folder


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


def test_a_model_that_does_not_load_is_told_by_its_name(tmp_path: Path) -> None:
    """In a worker: the recipe's check had another machine's cache."""
    write_tar(tmp_path / "photos" / "00000.tar", [("0.jpg", jpeg())])
    job = open_only(tmp_path / "corpus", tmp_path / "photos")
    config = AttributesConfig(model=str(tmp_path / "gone"), descriptions=["a cat"])
    (part,) = job.preparer.parts(job.shards[0])
    done = PreparedPart.from_row(AttributeStage(config, job.preparer)(part.to_row()))
    assert done.fault.startswith(f"attributes.model {tmp_path / 'gone'}: ")


def test_a_similarity_gate_that_does_not_load_is_told_by_its_name(tmp_path: Path) -> None:
    model = str(tmp_path / "gone")
    likeness, error = _load_likeness(ClipConfig(model=model))
    assert likeness is None and error is not None and error.is_final
    assert str(error).startswith(f"safeguards.clip.model {model} on auto: ")
    assert _load_likeness(ClipConfig()) == (None, None)


def test_an_image_that_the_model_cannot_take_is_that_samples_reject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(
        tmp_path / "p" / "00000.tar", [(f"{k}.jpg", jpeg(size=(40 + k, 40))) for k in range(3)]
    )
    job = open_only(tmp_path / "corpus", tmp_path / "p")
    (part,) = job.preparer.parts(job.shards[0])

    def find(self: AttributeFinder, images: list[Any]) -> list[tuple[Hint, ...]]:
        if any(image.width == 41 for image in images):
            raise RuntimeError("odd\x1b[2J image")
        return [(Hint(HintKind.ATTRIBUTE, "red"),) for _ in images]

    monkeypatch.setattr(AttributeFinder, "find", find)
    monkeypatch.setattr(AttributeFinder, "load", lambda self: None)
    stage = AttributeStage(AttributesConfig(model="m", descriptions=["red"]), job.preparer)
    done = PreparedPart.from_row(stage(part.to_row())).samples
    assert [s.hints.texts(HintKind.ATTRIBUTE) for s in done] == [["red"], [], ["red"]]
    assert [bool(s.requests) for s in done] == [True, False, True]
    rejection = done[1].rejection
    assert rejection is not None and rejection.reason is Reason.FAILED
    assert rejection.message == "RuntimeError: odd image"
