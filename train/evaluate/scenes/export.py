"""Generated pictures to disk, for a captioner to look at, and its captions back.

`recaption caption` takes the shard like any other, and `recaption shapeworld score` holds the
captions against the scenes that were asked for; `score_corpus` gives the figures of `compare`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from recaption.shapeworld.alt_text import AltKind
from recaption.shapeworld.estimate import Estimate
from recaption.shapeworld.language import Style
from recaption.shapeworld.scenes import Scene, to_json
from recaption.shapeworld.score import FULL, read_rows, read_truths
from recaption.tars import tar_bytes
from train.evaluate.scenes.captions import score_captions

# B images, C = 3 colours, H and W pixels

_LEAST_SIDE = 64
"""Pixels: the built-in captioner was taught on no smaller pictures."""


def write_shard(image_BCHW: Tensor, scenes: Sequence[Scene], file: Path | str) -> None:
    """Write pictures, uint8, as a WebDataset of PNGs, each with the scene that was asked for."""
    if len(image_BCHW) != len(scenes):
        raise ValueError(
            f"got {len(image_BCHW)} pictures of {len(scenes)} scenes, expected as many"
        )
    files: list[tuple[str, bytes]] = []
    for number, (image_CHW, scene) in enumerate(zip(image_BCHW, scenes, strict=True)):
        files += [(f"{number:06d}.png", _png(image_CHW)), (f"{number:06d}.json", _truth(scene))]
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_bytes(tar_bytes(files))


def score_corpus(
    corpus: str, shards: str, style: Style = Style.DENSE, version: str = ""
) -> dict[str, Estimate]:
    """Return the figures of pictures by their captions in a corpus: the first of a style."""
    truths = read_truths(shards)
    captions = {
        row.sample_id: row.caption
        for row in read_rows(corpus, version)
        if row.style == style and row.region == FULL and row.slot == 0
    }
    ids = sorted(captions.keys() & truths.keys())
    if not ids:
        raise ValueError(f"{corpus}: got no caption of style {style} of a picture in {shards}")
    return score_captions([captions[one] for one in ids], [truths[one].scene for one in ids])


def _png(image_CHW: Tensor) -> bytes:
    image = Image.fromarray(image_CHW.permute(1, 2, 0).cpu().numpy())
    scale = -(-_LEAST_SIDE // min(image.size))
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _truth(scene: Scene) -> bytes:
    """Return a sample's `.json` as rendered sets have it, with nothing told in alt-text or hint."""
    told = {
        "alt_text": {"kind": AltKind.EMPTY, "text": "", "facts": {}},
        "class_hint": {"text": ""},
    }
    return json.dumps({"scene": to_json(scene), "truth": told}).encode()
