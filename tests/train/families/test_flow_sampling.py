"""Samples: what they depend on, and that a known velocity field gives a known image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.train.families.flow_fakes import CAPTIONS, SIZE, make_batch, make_family, perturb
from train.families.flow.latent import PixelSpace

SEEDS = (3, 1, 4, 1_000_000_007)


@pytest.mark.parametrize("sampler", ["euler", "heun"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_sample_depends_on_caption_and_seed_and_not_on_its_company(sampler, guidance):
    family = perturb(make_family(sampler=sampler, guidance=guidance))
    together = family.sample(CAPTIONS, SEEDS)
    assert together.dtype == torch.uint8 and together.shape == (4, 3, SIZE, SIZE)
    order = [2, 0, 3, 1]
    moved = family.sample([CAPTIONS[i] for i in order], [SEEDS[i] for i in order])
    alone = torch.cat([family.sample([CAPTIONS[i]], [SEEDS[i]]) for i in range(4)])
    for found, expected in ((moved, together[order]), (alone, together)):
        assert (found.int() - expected.int()).abs().max() <= 1  # rounding to uint8


def test_another_seed_or_caption_gives_another_sample():
    family = perturb(make_family())
    base = family.sample([CAPTIONS[0]], [1])
    assert torch.equal(base, family.sample([CAPTIONS[0]], [1]))
    assert not torch.equal(base, family.sample([CAPTIONS[0]], [2]))
    assert not torch.equal(base, family.sample([CAPTIONS[2]], [1]))


class KnownImage(nn.Module):
    """A denoiser that knows the image."""

    def __init__(self, x0: Tensor, predict: str) -> None:
        super().__init__()
        self.x0, self.predict = x0, predict

    def forward(self, z: Tensor, t: Tensor, *text: Tensor) -> Tensor:
        x0 = self.x0.expand_as(z)
        return x0 if self.predict == "image" else (z - x0) / t[:, None, None, None]


@pytest.mark.parametrize("predict", ["image", "velocity"])
@pytest.mark.parametrize("sampler", ["euler", "heun"])
def test_an_exact_network_has_no_loss_and_gives_the_exact_image(predict, sampler):
    family = make_family(predict=predict, sampler=sampler, steps=4)
    batch = make_batch(family)
    image = batch.image_BCHW[:1]
    family.nets["denoiser"] = KnownImage(PixelSpace().encode(image), predict)
    assert torch.equal(family.sample(["A red circle."] * 2, [1, 2]), image.expand(2, -1, -1, -1))
    (first, *_) = batch.split(1)
    assert family.phases[0].loss(first).total < 1e-9
    assert all(loss.max() < 1e-9 for loss in family.validate(first).values())


def test_the_empty_caption_is_the_unguided_branch():
    """Guided away from itself, a caption stays what it is, whatever the scale."""
    strong, none = perturb(make_family(guidance=7.0)), perturb(make_family(guidance=1.0))
    difference = strong.sample([""], [1]).int() - none.sample([""], [1]).int()
    assert difference.abs().max() <= 1


def test_a_seed_per_caption_is_asked_for():
    with pytest.raises(ValueError, match="a seed per caption, got 2 and 1"):
        make_family().sample(["a", "b"], [1])
