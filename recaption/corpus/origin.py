"""Where a corpus may send us for its images.

A corpus names places: its recipe's `source.path`, the url of each shard. Who made it cannot be told
from it, so what it names is not what you named. Read are, because a corpus says so,

- files on this machine's disk, whose images are shown only where their hash is the one that stands
  in the corpus: its author must have had the image to write that;
- objects in the bucket that holds the corpus itself.

Anything else (web servers, other buckets, other schemes) would let a stranger's corpus ask servers
of your network, or other buckets with your keys. It is read where you give it: `--source`,
`data.images`.
"""

from __future__ import annotations

from recaption import storage
from recaption.config import RecipeError, SourceConfig
from recaption.sources.places import find_places
from recaption.storage.paths import is_chained
from recaption.storage.shown import location_of, text_without_secrets, without_secrets
from recaption.text import printable

_WEB = ("http://", "https://")


def may_name(corpus: str, url: str) -> bool:
    """Say whether a url may be asked just because this corpus names it."""
    if not storage.is_remote(url):
        return True
    if is_chained(url) or url.lower().startswith(_WEB):
        return False
    return _bucket(url) == _bucket(corpus)


def source_of(
    corpus: str, source: SourceConfig, given: str = "", option: str = "--source"
) -> SourceConfig:
    """Return where a corpus's images are read: what the user gives, else what it may name itself.

    Raises RecipeError where it names another place.
    """
    if given:
        return source.model_copy(update={"path": given, "root": ""})
    written = [source.path] if isinstance(source.path, str) else source.path
    for url in written:  # before a list is fetched
        check_named(corpus, url.strip(), option)
    try:
        places = find_places(source)
    except storage.StorageError:
        raise
    except ValueError as e:
        raise RecipeError(text_without_secrets(printable(str(e)))) from e
    for place in places:
        for url in place.urls:
            check_named(corpus, url, option)
    return source


def check_named(corpus: str, url: str, option: str) -> None:
    """Raise RecipeError for a url that a corpus names, and may not."""
    if not may_name(corpus, url):
        raise RecipeError(f"{printable(without_secrets(corpus))}: {not_asked(url, option)}")


def not_asked(url: str, option: str = "--source") -> str:
    """Say why a place is not asked, and what to do."""
    place = printable(without_secrets(url))[:300]
    return (
        f"its images are at {place}, which is not asked just because a corpus says so; if that is"
        f" yours, give {option}, with the path or url of the images"
    )


def _bucket(url: str) -> list[str]:
    return location_of(url).split("/")[:3] if storage.is_remote(url) else []
