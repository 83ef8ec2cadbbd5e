"""WebDataset: tars of samples, each an image, `.txt`, `.cls` and `.json` of the same key."""

from __future__ import annotations

from recaption.shapeworld.sets.layouts.base import Batch, Layout, Rendered
from recaption.shapeworld.sets.rendered_set import FORMATS, RenderedSet
from recaption.shapeworld.sets.shards import shard_of


def _render(rendered: RenderedSet, batch: Batch) -> Rendered:
    return Rendered({f"{batch.name}.tar": shard_of(rendered, batch.indices)})


LAYOUT = Layout(_render, formats=FORMATS)
