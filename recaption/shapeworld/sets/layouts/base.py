"""What a layout is: how a set of rendered images lies in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from recaption.shapeworld.render import ImageFormat
from recaption.shapeworld.sets.rendered_set import RenderedSet


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that are rendered in one go, by index; the name is unique in the set."""

    name: str
    indices: Sequence[int]


@dataclass(frozen=True, slots=True)
class Rendered:
    """What comes of a batch: files of its own, and lines for files that all batches share."""

    files: Mapping[str, bytes]
    lines: Mapping[str, str] = field(default_factory=dict)


def by_shard(rendered: RenderedSet) -> list[Batch]:
    """Return a batch for each shard."""
    return [Batch(f"{n:05d}", rendered.shard(n)) for n in range(rendered.shards)]


def no_heads(rendered: RenderedSet) -> dict[str, str]:
    """Return the beginnings of no files."""
    return {}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a set is cut into `batches`, what each gives, and what shared files begin with.

    Shared files get the batches' lines in the order of the batches' names.
    """

    render: Callable[[RenderedSet, Batch], Rendered]
    batches: Callable[[RenderedSet], list[Batch]] = by_shard
    heads: Callable[[RenderedSet], dict[str, str]] = no_heads
    formats: tuple[ImageFormat, ...] = ("jpg",)
