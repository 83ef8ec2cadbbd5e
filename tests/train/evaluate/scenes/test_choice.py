"""The choice between a scene's caption and a false one, by families that know, or do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from recaption.shapeworld.reading.claims import Verdict
from recaption.shapeworld.reading.judge import judge
from recaption.shapeworld.reading.parser import parse
from tests.train.evaluate.fakes import Data, PaintingFamily, noise_images, recipe
from train.batch import Batch
from train.evaluate import open_evaluators
from train.evaluate.scenes.choice import Choice
from train.evaluate.scenes.foils import Foil


@pytest.fixture(scope="module")
def choice() -> Choice:
    (opened,) = open_evaluators(recipe("choice", images=200), family_of(zeros), NO_DATA)
    assert isinstance(opened, Choice)
    return opened


class Reader(PaintingFamily):
    """A family with a loss for each caption."""

    def __init__(self, loss: Callable[[Batch], Tensor]) -> None:
        super().__init__(lambda caption, seed: torch.zeros(3, 8, 8, dtype=torch.uint8))
        self.loss = loss
        self.batches: list[Batch] = []

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        self.batches.append(batch)
        loss = self.loss(batch)
        return {"early": 100 * loss + 50, "late": loss + 0.5}


def zeros(batch: Batch) -> Tensor:
    return torch.zeros(len(batch))


def family_of(loss: Callable[[Batch], Tensor]) -> Reader:
    return Reader(loss)


NO_DATA = Data(noise_images(0), [])


def verdicts(foil: Foil, caption: str) -> list[Verdict]:
    reading = parse(caption)
    assert not reading.unknown
    return [claim.verdict for claim in judge(foil.scene, reading)]


def test_a_caption_is_true_and_its_foil_is_not(choice: Choice) -> None:
    kinds = {foil.kind for foil in choice.foils}
    assert kinds == {"colour", "shape", "binding", "background", "relation"}
    for foil in choice.foils:
        assert Verdict.FALSE not in verdicts(foil, foil.caption), foil
        assert Verdict.FALSE in verdicts(foil, foil.foil), foil
        same = len(set(foil.caption.split()) ^ set(foil.foil.split()))
        assert same <= 8, "it differs in what is wrong, and in nothing else"


def test_who_knows_the_truth_chooses_it(choice: Choice) -> None:
    true = {(f"{foil.scene.seed}/{foil.scene.index}", foil.caption) for foil in choice.foils}

    def loss(batch: Batch) -> Tensor:
        told = zip(batch.sample_ids, batch.captions, strict=True)
        return torch.tensor([float(one not in true) for one in told])

    family = family_of(loss)
    values = dict(choice(family))
    assert values["choice all"] == 1.0 and values["choice all low"] > 0.9
    assert {values[f"choice {kind}"] for kind in ("colour", "shape", "relation")} == {1.0}
    first, second = family.batches[:2]
    assert torch.equal(first.image_BCHW, second.image_BCHW), "the same pictures under both"
    assert torch.equal(first.noise_key_B, second.noise_key_B)
    assert first.image_BCHW.shape[1:] == (3, 64, 64)
    wrong = dict(choice(family_of(lambda batch: 1 - loss(batch))))
    assert wrong["choice all"] == 0.0


def test_who_cannot_tell_is_right_in_half(choice: Choice) -> None:
    values = dict(choice(family_of(zeros)))
    assert values["choice all"] == values["choice colour"] == 0.5
    generator = torch.Generator().manual_seed(1)
    guessing = dict(choice(family_of(lambda b: torch.rand(len(b), generator=generator))))
    assert guessing["choice all low"] < 0.5 < guessing["choice all high"]
