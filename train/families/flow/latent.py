"""The spaces that images are generated in: pixels, or latents of a frozen autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from train.families.flow.fit import VAE, downscale_of, load

# B images, C channels (3 of uint8 images), H and W their sides; an image in latents has others


class Space(Protocol):
    """Where the flow takes place."""

    @property
    def channels(self) -> int:
        """Channels of an image in it."""

    @property
    def downscale(self) -> int:
        """Pixels of an image's side for one in it."""

    def encode(self, image_BCHW: Tensor) -> Tensor:
        """Return uint8 images in this space, float32, of about unit variance."""

    def decode(self, z_BCHW: Tensor) -> Tensor:
        """Return what is in this space as uint8 images."""

    def move_to(self, device: str) -> None:
        """Move what it consists of to a device."""


class PixelSpace:
    """Pixels themselves, from -1 to 1."""

    channels, downscale = 3, 1

    def encode(self, image_BCHW: Tensor) -> Tensor:
        """Return uint8 as -1 to 1."""
        return image_BCHW.float() / 127.5 - 1

    def decode(self, z_BCHW: Tensor) -> Tensor:
        """Return -1 to 1 as uint8, what is beyond cut off."""
        return ((z_BCHW.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    def move_to(self, device: str) -> None:
        """Do nothing: there is nothing to move."""


class LatentSpace:
    """The latents of a frozen AutoencoderKL of diffusers, scaled as its configuration says.

    Of the distribution that it encodes an image to, the mean is taken: the spread is far below
    that of the latents themselves, and the mean needs no randomness.
    """

    def __init__(self, vae: str, subfolder: str, chunk: int) -> None:
        self.vae = _load(vae, subfolder).eval().requires_grad_(False)
        config = self.vae.config
        self.chunk = chunk
        self.channels = int(config.latent_channels)
        self.downscale = downscale_of(config.block_out_channels)
        self.scale = float(config.scaling_factor)
        self.shift = float(config.shift_factor or 0.0)

    @torch.no_grad()
    def encode(self, image_BCHW: Tensor) -> Tensor:
        """Return the scaled latents of uint8 images."""
        return self._in_chunks(self._encode, PixelSpace().encode(image_BCHW))

    @torch.no_grad()
    def decode(self, z_BCHW: Tensor) -> Tensor:
        """Return the uint8 images of scaled latents."""
        return PixelSpace().decode(self._in_chunks(self._decode, z_BCHW))

    def move_to(self, device: str) -> None:
        """Move the autoencoder."""
        self.vae.to(device)

    def _encode(self, image_BCHW: Tensor) -> Tensor:
        mean: Tensor = self.vae.encode(image_BCHW.to(self.vae.dtype)).latent_dist.mean.float()
        return (mean - self.shift) * self.scale

    def _decode(self, z_BCHW: Tensor) -> Tensor:
        z_BCHW = z_BCHW / self.scale + self.shift
        image: Tensor = self.vae.decode(z_BCHW.to(self.vae.dtype)).sample
        return image

    def _in_chunks(self, code: Callable[[Tensor], Tensor], x_BCHW: Tensor) -> Tensor:
        return torch.cat([code(part) for part in torch.split(x_BCHW, self.chunk)])


def _load(vae: str, subfolder: str) -> Any:
    from diffusers import AutoencoderKL

    def read() -> Any:
        return AutoencoderKL.from_pretrained(vae, subfolder=subfolder or None)

    return load("model.latent.vae", vae, VAE, read)
