"""Lessons as tensors: images on a grid of patches, what each patch shows, prompts with answers.

Legend: B images, K answers an image, L patches, G image tokens (L / 4), T text positions.
"""

from __future__ import annotations

import io
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from recaption import keyed
from recaption.shapeworld.captioner.architecture import MERGE, PATCH, SIZE, TOKEN
from recaption.shapeworld.captioner.lessons import draw_copying, draw_exercises, draw_view
from recaption.shapeworld.content import Colour, Fill, Medium, Shape, Tone, hue_in
from recaption.shapeworld.drawing.geometry import frame_of, to_unit
from recaption.shapeworld.drawing.outlines import contains, outline
from recaption.shapeworld.drawing.setting import WORDS
from recaption.shapeworld.language import is_word_read
from recaption.shapeworld.render import encode, render
from recaption.shapeworld.scenes import Scene

SHAPES = tuple(Shape)
HUES = tuple(dict.fromkeys((*(str(c) for c in Colour), *(str(t) for t in Tone))))
FILLS = tuple(Fill)
PIXELS = (64, 128)
"""Shorter side of the images, drawn for each."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """B images of one grid, and K texts for each (row b * K + k belongs to image b).

    `images` [B, H, W, 3] uint8; `grid` in patches; `patch_labels` [B, L, 6] int64 in the order of
    the patches: shape + 1, colour + 1, fill + 1 of what covers the patch's middle (0: nothing),
    1 where a thing's centre is, medium, number + 1 of the printed word on it (0: none).
    `ids` [B * K, T] is the text behind the image, `labels` the same with -100 where nothing is to
    be learned. `tasks` names each row's task.
    """

    images: Array
    grid: tuple[int, int]
    patch_labels: Array
    ids: Array
    labels: Array
    tasks: tuple[str, ...]


def view_pixels(scene: Scene, rng: random.Random) -> Array:
    """Return a scene [H, W, 3] uint8 as the captioner's processor would size it."""
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    size = rng.randint(*PIXELS)
    if rng.random() < 0.6:
        image = Image.open(io.BytesIO(encode(scene, size, "jpg"))).convert("RGB")
    else:
        image = Image.fromarray(render(scene, size))
    height, width = smart_resize(image.height, image.width, TOKEN, SIZE.min_pixels, SIZE.max_pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def label_patches(scene: Scene, rows: int, columns: int) -> Array:
    """Return [rows * columns, 6] labels, row by row; see `Batch`."""
    x, y = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
    frame = np.array(frame_of(scene.aspect))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) * frame
    labels = np.zeros((rows * columns, 6), dtype=np.int64)
    labels[:, 4] = tuple(Medium).index(scene.medium)
    for thing, sight in zip(scene.things, scene.sightings(), strict=True):
        inside = contains(outline(thing.shape), to_unit(thing, scene.aspect, points))
        hue = HUES.index(hue_in(thing.colour, scene.medium))
        what = (1 + SHAPES.index(thing.shape), 1 + hue, 1 + FILLS.index(thing.fill))
        column, row = min(int(sight.x * columns), columns - 1), min(int(sight.y * rows), rows - 1)
        middle = max(row, 0) * columns + max(column, 0)
        labels[inside, :3] = what
        if sight.is_named:
            labels[middle, :4] = (*what, 1)
    if (word := scene.word) is not None and is_word_read(scene):
        away = np.abs(points - np.array((word.x, word.y)) * frame)
        on_plate = (away <= (word.width / 2, word.height / 2)).all(axis=1)
        labels[on_plate, 5] = 1 + WORDS.index(word.text)
    return labels


def merge_order(rows: int, columns: int) -> Array:
    """Return the patches' raster numbers in the order Qwen2-VL has them: by 2 x 2 blocks."""
    raster = np.arange(rows * columns).reshape(rows // MERGE, MERGE, columns // MERGE, MERGE)
    return raster.transpose(0, 2, 1, 3).reshape(-1)


START = "<|im_start|>user\n<|vision_start|>"
"""What stands before the image."""


def draw_batches(
    tokenizer: Any, seed: int, first: int, images: int, answers: int, is_simple: bool = False
) -> Iterator[Batch]:
    """Yield batches without end, from scene number `first` on; images of one grid come together."""
    waiting: dict[tuple[int, int], list[tuple[Array, Array, list[Any]]]] = defaultdict(list)
    for index in range(first, 1 << 60):
        scene, shown = draw_view(seed, index, is_simple)
        pixels = view_pixels(shown, random.Random(keyed.integer("pixels", seed, index)))
        grid = pixels.shape[0] // PATCH, pixels.shape[1] // PATCH
        labels = label_patches(shown, *grid)[merge_order(*grid)]
        exercises = draw_exercises(scene, shown, seed, answers)
        bucket = waiting[grid]
        bucket.append((pixels, labels, exercises))
        if len(bucket) == images:
            texts = [one for _, _, drawn in bucket for one in drawn]
            ids, text_labels = tokenize(tokenizer, [(e.prompt, e.answer) for e in texts])
            yield Batch(
                images=np.stack([pixels for pixels, _, _ in bucket]),
                grid=grid,
                patch_labels=np.stack([labels for _, labels, _ in bucket]),
                ids=ids,
                labels=text_labels,
                tasks=tuple(str(e.task) for e in texts),
            )
            bucket.clear()


def again(batches: Iterator[Batch], seed: int, kept: int = 100) -> Iterator[Batch]:
    """Yield each batch, then one of the last `kept`: rendering costs as much as learning."""
    rng, recent = random.Random(seed), list[Batch]()
    for batch in batches:
        yield batch
        if len(recent) < kept:
            recent.append(batch)
        else:
            recent[rng.randrange(kept)] = batch
        yield rng.choice(recent)


def draw_text_batches(tokenizer: Any, seed: int, rows: int) -> Iterator[tuple[Array, Array]]:
    """Yield (ids, labels) [rows, T] of exercises in copying, without images."""
    for first in range(0, 1 << 60, rows):
        drawn = [draw_copying(seed, first + k) for k in range(rows)]
        yield tokenize(tokenizer, [(one.prompt, one.answer) for one in drawn])


def tokenize(tokenizer: Any, texts: list[tuple[str, str]]) -> tuple[Array, Array]:
    """Return ids and labels [N, T] of prompts and answers as they stand behind the image."""
    end = "<|im_end|>"
    written = [f"<|vision_end|>{p}{end}\n<|im_start|>assistant\n" for p, _ in texts]
    prompts = tokenizer(written).input_ids
    answers = tokenizer([f"{a}{end}" for _, a in texts]).input_ids
    longest = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
    ids = np.full((len(texts), longest), tokenizer.pad_token_id, dtype=np.int64)
    labels = np.full_like(ids, -100)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        both = len(prompt) + len(answer)
        ids[row, :both] = prompt + answer
        labels[row, len(prompt) : both] = answer
    return ids, labels
