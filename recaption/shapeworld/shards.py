"""Scenes as WebDataset shards: image, alt-text, class name, and all that is true of the image."""

from __future__ import annotations

import io
import json
import multiprocessing
import tarfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

from recaption import keyed
from recaption.shapeworld.alt_text import AltText, draw_alt_text
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.render import ImageFormat, encode, pixels_of
from recaption.shapeworld.scenes import Scene, draw_scene, to_json

DRAWN_SIZES = (64, 128)
"""Smallest and largest shorter side, in pixels, where none is given."""

MAX_SHARDS, MAX_PER_SHARD = 100_000, 10_000
"""What a key of nine digits has room for: five of the shard, four of the sample in it."""


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

    `size` is the images' shorter side in pixels, None: drawn for each. The same arguments give the
    same bytes; `workers` processes render at a time.
    """
    _check(shards, per_shard)
    write = partial(_write_shard, out, per_shard, seed, size, image_format)
    if workers == 1:
        return [write(index) for index in range(shards)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        return list(pool.map(write, range(shards)))


def _write_shard(
    out: str, per_shard: int, seed: int, size: int | None, image_format: ImageFormat, index: int
) -> str:
    from recaption.storage import write_bytes

    url = f"{out.rstrip('/')}/{index:05d}.tar"
    write_bytes(url, shard_bytes(seed, index, per_shard, size, image_format))
    return url


def shard_bytes(
    seed: int,
    shard_index: int,
    per_shard: int,
    size: int | None = None,
    image_format: ImageFormat = "jpg",
) -> bytes:
    """Return one shard as a tar; a pure function of its arguments."""
    _check(shard_index + 1, per_shard)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for offset in range(per_shard):
            key = f"{shard_index:05d}{offset:04d}"
            scene = draw_scene(seed, shard_index * per_shard + offset)
            for extension, data in _members(key, scene, size, image_format).items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _check(shards: int, per_shard: int) -> None:
    if not (1 <= shards <= MAX_SHARDS and 1 <= per_shard <= MAX_PER_SHARD):
        raise ValueError(
            f"got {shards} shards of {per_shard} images, expected 1 to {MAX_SHARDS} shards of"
            f" 1 to {MAX_PER_SHARD}: the nine digits of a key hold no more"
        )


def _members(
    key: str, scene: Scene, size: int | None, image_format: ImageFormat
) -> dict[str, bytes]:
    """Return a sample's files by extension."""
    if size is None:
        span = DRAWN_SIZES[1] - DRAWN_SIZES[0] + 1
        size = DRAWN_SIZES[0] + int(span * keyed.uniform("size", scene.seed, scene.index))
    alt_text = draw_alt_text(scene, scene.seed)
    about = _describe(key, scene, size, alt_text)
    return {
        image_format: encode(scene, size, image_format),
        "txt": alt_text.text.encode(),
        "cls": scene.unseen.class_name.word.encode(),
        "json": json.dumps(about, ensure_ascii=False, sort_keys=True).encode(),
    }


def _describe(key: str, scene: Scene, size: int, alt_text: AltText) -> dict[str, Any]:
    width, height = pixels_of(scene.aspect, size)
    class_name = scene.unseen.class_name
    return {
        "key": key,
        "width": width,
        "height": height,
        "class_id": class_name.class_id,
        "class_gloss": class_name.gloss,
        "scene": to_json(scene),
        "truth": truth_of(scene) | {"alt_text": asdict(alt_text)},
    }


def truth_of(scene: Scene) -> dict[str, Any]:
    """Return as JSON values what is seen of a scene, how it lies, and a true caption per style."""
    sights = [asdict(sight) | {"presence": sight.presence} for sight in scene.sightings()]
    return {
        "sightings": sights,
        "relations": [asdict(related) for related in scene.relations()],
        "captions": {style: captions(scene, style, scene.seed) for style in Style},
    }
