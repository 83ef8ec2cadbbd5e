"""The section of a training recipe that describes a flow-matching transformer; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from recaption.config import ModelName, Section

if TYPE_CHECKING:
    from train.families.flow.family import FlowFamily


@dataclass(frozen=True, slots=True)
class Size:
    """Channels, blocks and attention heads of a transformer."""

    width: int
    depth: int
    heads: int


PresetName = Literal["debug", "nano", "tiny", "small", "base", "large", "xlarge"]

PRESETS: dict[PresetName, Size] = {
    #            width depth heads      parameters of the denoiser, and what it is
    "debug":  Size(32,    2,    2),  # 0.07 M tests
    "nano":   Size(128,   6,    4),  #   2 M  rendered scenes on a CPU
    "tiny":   Size(256,   8,    4),  #  10 M  the same with more time
    "small":  Size(384,  12,    6),  #  33 M  DiT-S
    "base":   Size(768,  12,   12),  # 131 M  DiT-B
    "large":  Size(1024, 24,   16),  # 461 M  DiT-L
    "xlarge": Size(1280, 28,   20),  # 836 M  DiT-XL, its heads of 64 channels as GPUs like them
}  # fmt: skip


class TextConfig(Section):
    """What reads the captions: a small transformer trained along, or a frozen encoder."""

    kind: Literal["trainable", "clip", "t5"] = "trainable"
    model: ModelName = Field(
        default="", description="clip, t5: encoder of transformers, name or path"
    )
    tokenizer: ModelName = Field(
        default="",
        description="name or path; default: that of the model, else the built-in captioner's",
    )
    length: int = Field(default=64, ge=1, le=1024, description="tokens of a caption, at most")
    width: int = Field(
        default=0, ge=0, le=16_384, description="trainable: channels; 0: the denoiser's"
    )
    depth: int = Field(default=2, ge=1, le=256, description="trainable: blocks")

    @model_validator(mode="after")
    def _has_its_model(self) -> TextConfig:
        if self.kind != "trainable" and not self.model:
            raise ValueError(f"text.kind={self.kind} needs text.model, a name or a path")
        if self.kind == "trainable" and self.model:
            raise ValueError(
                f"text.model={self.model} with text.kind=trainable, which loads none:"
                " set text.kind to clip or t5, or leave the model out"
            )
        return self


class LatentConfig(Section):
    """The space that images are generated in: pixels, or latents of a frozen autoencoder."""

    vae: ModelName = Field(
        default="", description="AutoencoderKL of diffusers, name or path; default: pixels"
    )
    subfolder: str = Field(default="", description="of the autoencoder, such as vae in a pipeline")
    chunk: int = Field(
        default=16, ge=1, le=65_536, description="images coded at once: bounds the memory"
    )


class FlowConfig(Section):
    """A rectified-flow transformer: its size, what it reads, how it is trained and sampled."""

    family: Literal["flow"] = "flow"
    preset: PresetName = "nano"
    width: int = Field(default=0, ge=0, le=16_384, description="channels; 0: the preset's")
    depth: int = Field(default=0, ge=0, le=256, description="blocks; 0: the preset's")
    heads: int = Field(default=0, ge=0, le=256, description="attention heads; 0: the preset's")
    patch: int = Field(
        default=8, ge=1, le=1024, description="side of a token in pixels, or in latents"
    )
    text: TextConfig = TextConfig()
    latent: LatentConfig = LatentConfig()
    predict: Literal["auto", "velocity", "image"] = Field(
        default="auto",
        description="what the network puts out; auto: the image where a patch of pixels has more"
        " than half as many values as the network has channels, else the velocity",
    )
    time_mean: float = Field(
        default=0.0, ge=-20, le=20, description="of logit(t): above 0, more noise"
    )
    time_std: float = Field(default=1.0, gt=0, le=20, description="of logit(t)")
    sampler: Literal["euler", "heun"] = "heun"
    steps: int = Field(
        default=25, ge=1, le=10_000, description="of the sampler; Heun's takes two passes each"
    )
    shift: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="of the sampler's times: above 1, more of them with noise",
    )
    guidance: float = Field(
        default=3.0, ge=0, le=1000, description="scale; 1: none, half the passes"
    )
    checkpointing: bool = Field(
        default=False, description="keep no activations inside blocks: less memory, a third slower"
    )

    @property
    def size(self) -> Size:
        """The preset with what overrides it."""
        preset = PRESETS[self.preset]
        return Size(
            width=self.width or preset.width,
            depth=self.depth or preset.depth,
            heads=self.heads or preset.heads,
        )

    @property
    def predicts_image(self) -> bool:
        """Whether the network puts out the image.

        The velocity is half noise, and noise fills all of a patch's space, which has to fit through
        the network (Li & He 2025, arXiv:2511.13720). Where it does, the velocity is learned sooner:
        of rendered scenes at 16 pixels, 48 values a patch and 96 channels, a model knew the true
        background from a wrong one in 92% after 18,000 images, one that put out the image in 66%.
        """
        if self.predict != "auto":
            return self.predict == "image"
        values = 3 * self.patch**2
        return not self.latent.vae and 2 * values > self.size.width

    @model_validator(mode="after")
    def _fits_together(self) -> FlowConfig:
        width, heads = self.size.width, self.size.heads
        if width % (4 * heads):
            raise ValueError(
                f"width={width} with heads={heads}: expected a multiple of 4 times the heads,"
                f" such as {4 * heads * max(1, round(width / 4 / heads))}, since positions take"
                " quarters of a head"
            )
        if self.text.width % 32:
            raise ValueError(
                f"text.width={self.text.width}: expected a multiple of 32, the width of a head"
            )
        can_be_divided = width >= 32 and width % (width // 32) == 0
        if self.text.kind == "trainable" and not self.text.width and not can_be_divided:
            raise ValueError(
                f"width={width}: the text encoder would have it, too, and cannot divide it among"
                " heads of 32; set text.width to a multiple of 32"
            )
        return self

    def problems(self, image_size: int) -> list[str]:
        """Return what of the parts is not there or does not fit, a line each; loads no weights."""
        from train.families.flow.fit import problems

        return problems(self, image_size)

    def create(self, image_size: int, seed: int) -> FlowFamily:
        """Make the family with weights drawn from the seed; reads frozen parts, if any.

        Raises RecipeError where image size, autoencoder, text and patch do not fit together.
        """
        from train.families.flow.family import create_family

        return create_family(self, image_size, seed)
