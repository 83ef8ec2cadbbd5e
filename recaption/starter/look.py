"""A look at a place: which shards there are, and their first samples; bounded, whatever its size.

At most `MOST_FILES` names are listed, and a few samples read of a few shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from recaption import storage
from recaption.config import RecipeError, SourceConfig
from recaption.sample import Sample, Shard
from recaption.sources import read_parts
from recaption.sources.contents import Contents, Found
from recaption.sources.expand import shard_name
from recaption.sources.find import find_shards
from recaption.sources.inside import names_below
from recaption.sources.places import Place, find_places, is_folder, is_web, root_of
from recaption.storage import FileInfo
from recaption.storage.paths import matches, split_pattern
from recaption.storage.shown import location_of

T = TypeVar("T")

MOST_FILES = 20_000
_PLACES = 4  # of a list, or of a brace range
_SHARDS = 3
_SAMPLES = 8  # of a shard


@dataclass(frozen=True, slots=True)
class Look:
    """What was found: shards as far as they were listed, and the samples that were read.

    `is_all` says whether the listing came to its end. `fault` is what was wrong with the first
    shard that could not be read.
    """

    root: str
    kind: str
    shards: tuple[Found, ...]
    is_all: bool
    samples: tuple[Sample, ...] = ()
    fault: str = ""


def look_at(source: SourceConfig) -> Look:
    """Look at a source. Raises RecipeError or StorageError where nothing can be captioned."""
    try:
        places = find_places(source)
        root = location_of(root_of(source, places))
        listing = _Listing(source)
        found = [shard for place in spread(places, _PLACES) for shard in listing.shards(place)]
    except storage.StorageError:
        raise
    except OSError as e:
        raise storage.explain(e, str(e.filename or source.path), "list") from e
    except ValueError as e:
        raise RecipeError(str(e)) from e
    is_all = listing.is_all and len(places) <= _PLACES
    look = Look(root, found[0].kind, tuple(found), is_all)
    return _with_samples(look, source)


def _with_samples(look: Look, source: SourceConfig) -> Look:
    """Read the first samples of a few shards."""
    few = source.model_copy(update={"part_samples": _SAMPLES})
    samples: list[Sample] = []
    faults: list[str] = []
    for found in spread(look.shards, _SHARDS):
        shard = Shard(shard_name(found.url, look.root), found.url, found.kind, found.size)
        with closing(read_parts(shard, few)) as parts:  # type: ignore[type-var]
            part = next(iter(parts), None)
        if part is not None and part.fault:
            faults.append(part.fault)
        samples += part.samples if part else []
    return replace(look, samples=tuple(samples), fault="".join(faults[:1]))


class _Listing:
    """Lists places up to a limit that they share."""

    def __init__(self, source: SourceConfig) -> None:
        self._source = source
        self._left = MOST_FILES
        self.is_all = True

    def shards(self, place: Place) -> list[Found]:
        """Return the shards of a place, as far as it was listed. Raises ValueError for none."""
        is_listed = not is_web(place.written) and is_folder(place.urls[0])
        if not (storage.is_remote(place.top) if place.is_glob else is_listed):
            urls = spread(place.urls, _PLACES)
            self.is_all &= len(urls) == len(place.urls)
            return find_shards(replace(place, urls=tuple(urls)), self._source)
        contents = Contents()
        for url in place.urls[:_PLACES]:
            contents.add(place.top if place.is_glob else url, self._files(place, url))
        found = contents.shards(self._source.kind)
        if found:
            return found
        if self.is_all or place.is_glob:
            return find_shards(place, self._source)  # which says what is there instead
        raise ValueError(
            f"source.path {place.written}: neither shards nor images among the first"
            f" {MOST_FILES:,} files ({contents.describe()}); name the folder that holds them"
        )

    def _files(self, place: Place, url: str) -> Iterator[FileInfo]:
        top, pattern = split_pattern(url) if place.is_glob else (url, "")
        files = iter(_listed(top, self._source))
        for file in islice(files, self._left):
            self._left -= 1
            if not place.is_glob or _is_meant(file.url[len(top) :], pattern):
                yield file
        self.is_all &= self._left > 0 or next(files, None) is None


def _listed(url: str, source: SourceConfig) -> Iterable[FileInfo]:
    if storage.is_remote(url):
        return storage.list_tree(url)
    return (FileInfo(storage.join(url, name), None, "") for name in names_below(url, source))


def _is_meant(name: str, pattern: str) -> bool:
    """Say whether a pattern takes a file, or a folder that the file is in."""
    return matches(name, pattern) or matches(name, f"{pattern.rstrip('/')}/**")


def spread(items: Sequence[T], most: int) -> list[T]:
    """Return so many items from all over a sequence, the first among them."""
    step = max(1.0, len(items) / most)
    return [items[int(k * step)] for k in range(min(most, len(items)))]
