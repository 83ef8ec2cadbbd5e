"""Rendered shards as a place to read from, with no file anywhere: for demos, tests, benchmarks.

    shapeworld://seed=1,images=100,size=64/{00000..00011}.tar

are twelve WebDataset shards of 100 images each, 64 pixels on the shorter side, rendered where they
are read. The same URL is the same bytes on every machine.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, ClassVar

import fsspec
from fsspec.spec import AbstractFileSystem

SCHEME = "shapeworld"
_PATH = re.compile(r"(?P<options>[^/]*)/(?P<shard>\d{5})\.tar")
_DEFAULTS = {"seed": 0, "images": 100, "size": 96}


class ShapeworldFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Reads rendered shards; see the module's text."""

    protocol: ClassVar[str] = SCHEME
    cachable = False

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return name, size and type; the shard is rendered to know its size."""
        name = self._strip_protocol(path)
        return {"name": name, "size": len(_render(*parse(name))), "type": "file", "etag": name}

    def exists(self, path: str, **_: Any) -> bool:
        """Whether the path names a shard."""
        return _PATH.fullmatch(self._strip_protocol(path)) is not None

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        """Return a shard, or a range of its bytes."""
        return _render(*parse(self._strip_protocol(path)))[start:end]


def parse(path: str) -> tuple[int, int, int, int]:
    """Return seed, shard, images per shard and size. Raises FileNotFoundError."""
    match = _PATH.fullmatch(path.strip("/"))
    options = dict(_DEFAULTS)
    for pair in filter(None, match["options"].split(",") if match else ["?"]):
        name, _, value = pair.partition("=")
        if match is None or name not in options or not value.isdigit():
            raise FileNotFoundError(
                f"{SCHEME}://{path}: expected {SCHEME}://seed=1,images=100,size=96/00000.tar"
            )
        options[name] = int(value)
    assert match is not None
    return options["seed"], int(match["shard"]), options["images"], options["size"]


@lru_cache(maxsize=2)
def _render(seed: int, shard: int, images: int, size: int) -> bytes:
    from recaption.shapeworld.shards import shard_bytes

    return shard_bytes(seed, shard, images, size)


def register() -> None:
    """Make the scheme known to fsspec; harmless if it is."""
    fsspec.register_implementation(SCHEME, ShapeworldFileSystem, clobber=True)
