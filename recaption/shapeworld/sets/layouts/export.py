"""What `recaption export --to webdataset` writes, with true captions in place of a captioner's.

A text-to-image model is trained on it without a captioner, as the one in the package was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from recaption.sample import FULL_IMAGE
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.sets.layouts.base import Batch, Layout, Rendered
from recaption.shapeworld.sets.rendered_set import FORMATS, RenderedSet
from recaption.shapeworld.sets.samples import DrawnSample, draw_sample, image_of
from recaption.tars import tar_bytes

_WORDINGS = 4
"""Captions of an image, all short: a small model reads few words."""


def _render(rendered: RenderedSet, batch: Batch) -> Rendered:
    files = (file for index in batch.indices for file in _files(rendered, index))
    return Rendered({f"{batch.name}.tar": tar_bytes(files)})


def _files(rendered: RenderedSet, index: int) -> Iterator[tuple[str, bytes]]:
    key, sample = rendered.key(index), draw_sample(rendered, index)
    told = [captions(sample.shown, Style.SHORT, n) for n in range(_WORDINGS)]
    yield f"{key}.{rendered.image_format}", image_of(sample, rendered)
    yield f"{key}.txt", told[0].encode()
    yield f"{key}.json", json.dumps(_document(key, sample, told)).encode()


def _document(key: str, sample: DrawnSample, told: list[str]) -> dict[str, object]:
    width, height = sample.pixels
    rows = [
        {"region": FULL_IMAGE, "style": Style.SHORT, "slot": slot, "caption": caption}
        for slot, caption in enumerate(told)
    ]
    return {
        "sample_id": key,
        "width": width,
        "height": height,
        "alt_text": sample.alt_text.text,
        "class_names": [sample.class_hint.text] if sample.class_hint.text else [],
        "captions": rows,
    }


LAYOUT = Layout(_render, formats=FORMATS)
