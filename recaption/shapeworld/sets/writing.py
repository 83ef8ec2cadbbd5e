"""Writes a rendered set in a layout: batch by batch, then the files that all batches share."""

from __future__ import annotations

import bz2
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from recaption import storage
from recaption.shapeworld.sets.label import put_label
from recaption.shapeworld.sets.layouts import layout_for
from recaption.shapeworld.sets.layouts.base import Batch, Layout
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.workers import work


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch left: its files are written, its lines still to come into shared files."""

    batch: str
    images: int
    lines: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BatchWriter:
    """Renders a batch and writes its files, wherever it is called."""

    rendered: RenderedSet
    layout: Layout
    out: str

    def __call__(self, batch: Batch) -> Written:
        """Return what is not written yet."""
        result = self.layout.render(self.rendered, batch)
        for name, data in result.files.items():
            storage.write_bytes(storage.join(self.out, name), data)
        return Written(batch.name, len(batch.indices), result.lines)


def write_set(
    rendered: RenderedSet,
    layout_name: str,
    out: str,
    workers: int,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Write a set below `out`, a path or URL; the same set and layout give the same bytes.

    `workers` processes render at a time, 0: on Ray. `tell` is told the images of each batch that
    is done. Raises RecipeError or StorageError.
    """
    layout = layout_for(layout_name, rendered)
    put_label(out, rendered, layout_name)
    done: list[Written] = []
    for written in work(BatchWriter(rendered, layout, out), layout.batches(rendered), workers):
        done.append(written)
        tell(written.images)
    for name, text in _joined(layout.heads(rendered), done).items():
        storage.write_bytes(storage.join(out, name), _packed(name, text))


def _joined(heads: Mapping[str, str], done: Iterable[Written]) -> dict[str, str]:
    """Return the shared files: their beginnings, then the lines of all batches in order."""
    pieces = defaultdict(list, {name: [head] for name, head in heads.items()})
    for written in sorted(done, key=lambda one: one.batch):
        for name, lines in written.lines.items():
            pieces[name].append(lines)
    return {name: "".join(found) for name, found in pieces.items()}


def _packed(name: str, text: str) -> bytes:
    return bz2.compress(text.encode()) if name.endswith(".bz2") else text.encode()
