"""Pictures that the recogniser is taught with and measured on: rendered scenes, made worse."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from recaption import keyed
from recaption.shapeworld.content import Medium, Region
from recaption.shapeworld.crops import crop
from recaption.shapeworld.render import render
from recaption.shapeworld.scenes import Scene, draw_scene
from train.evaluate.scenes.recogniser.network import IMAGE_SIZE
from train.evaluate.scenes.recogniser.targets import labels_of

# B images, C colours, H and W pixels; pictures of numpy are (H, W, C)

Pixels = npt.NDArray[np.uint8]

OTHER_MEDIA = 0.5
"""Share of the scenes in other media than flat that are taken, so that half of all are flat."""

WHOLE_SHARE = 0.6
"""Share of scenes shown whole; of others a part is shown, as a training on crops draws them."""

_LEAST_AREA, _MOST_STRETCH = 0.45, 4 / 3


@dataclass(frozen=True, slots=True)
class Lessons:
    """Pictures uint8 (n, H, W, 3) with the rows of `labels_of`."""

    images: Pixels
    labels: npt.NDArray[np.float32]


def draw_lessons(seed: int, count: int, cache: Path | None = None) -> Lessons:
    """Return pictures of `count` scenes with their labels, kept in and read from `cache`."""
    file = cache / f"lessons-{seed}-{count}.npz" if cache else None
    if file is not None and file.exists():
        with np.load(file) as kept:
            return Lessons(kept["images"], kept["labels"])
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    rows: list[npt.NDArray[np.float32]] = []
    index = 0
    while len(rows) < count:
        scene = draw_scene(seed, index)
        index += 1
        if scene.medium is Medium.FLAT or keyed.uniform("medium", seed, index) < OTHER_MEDIA:
            shown = _draw_view(scene)
            images[len(rows)] = squared(shown)
            rows.append(labels_of(shown))
    lessons = Lessons(images, np.stack(rows))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, images=lessons.images, labels=lessons.labels)
    return lessons


def squared(scene: Scene) -> Pixels:
    """Return a scene's picture squeezed into the recogniser's square."""
    image = render(scene, IMAGE_SIZE)
    if image.shape[:2] == (IMAGE_SIZE, IMAGE_SIZE):
        return image
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _draw_view(scene: Scene) -> Scene:
    """Return all of a scene, or a part of it that is not narrower than crops of a training."""
    rng = random.Random(keyed.integer("lesson", scene.seed, scene.index))
    if rng.random() < WHOLE_SHARE:
        return scene
    area = rng.uniform(_LEAST_AREA, 1.0)
    ratio = rng.uniform(1 / _MOST_STRETCH, _MOST_STRETCH)
    width = min(1.0, (area * ratio / scene.aspect) ** 0.5)
    height = min(1.0, area / width)
    x0, y0 = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    region = Region(round(x0, 4), round(y0, 4), round(x0 + width, 4), round(y0 + height, 4))
    return crop(scene, region)


# ------------------------------------------------------------------------- making them worse


def worsen(images: Pixels, rng: np.random.Generator) -> Tensor:
    """Return pictures as a model may paint them, float (B, C, H, W) in 0 to 1.

    Three in four are blurred, full of JPEG's blocks, noisy or off in colour, or some of each.
    """
    painted = [_worsened(image, rng) if rng.random() < 0.75 else image / 255 for image in images]
    x_BHWC = np.stack(painted).astype(np.float32)
    return torch.from_numpy(x_BHWC).permute(0, 3, 1, 2).clamp(0, 1)


def _worsened(image: Pixels, rng: np.random.Generator) -> npt.NDArray[np.floating]:
    if rng.random() < 0.6:
        image = _as_bytes(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3)))
    if rng.random() < 0.25:
        image = _through_jpeg(image, int(rng.integers(25, 90)))
    gain, shift = 1 + 0.05 * rng.standard_normal(3), 0.02 * rng.standard_normal(3)
    x_HWC = image / 255 * gain + shift
    if rng.random() < 0.6:
        level = np.float32(rng.uniform(0, 0.06))
        blots = cv2.resize(rng.standard_normal((8, 8, 3), np.float32), image.shape[1::-1])
        x_HWC += level * (rng.standard_normal(image.shape, np.float32) + 0.5 * blots)
    return x_HWC


def _through_jpeg(image: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return _as_bytes(Image.open(buffer).convert("RGB"))


def _as_bytes(image: object) -> Pixels:
    return np.asarray(image, dtype=np.uint8)
