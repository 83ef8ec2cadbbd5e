"""Lessons as tensors: images on a grid of patches, what each patch shows, prompts with answers.

Legend: B images, K answers an image, L patches, G image tokens (L / 4), T text positions.
"""

from __future__ import annotations

import io
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from recaption import keyed
from recaption.shapeworld.captioner.architecture import MERGE, PATCH, SIZE, TOKEN
from recaption.shapeworld.captioner.lessons import (
    Exercise,
    draw_copying,
    draw_exercises,
    draw_view,
)
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

DECIDING = 6.0
"""What a token counts for that decides: one of forty says whether a class is believed."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Texts:
    """N prompts with answers: `ids` [N, T], padded at the right, and what each token counts for.

    `weights` [N, T] float32 are 0 where nothing is to be learned, 1 on an answer, and `DECIDING` on
    what decides.
    """

    ids: Array
    weights: Array


@dataclass(frozen=True, slots=True)
class Pictures:
    """B images of one grid.

    `images` [B, H, W, 3] uint8; `grid` in patches; `patch_labels` [B, L, 6] int64 in the order of
    the patches: shape + 1, colour + 1, fill + 1 of what covers the patch's middle (0: nothing),
    1 where a thing's centre is, medium, number + 1 of the printed word on it (0: none).
    """

    images: Array
    grid: tuple[int, int]
    patch_labels: Array


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures with K texts each (row b * K + k belongs to image b); `tasks` names each row's."""

    pictures: Pictures
    texts: Texts
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


Drawn = TypeVar("Drawn")

START, END = "<|im_start|>user\n<|vision_start|>", "<|im_end|>"
"""What stands before the image; what ends a prompt and an answer."""


def draw_batches(
    tokenizer: Any, seed: int, first: int, images: int, answers: int, is_simple: bool = False
) -> Iterator[Batch]:
    """Yield batches without end, from scene number `first` on; images of one grid come together."""
    for pictures, views in draw_pictures(seed, first, images, is_simple):
        drawn = [draw_exercises(scene, shown, seed, answers) for scene, shown in views]
        texts = [one for of_view in drawn for one in of_view]
        yield Batch(pictures, tokenize(tokenizer, texts), tuple(str(e.task) for e in texts))


def draw_pictures(
    seed: int, first: int, images: int, is_simple: bool = False
) -> Iterator[tuple[Pictures, list[tuple[Scene, Scene]]]]:
    """Yield pictures of one grid without end, each time with their scenes and what is shown."""
    waiting: dict[tuple[int, int], list[tuple[Array, Array, Scene, Scene]]] = defaultdict(list)
    for index in range(first, 1 << 60):
        scene, shown = draw_view(seed, index, is_simple)
        pixels = view_pixels(shown, random.Random(keyed.integer("pixels", seed, index)))
        grid = pixels.shape[0] // PATCH, pixels.shape[1] // PATCH
        labels = label_patches(shown, *grid)[merge_order(*grid)]
        bucket = waiting[grid]
        bucket.append((pixels, labels, scene, shown))
        if len(bucket) == images:
            stacks = [np.stack([one[k] for one in bucket]) for k in (0, 1)]  # type: ignore[misc]
            yield Pictures(stacks[0], grid, stacks[1]), [one[2:] for one in bucket]
            bucket.clear()


def again(batches: Iterator[Drawn], seed: int, kept: int = 100) -> Iterator[Drawn]:
    """Yield each batch, then one of the last `kept`: rendering costs as much as learning."""
    rng, recent = random.Random(seed), list[Drawn]()
    for batch in batches:
        yield batch
        if len(recent) < kept:
            recent.append(batch)
        else:
            recent[rng.randrange(kept)] = batch
        yield rng.choice(recent)


def draw_text_batches(tokenizer: Any, seed: int, rows: int) -> Iterator[Texts]:
    """Yield texts of exercises in copying, without images."""
    for first in range(0, 1 << 60, rows):
        yield tokenize(tokenizer, [draw_copying(seed, first + k) for k in range(rows)])


def tokenize(tokenizer: Any, exercises: Sequence[Exercise]) -> Texts:
    """Return prompts and answers as they stand behind the image."""
    prompts = tokenize_prompts(tokenizer, [one.prompt for one in exercises])
    written = [f"{one.answer}{END}" for one in exercises]
    answers = tokenizer(written, return_offsets_mapping=True)
    weights = [
        [DECIDING if _meets(span, one.deciding) else 1.0 for span in spans]
        for one, spans in zip(exercises, answers.offset_mapping, strict=True)
    ]
    return join_texts(prompts, answers.input_ids, weights, tokenizer.pad_token_id)


def join_texts(
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    weights: Sequence[Sequence[float] | float],
    pad: int,
) -> Texts:
    """Return texts of N prompts and answers, whose tokens weigh what is given: each, or all."""
    rows = list(zip(prompts, answers, weights, strict=True))
    longest = max(len(prompt) + len(answer) for prompt, answer, _ in rows)
    ids = np.full((len(rows), longest), pad, dtype=np.int64)
    weights_NT = np.zeros(ids.shape, dtype=np.float32)
    for row, (prompt, answer, weight) in enumerate(rows):
        both = len(prompt) + len(answer)
        ids[row, :both] = [*prompt, *answer]
        weights_NT[row, len(prompt) : both] = weight
    return Texts(ids, weights_NT)


def tokenize_prompts(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Return prompts as they stand behind the image, up to where an answer begins."""
    written = [f"<|vision_end|>{one}{END}\n<|im_start|>assistant\n" for one in prompts]
    ids: list[list[int]] = tokenizer(written).input_ids
    return ids


def _meets(span: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    return any(span[0] < last and first < span[1] for first, last in others)
