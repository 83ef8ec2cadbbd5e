"""Scenes as WebDataset shards: image, alt-text, class hint, and all that is true of the image."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.render import ImageFormat
from recaption.shapeworld.scenes import Scene, to_json
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.samples import DrawnSample, draw_sample, image_of
from recaption.tars import tar_bytes


def write_shards(
    out: str,
    shards: int,
    per_shard: int,
    seed: int,
    size: int | None = None,
    image_format: ImageFormat = "jpg",
    workers: int = 1,
) -> list[str]:
    """Write `00000.tar`, ... below `out`, a path or URL, and return their URLs.

    `workers` is as in `writing.write_set`.
    """
    from recaption import storage
    from recaption.shapeworld.sets.writing import write_set

    rendered = RenderedSet(seed, shards, per_shard, size, image_format)
    write_set(rendered, "webdataset", out, workers)
    return [storage.join(out, f"{number:05d}.tar") for number in range(shards)]


def shard_bytes(
    seed: int,
    shard_index: int,
    per_shard: int,
    size: int | None = None,
    image_format: ImageFormat = "jpg",
    crops: bool = False,
) -> bytes:
    """Return one shard as a tar; a pure function of its arguments."""
    rendered = RenderedSet(seed, shard_index + 1, per_shard, size, image_format, crops)
    return shard_of(rendered, rendered.shard(shard_index))


def shard_of(rendered: RenderedSet, indices: Iterable[int]) -> bytes:
    """Return the samples of a set at these indices as a tar."""
    return tar_bytes(file for index in indices for file in _files(rendered, index))


def _files(rendered: RenderedSet, index: int) -> Iterator[tuple[str, bytes]]:
    """Yield a sample's files, names first."""
    key, sample = rendered.key(index), draw_sample(rendered, index)
    about = json.dumps(_describe(key, sample), ensure_ascii=False, sort_keys=True)
    yield f"{key}.{rendered.image_format}", image_of(sample, rendered)
    yield f"{key}.txt", sample.alt_text.text.encode()
    yield f"{key}.cls", sample.class_hint.text.encode()
    yield f"{key}.json", about.encode()


def _describe(key: str, sample: DrawnSample) -> dict[str, Any]:
    """Return as JSON values what is known: `class_id` is the scene's own class, always right."""
    width, height = sample.pixels
    class_name, hint = sample.scene.unseen.class_name, sample.class_hint
    hints = {
        "alt_text": asdict(sample.alt_text),
        "class_hint": {"text": hint.text, "is_right": hint.is_right},
    }
    return {
        "key": key,
        "width": width,
        "height": height,
        "class_id": class_name.class_id,
        "class_gloss": class_name.gloss,
        "scene": to_json(sample.shown),
        "truth": truth_of(sample.shown) | hints,
    }


def truth_of(scene: Scene) -> dict[str, Any]:
    """Return as JSON values what is seen of a scene, how it lies, and a true caption per style."""
    sights = [asdict(sight) | {"presence": sight.presence} for sight in scene.sightings()]
    return {
        "sightings": sights,
        "relations": [asdict(related) for related in scene.relations()],
        "captions": {style: captions(scene, style, scene.seed) for style in Style},
    }
