"""FID and KID in the space of a small fixed network: nothing for equal images, more for others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.train.evaluate.fakes import Data, PaintingFamily, noise_images, recipe, tiny_clip
from train.evaluate import open_evaluators
from train.evaluate.features import load_features
from train.evaluate.frechet import Fid, Kid

CAPTIONS = [f"caption {k}" for k in range(60)]
REAL = noise_images(60)


class SmallNet(nn.Module):
    """Convolution and mean, of pixels; like InceptionV3's file it is asked to return features."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 6, 3, stride=2)

    def forward(self, image: Tensor, return_features: bool = False) -> Tensor:
        found = self.conv(image.float() / 255).relu().mean(dim=[2, 3])
        return found if return_features else found.sum(1, keepdim=True)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("script") / "net.pt"
    torch.jit.script(SmallNet()).save(str(file))
    return str(file)


def measured(script: str, painted: Tensor) -> dict[str, float]:
    of_caption = dict(zip(CAPTIONS, painted, strict=True))
    family = PaintingFamily(lambda caption, seed: of_caption[caption])
    given = {"weights": script}
    asked = recipe("fid", "kid", images=60, fid=given, kid=given)
    (evaluator,) = open_evaluators(asked, family, Data(REAL, CAPTIONS))
    assert evaluator.name == "fid, kid"
    first = dict(evaluator(family))
    assert dict(evaluator(family)) == first, "asked again it says the same"
    return first


def test_equal_images_are_at_no_distance(script: str) -> None:
    values = measured(script, REAL)
    assert values["fid"] == pytest.approx(0, abs=1e-6)
    assert values["kid"] == pytest.approx(0, abs=1e-5)


def test_it_measures_in_full_precision_within_a_training_in_half(script: str) -> None:
    fake = noise_images(60, seed=4)
    expected = measured(script, fake)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert measured(script, fake) == expected


def test_the_more_images_differ_the_greater_the_distance(script: str) -> None:
    alike = measured(script, noise_images(60, seed=1))
    darker = measured(script, noise_images(60, seed=1, high=200))
    darkest = measured(script, noise_images(60, seed=1, high=60))
    for name in ("fid", "kid"):
        assert alike[name] < darker[name] < darkest[name]
        assert alike[name] < 0.1 * darkest[name]


def test_fid_is_that_of_two_gaussians(script: str) -> None:
    features, fake = load_features(script), noise_images(60, seed=2, high=128)
    fid = Fid(features)
    fid.see_real(REAL, CAPTIONS)
    fid.see(fake, CAPTIONS)
    a, b = features(REAL).double(), features(fake).double()
    product = torch.linalg.eigvals(a.T.cov() @ b.T.cov()).sqrt().real.sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + a.T.cov().trace() + b.T.cov().trace()
    assert dict(fid.finish())["fid"] == pytest.approx(float(expected - 2 * product), rel=1e-4)


def test_kid_uses_no_other_numbers_of_chance(script: str) -> None:
    kid = Kid(load_features(script))
    kid.see_real(REAL, CAPTIONS)
    kid.see(noise_images(60, seed=3), CAPTIONS)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    list(kid.finish())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_space_of_a_vision_model_is_named(tmp_path: Path) -> None:
    features = load_features(tiny_clip(tmp_path / "clip"))
    assert features.num_features == 16
    assert features(REAL[:3]).shape == (3, 16)
    fid = Fid(features)
    fid.see_real(REAL, CAPTIONS)
    fid.see(REAL, CAPTIONS)
    assert dict(fid.finish()) == {"fid CLIPModel": pytest.approx(0, abs=1e-5)}
