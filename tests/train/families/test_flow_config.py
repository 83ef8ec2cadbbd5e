"""The flow section of a recipe, and the spaces it names."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from tests.train.families.flow_fakes import make_batch, make_family, perturb, save_vae
from train.families.flow.config import PRESETS, FlowConfig, Size
from train.families.flow.latent import LatentSpace, PixelSpace


def test_the_config_is_read_without_torch():
    code = "import train.families.flow.config, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_presets_can_be_overridden_in_part():
    assert FlowConfig(preset="base").size == Size(768, 12, 12)
    assert FlowConfig(preset="base", depth=3).size == Size(768, 3, 12)


@pytest.mark.parametrize(
    ("settings", "is_image"),
    [
        ({"preset": "nano", "patch": 4}, False),
        ({"preset": "nano", "patch": 8}, True),
        ({"preset": "base", "patch": 16}, True),
        ({"preset": "base", "patch": 16, "predict": "velocity"}, False),
        ({"preset": "base", "patch": 2, "latent": {"vae": "some/vae"}}, False),
        ({"preset": "nano", "patch": 4, "predict": "image"}, True),
    ],
)
def test_the_image_is_put_out_where_a_patch_is_large(settings, is_image):
    assert FlowConfig.model_validate(settings).predicts_image is is_image


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_fits_together(preset):
    assert FlowConfig(preset=preset).size == PRESETS[preset]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 100}, "width=100 with heads=4: expected a multiple of 4 times the heads"),
        ({"preset": "huge"}, "Input should be 'debug', 'nano'"),
        ({"text": {"kind": "clip"}}, "text.kind=clip needs text.model"),
        ({"text": {"model": "x"}}, "text.model=x with text.kind=trainable, which loads none"),
        ({"text": {"width": 40}}, "text.width=40: expected a multiple of 32"),
        ({"sampler": "dpm"}, "Input should be 'euler' or 'heun'"),
    ],
)
def test_wrong_settings_are_explained(settings, message):
    with pytest.raises(ValidationError, match=message):
        FlowConfig.model_validate(settings)


@pytest.mark.parametrize(("size", "near"), [(60, 56), (4, 8)])
def test_an_image_without_whole_patches_is_explained(size, near):
    with pytest.raises(ValueError, match=f"image_size={size} .*a multiple of 8, such as {near}"):
        FlowConfig(preset="debug").create(size, seed=0)


def test_pixels_round_trip():
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, -1, -1)
    space = PixelSpace()
    z = space.encode(image)
    assert z.min() == -1 and z.max() == 1
    assert torch.equal(space.decode(z), image)
    assert space.decode(torch.tensor([-9.0, 9.0])).tolist() == [0, 255]


def test_latents_are_those_of_diffusers_in_chunks(tmp_path):
    space = LatentSpace(save_vae(tmp_path), subfolder="", chunk=2)
    image = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    z = space.encode(image)
    assert z.shape == (5, 4, 8, 8) and space.downscale == 2 and space.channels == 4
    with torch.no_grad():
        mean = space.vae.encode(PixelSpace().encode(image)).latent_dist.mode()
        decoded = space.vae.decode(mean).sample
    torch.testing.assert_close(z, (mean - 0.1) * 0.5, rtol=1e-4, atol=1e-5)
    difference = space.decode(z).int() - PixelSpace().decode(decoded).int()
    assert difference.abs().max() <= 1


def test_a_family_in_latents(tmp_path):
    family = perturb(make_family(latent={"vae": save_vae(tmp_path)}, patch=2))
    assert list(family.nets) == ["denoiser", "text"]  # the autoencoder is not saved
    loss = family.phases[0].loss(make_batch(family)).total
    loss.backward()
    assert loss.isfinite()
    assert isinstance(family.space, LatentSpace)
    assert all(p.grad is None for p in family.space.vae.parameters())
    assert all(p.grad.abs().sum() > 0 for p in family.nets.parameters())
    assert family.sample(["A red circle."], [1]).shape == (1, 3, 16, 16)
    with pytest.raises(ValueError, match="patch=3 of latents of 2 pixels: expected a multiple of"):
        make_family(latent={"vae": save_vae(tmp_path)}, patch=3)


def test_a_missing_autoencoder_is_explained(tmp_path):
    with pytest.raises(
        ValueError, match=r"latent\.vae=.*nowhere: no such .*expected an AutoencoderKL"
    ):
        make_family(latent={"vae": str(tmp_path / "nowhere")})
