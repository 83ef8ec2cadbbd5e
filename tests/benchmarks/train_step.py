"""The training step of the default family: images per second and share of the card's peak.

Two sizes, pixels of 256 in patches of 16 and latents of 32 × 32 × 4 in patches of 2 (256 tokens
each), bf16, with and without torch.compile. The share (model FLOPs utilisation) counts the products
of what is trained, forward and backward, and no recomputation. Without a CUDA device it measures
the smallest preset on the CPU, whose peak it does not know.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from train.batch import Batch
from train.families.flow.config import FlowConfig, PresetName
from train.families.flow.family import FlowFamily
from train.families.flow.latent import PixelSpace
from train.families.flow.layers import seeded
from train.families.flow.model import Denoiser
from train.families.flow.text import TrainableText
from train.families.flow.tokenizer import TextTokenizer

PEAKS = {"H200": 989e12, "H100": 989e12, "GH200": 989e12, "A100": 312e12}
"""Dense bf16 operations per second, by a part of the card's name, from NVIDIA's data sheets."""

CAPTION = "A large red circle to the left of two small blue squares on a plain background."


class LatentLike:
    """Images in the shape of an autoencoder's latents, without its cost: means of 8 × 8 pixels."""

    channels, downscale = 4, 8

    def encode(self, image_BCHW: Tensor) -> Tensor:
        """Return the means, and for a fourth channel the mean of the three."""
        mean = F.avg_pool2d(PixelSpace().encode(image_BCHW), self.downscale)
        return torch.cat((mean, mean.mean(1, keepdim=True)), dim=1)

    def decode(self, z_BCHW: Tensor) -> Tensor:
        """Return three channels enlarged."""
        return PixelSpace().decode(F.interpolate(z_BCHW[:, :3], scale_factor=self.downscale))

    def move_to(self, device: str) -> None:
        """Do nothing: there is nothing to move."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured."""

    preset: PresetName
    space: str
    image_size: int
    patch: int
    batch: int
    is_compiled: bool


def cases(device: str, batch: int) -> list[Case]:
    """Return the grid of cases for a device."""
    presets: dict[PresetName, int] = {"base": 256, "large": 128} if device == "cuda" else {}
    spaces = [("pixels", 256, 16), ("latents", 256, 2)]
    if not presets:
        presets, spaces = {"nano": 64}, [("pixels", 64, 8)]
    return [
        Case(preset, space, image_size, patch, batch or default, is_compiled)
        for preset, default in presets.items()
        for space, image_size, patch in spaces
        for is_compiled in (False, True)
    ]


def make_family(case: Case) -> FlowFamily:
    """Make the family of a case, a trainable text encoder with it."""
    config = FlowConfig.model_validate({"preset": case.preset, "patch": case.patch})
    if case.space == "pixels":
        return config.create(case.image_size, seed=0)
    space, width, length = LatentLike(), config.size.width, config.text.length
    config = config.model_copy(update={"predict": "velocity"})
    side = case.image_size // space.downscale
    tokenizer = TextTokenizer("", length)
    with seeded(0):
        text = TrainableText(tokenizer.vocabulary, length, width, config.text.depth)
        denoiser = Denoiser(config.size, space.channels, side, case.patch, width, length)
    return FlowFamily(config, space, side, tokenizer, text, denoiser)


def make_batch(family: FlowFamily, case: Case) -> Batch:
    """Make a batch of random images."""
    token, mask = family.tokenizer([CAPTION] * case.batch)
    return Batch(
        image_BCHW=torch.randint(
            0, 256, (case.batch, 3, case.image_size, case.image_size), dtype=torch.uint8
        ),
        token_BT=torch.from_numpy(token).long(),
        mask_BT=torch.from_numpy(mask),
        noise_key_B=torch.arange(case.batch),
    )


def measure(case: Case, device: str, warmup: int, steps: int) -> tuple[float, int]:
    """Return images per second, and the operations of an image."""
    family = make_family(case)
    family.move_to(device)
    for unit in family.shard_units() if case.is_compiled else ():
        unit.compile()
    batch = make_batch(family, case).to(device)
    optimizer = torch.optim.AdamW(family.nets.parameters(), fused=True)

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = family.phases[0].loss(batch).total
        loss.backward()
        torch.nn.utils.clip_grad_norm_(family.nets.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(warmup):
        step()
    started = now(device)
    for _ in range(steps):
        step()
    return steps * case.batch / (now(device) - started), family.training_flops()


def now(device: str) -> float:
    """Return the time at which all work so far is done, in seconds."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=0, help="images; default: by size")
    parser.add_argument("--warmup", type=int, default=0, help="steps; default: 10, 2 on a CPU")
    parser.add_argument("--steps", type=int, default=0, help="steps; default: 30, 4 on a CPU")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of a CPU")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "no CUDA device: the CPU, fp32"
    peak = next((peak for card, peak in PEAKS.items() if device == "cuda" and card in name), None)
    warmup, steps = (10, 30) if device == "cuda" else (2, 4)
    torch.set_num_threads(arguments.threads)
    print(name)
    print("preset  space    batch  compiled  images/s  TFLOP/s  share of peak")
    for case in cases(device, arguments.batch):
        rate, flops = measure(case, device, arguments.warmup or warmup, arguments.steps or steps)
        share = f"{rate * flops / peak:13.1%}" if peak else "      unknown"
        print(
            f"{case.preset:<7} {case.space:<8} {case.batch:>5}  {case.is_compiled!s:<8} "
            f"{rate:>9,.1f} {rate * flops / 1e12:>8.2f}  {share}",
            flush=True,
        )
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
