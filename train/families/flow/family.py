"""A rectified-flow transformer as the trainer sees it: nets, one phase, validation, samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from train import noise
from train.batch import Batch
from train.families.flow import maths
from train.families.flow.config import FlowConfig
from train.families.flow.fit import check_places, check_vocabulary, load_tokenizer, side_in
from train.families.flow.flops import training_flops
from train.families.flow.latent import LatentSpace, PixelSpace, Space
from train.families.flow.layers import seeded
from train.families.flow.model import Denoiser
from train.families.flow.text import FrozenText, TextEncoder, TrainableText
from train.families.flow.tokenizer import TextTokenizer
from train.family import Loss, Phase

# B images, C channels, H height, W width of an image in its space, T text tokens, E their channels

TIME, NOISE, VALIDATION = 0, 1, 2  # streams of train.noise; VALIDATION + i is that of bucket i
BUCKETS = 8
"""Times at which `validate` measures: the centres of as many equal parts of [0, 1]."""

Text = tuple[Tensor, Tensor, Tensor]
"""text_BTE, pooled_BE, mask_BT: what the denoiser is told of the captions."""


class FlowFamily:
    """The default family: straight paths from images to noise, and a transformer that knows them.

    Its one phase trains the denoiser, and the text encoder where that is not frozen. Noise and
    time of an image come from its noise key alone.
    """

    def __init__(
        self,
        config: FlowConfig,
        space: Space,
        side: int,
        tokenizer: TextTokenizer,
        text: TextEncoder,
        denoiser: Denoiser,
    ) -> None:
        self.config, self.space, self._tokenizer = config, space, tokenizer
        self._shape = (space.channels, side, side)
        self._device = "cpu"
        self._is_text_trained = isinstance(text, TrainableText)
        self._frozen_text = None if self._is_text_trained else text
        self._units = [*denoiser.blocks, *(text.blocks if isinstance(text, TrainableText) else ())]
        self._predicts_image = config.predicts_image
        self.nets = nn.ModuleDict({"denoiser": denoiser})
        if self._is_text_trained:
            self.nets["text"] = text

    @property
    def phases(self) -> Sequence[Phase]:
        """One phase with all nets in every step."""
        return [Phase("flow", tuple(self.nets), self._loss)]

    @property
    def tokenizer(self) -> TextTokenizer:
        """What captions go through before `Batch`."""
        return self._tokenizer

    def shard_units(self) -> Sequence[nn.Module]:
        """Return the blocks of the denoiser and of the trained text encoder."""
        return self._units

    def move_to(self, device: str) -> None:
        """Move nets, frozen encoder and autoencoder to a device."""
        self._device = device
        self.nets.to(device)
        self.space.move_to(device)
        if self._frozen_text is not None:
            self._frozen_text.to(device)

    def training_flops(self) -> int:
        """Return the floating-point operations of training on one image, all nets together."""
        return training_flops(self.config, *self._shape[:2])

    def _loss(self, batch: Batch) -> Loss:
        """Return the mean squared error of the velocity at a random time.

        Besides, that of the image the velocity leads to. Errors by time are `validate`'s, whose
        times are fixed: by chance, a small batch has none of some.
        """
        key_B = batch.noise_key_B
        t_B = maths.logit_normal(
            noise.normal(key_B, (), TIME), self.config.time_mean, self.config.time_std
        )
        eps = noise.normal(key_B, self._shape, NOISE)
        x0 = self.space.encode(batch.image_BCHW)
        error_B = self._error(x0, eps, t_B, self._read(batch.token_BT, batch.mask_BT))
        image_error = (t_B**2 * error_B.detach()).mean()
        return Loss(error_B.mean(), {"image error": image_error})

    @torch.no_grad()
    def validate(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of each image (B,) at fixed times, the noise that of image and time."""
        x0 = self.space.encode(batch.image_BCHW)
        text = self._read(batch.token_BT, batch.mask_BT)
        losses = {}
        for i in range(BUCKETS):
            t_B = torch.full((len(batch),), (i + 0.5) / BUCKETS, device=x0.device)
            eps = noise.normal(batch.noise_key_B, self._shape, VALIDATION + i)
            losses[f"loss t={(i + 0.5) / BUCKETS:.2f}"] = self._error(x0, eps, t_B, text)
        return losses

    @torch.no_grad()
    def sample(self, captions: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """Return an image per caption, uint8 (B, 3, H, W), that depends on its seed alone."""
        if len(captions) != len(seeds):
            raise ValueError(f"expected a seed per caption, got {len(captions)} and {len(seeds)}")
        key_B = torch.tensor(seeds, dtype=torch.int64, device=self._device)
        eps = noise.normal(key_B, self._shape, NOISE)
        times = maths.sampler_times(self.config.steps, self.config.shift).to(self._device)
        integrate = maths.heun if self.config.sampler == "heun" else maths.euler
        return self.space.decode(integrate(self._guided(captions), eps, times))

    def _guided(self, captions: Sequence[str]) -> maths.Velocity:
        """Return the velocity field of captions, led by the guidance scale."""
        scale = self.config.guidance
        if scale == 1:
            text = self._read_captions(captions)
            return lambda z, t: self._velocity(z, t.expand(len(z)), text)
        both = self._read_captions([*captions, *[""] * len(captions)])

        def velocity(z_BCHW: Tensor, t: Tensor) -> Tensor:
            twice = torch.cat((z_BCHW, z_BCHW))
            with_text, without = self._velocity(twice, t.expand(len(twice)), both).chunk(2)
            return maths.guide(with_text, without, scale)

        return velocity

    def _error(self, x0: Tensor, eps: Tensor, t_B: Tensor, text: Text) -> Tensor:
        """Return the mean squared error of the velocity, (B,), float32."""
        t = t_B[:, None, None, None]
        z = maths.interpolate(x0, eps, t)
        # Equal but for times below SMALLEST_TIME, where the network's is held down as well
        target = maths.velocity_to(x0, z, t) if self._predicts_image else maths.velocity(x0, eps)
        return (self._velocity(z, t_B, text) - target).square().mean((1, 2, 3))

    def _velocity(self, z: Tensor, t_B: Tensor, text: Text) -> Tensor:
        out: Tensor = self.nets["denoiser"](z, t_B, *text).float()
        return maths.velocity_to(out, z, t_B[:, None, None, None]) if self._predicts_image else out

    def _read(self, token_BT: Tensor, mask_BT: Tensor) -> Text:
        encoder = self._frozen_text or self.nets["text"]
        text_BTE, pooled_BE = encoder(token_BT, mask_BT)
        return text_BTE, pooled_BE, mask_BT

    def _read_captions(self, captions: Sequence[str]) -> Text:
        token_BT, mask_BT = self._tokenizer(captions)
        return self._read(
            torch.from_numpy(token_BT).long().to(self._device),
            torch.from_numpy(mask_BT).to(self._device),
        )


def create_family(config: FlowConfig, image_size: int, seed: int) -> FlowFamily:
    """Make a family with weights drawn from the seed. Raises RecipeError where parts do not fit."""
    space = _make_space(config)
    side = side_in(image_size, space.downscale, config.patch)
    tokenizer = load_tokenizer(config.text)
    with seeded(seed):
        text = _make_text(config, tokenizer)
        denoiser = Denoiser(
            size=config.size,
            channels=space.channels,
            side=side,
            patch=config.patch,
            text_width=text.width,
            text_length=tokenizer.length,
            checkpointing=config.checkpointing,
        )
    return FlowFamily(config, space, side, tokenizer, text, denoiser)


def _make_space(config: FlowConfig) -> Space:
    latent = config.latent
    return LatentSpace(latent.vae, latent.subfolder, latent.chunk) if latent.vae else PixelSpace()


def _make_text(config: FlowConfig, tokenizer: TextTokenizer) -> TextEncoder:
    text = config.text
    if text.kind == "trainable":
        width = text.width or config.size.width
        return TrainableText(tokenizer.vocabulary, text.length, width, text.depth)
    encoder = FrozenText(text.kind, text.model)
    check_vocabulary(text, tokenizer.vocabulary, encoder.vocabulary)
    check_places(text, encoder.places)
    return encoder
