"""Rendered shards as a place to read from, with no file anywhere: for demos, tests, benchmarks.

    shapeworld://seed=1,images=100,size=64,shards=12

is a folder of twelve WebDataset shards, 00000.tar and on, of 100 images each, 64 pixels on the
shorter side (0: drawn for each), rendered where they are read. With `crops=1` they are random crops
of the scenes. The same URL is the same bytes on every machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import fsspec
from fsspec.spec import AbstractFileSystem

from recaption.config import RecipeError
from recaption.shapeworld.sets.rendered_set import RenderedSet

SCHEME = "shapeworld"
_PATH = re.compile(r"(?P<options>[^/]*)/(?P<shard>\d{5})\.tar")
_DEFAULTS = {"seed": 0, "images": 100, "size": 96, "shards": 1, "crops": 0}
_EXAMPLE = f"{SCHEME}://seed=1,images=100,size=96,shards=3,crops=0"


class ShapeworldFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Reads rendered shards; see the module's text."""

    protocol: ClassVar[str] = SCHEME
    cachable = False

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return name, size and type; the shard is rendered to know its size."""
        name = self._strip_protocol(path)
        return {"name": name, "size": len(_render(parse(name))), "type": "file", "etag": name}

    def exists(self, path: str, **_: Any) -> bool:
        """Whether the path names a shard or a folder of them."""
        try:
            parse(self._strip_protocol(path) if path.endswith(".tar") else f"{path}/00000.tar")
        except FileNotFoundError:
            return False
        return True

    def find(self, path: str, *_: Any, detail: bool = False, **__: Any) -> Any:
        """Return the shards of a folder; their sizes are not known before they are rendered."""
        folder = self._strip_protocol(path).strip("/")
        count = parse(f"{folder}/00000.tar").rendered.shards
        names = [f"{folder}/{shard:05d}.tar" for shard in range(count)]
        return {name: {"name": name, "type": "file"} for name in names} if detail else names

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        """Return a shard, or a range of its bytes."""
        return _render(parse(self._strip_protocol(path)))[start:end]


@dataclass(frozen=True, slots=True)
class RenderedShard:
    """What a URL says: shard `number` of a set."""

    number: int
    rendered: RenderedSet


def parse(path: str) -> RenderedShard:
    """Read the path of a shard. Raises FileNotFoundError."""
    match = _PATH.fullmatch(path.strip("/"))
    if match is None:
        raise _not_found(path)
    options = _options(match["options"], path)
    try:
        rendered = RenderedSet(
            seed=options["seed"],
            shards=options["shards"],
            per_shard=options["images"],
            size=options["size"] or None,
            crops=bool(options["crops"]),
        )
    except RecipeError as e:
        raise _not_found(path, f"{e}; ") from None
    return RenderedShard(int(match["shard"]), rendered)


def _options(text: str, path: str) -> dict[str, int]:
    options = dict(_DEFAULTS)
    for pair in filter(None, text.split(",")):
        name, _, value = pair.partition("=")
        if name not in options or not value.isdecimal() or (name == "crops" and int(value) > 1):
            raise _not_found(path, f"got {pair!r}, ")
        options[name] = int(value)
    return options


def _not_found(path: str, why: str = "") -> FileNotFoundError:
    return FileNotFoundError(f"{SCHEME}://{path}: {why}expected something like {_EXAMPLE}")


@lru_cache(maxsize=2)
def _render(wanted: RenderedShard) -> bytes:
    from recaption.shapeworld.sets.shards import shard_of

    return shard_of(wanted.rendered, wanted.rendered.shard(wanted.number))


def register() -> None:
    """Make the scheme known to fsspec; harmless if it is."""
    fsspec.register_implementation(SCHEME, ShapeworldFileSystem, clobber=True)
