"""What `source.path` says, before anything is listed: lists read, braces and `~` resolved."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from recaption import storage
from recaption.config import SourceConfig, nearest
from recaption.sources.braces import MOST_PATHS, expand_braces
from recaption.sources.ids import shard_suffix
from recaption.storage.addresses import are_public, look_up
from recaption.storage.paths import PUBLIC_ONLY, local_path, scheme_of
from recaption.storage.shown import location_of, without_secrets
from recaption.storage.spelling import one_spelling
from recaption.text import decode_text, lines_of

_WILDCARD = re.compile(r"[*?[]")
_LONGEST_LIST = 64 << 20  # bytes
_SPECIAL = re.compile(r"[*?[{]")


@dataclass(frozen=True, slots=True)
class Place:
    """One path of a source: as written, and the urls or glob patterns it stands for.

    `top` is its fixed part: the folder that holds whatever it matches.
    """

    written: str
    urls: tuple[str, ...]
    top: str
    is_glob: bool = False


def find_places(source: SourceConfig) -> list[Place]:
    """Return the places of a source. Raises ValueError where a path cannot be meant."""
    paths = [source.path] if isinstance(source.path, str) else source.path
    places: list[Place] = []
    count = 0
    for place in (place for path in paths for place in _resolve(path)):
        places.append(place)
        count += len(place.urls)
        if count > MOST_PATHS:
            raise ValueError(
                f"source.path {place.written}: it stands for more than {MOST_PATHS:,} paths with"
                " those before it; give their folder, or a pattern with *"
            )
    if not places:
        raise ValueError("source.path: expected at least one path, got none")
    return places


def root_of(source: SourceConfig, places: list[Place]) -> str:
    """Return the folder or url below which the shards' names are paths."""
    if source.root:
        return location_of(absolute(source.root))
    return common_folder([location_of(place.top) for place in places])


def common_folder(folders: list[str]) -> str:
    """Return the folder that holds them all. Raises ValueError where there is none."""
    split = [folder.split("/") for folder in folders]
    by_depth = takewhile(lambda parts: len(set(parts)) == 1, zip(*split, strict=False))
    shared = [parts[0] for parts in by_depth]
    if storage.is_remote(folders[0]) and len(shared) < 3 and shared[:1] == split[0][:1]:
        return f"{scheme_of(folders[0])}://"
    if not shared:
        raise ValueError(
            f"source.path: {folders[0]} and {folders[-1]} have no folder in common;"
            " caption them in two runs"
        )
    return "/".join(shared) or "/"


def is_web(url: str) -> bool:
    """Say whether the url is of a web server, which lists nothing."""
    return scheme_of(url) in ("http", "https")


def path_of(url: str) -> str:
    """Return a url without what a web server's may carry behind its path."""
    return re.split(r"[?#]", url, maxsplit=1)[0] if is_web(url) else url


def is_folder(url: str) -> bool:
    """Say whether a local path is a folder; of others, whether the name has no known ending."""
    if storage.is_remote(url):
        return not is_web(url) and not shard_suffix(url)
    return Path(url).is_dir()


def below(url: str, root: str) -> str:
    """Return the path of a url below the root, "" for the root. Raises ValueError elsewhere."""
    path, top = location_of(path_of(url)).rstrip("/"), location_of(root).rstrip("/")
    if path == top:
        return ""
    if not path.startswith(f"{top}/"):
        raise ValueError(f"{without_secrets(url)} is not below source.root {root}")
    name = path[len(top) + 1 :].strip("/")
    return unquote(name) if is_web(url) else name


def absolute(path: str) -> str:
    """Return a path in its one spelling, which holds in every worker; urls of the web stay."""
    # A $ is no variable here: a recipe's own were looked up, and a stranger's must not be.
    return path if is_web(path) else one_spelling(path, variables=False)


def nearest_there(url: str) -> str:
    """Return ', did you mean X?', or which folder above exists: help for a local path not found."""
    if storage.is_remote(url):
        return ""
    path = Path(url)
    try:
        siblings = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        there = next((folder for folder in path.parents if folder.is_dir()), None)
        return f" (of its folders only {there} exists)" if there else ""
    return nearest(path.name, siblings)


def _resolve(path: str) -> list[Place]:
    if not path.strip():
        raise ValueError("source.path: expected a path, got an empty one")
    if _is_list(path):
        return [place for line in _read_list(absolute(path)) for place in _resolve_line(path, line)]
    return [_place(path)]


def _is_list(path: str) -> bool:
    is_named_so = path_of(path).lower().endswith(".txt") and not _SPECIAL.search(path_of(path))
    return is_named_so and not (not storage.is_remote(path) and Path(local_path(path)).is_dir())


def _read_list(url: str) -> list[str]:
    """Return the paths in a list, one per line; relative ones are relative to the list."""
    text = decode_text(storage.read_bytes(url, most=_LONGEST_LIST, stays=True))
    lines = [re.sub(r"^\s*#.*|\s#\s.*", "", line).strip() for line in lines_of(text)]
    folder = path_of(url).rpartition("/")[0]
    found = [line if _is_absolute(line) else f"{folder}/{line}" for line in lines if line]
    if not found:
        raise ValueError(f"source.path {url}: expected a list of paths, one per line, got none")
    return found


def _resolve_line(path: str, line: str) -> list[Place]:
    if _is_list(line):
        raise ValueError(f"source.path {path}: {line} in it is a list again; give one list")
    place = _place(line)
    if not storage.is_remote(path):
        return [place]
    return [replace(place, urls=tuple(_url_in_list(url, path) for url in place.urls))]


def _url_in_list(url: str, path: str) -> str:
    """Return a url that a remote list names, as far as it may: its author is not the user.

    Its own host or bucket, and other web servers if their address is public: the user's disk, other
    buckets with the user's keys, and hosts of a private network are not for it to name.
    """
    if _host(url) == _host(path):
        return url
    if not is_web(url):
        raise ValueError(
            f"source.path {path}: it names {url}, but a list that comes over the network may name"
            f" only files of its own place and of public web servers; copy the list here"
        )
    is_within = is_web(path) and not are_public(look_up(urlsplit(path).hostname or ""))
    return url if is_within else url + PUBLIC_ONLY


def _host(url: str) -> list[str]:
    return location_of(url).split("/")[:3] if storage.is_remote(url) else []


def _is_absolute(path: str) -> bool:
    return storage.is_remote(path) or path.startswith(("/", "~", "file:/"))


def _place(path: str) -> Place:
    if not storage.is_remote(path) and Path(local_path(path)).exists():
        url = absolute(path)  # as it stands, whatever characters are in it
        return Place(path, (url,), url if is_folder(url) else _parent(url))
    urls = _expand(path)
    if not is_web(path) and _WILDCARD.search(path):
        return Place(path, urls, _fixed_part(path), is_glob=True)
    if "{" in path_of(path):
        return Place(path, urls, _fixed_part(path))
    return Place(path, urls, urls[0] if is_folder(urls[0]) else _parent(urls[0]))


def _expand(path: str) -> tuple[str, ...]:
    """Return the absolute paths that a path with braces stands for."""
    if re.search(r"\.\.(?!\d|[A-Za-z]\})|/[/{,]|,/", path):  # each may be put straight otherwise
        return tuple(absolute(url) for url in expand_braces(path))
    return tuple(expand_braces(absolute(path)))


def _fixed_part(path: str) -> str:
    """Return the folder above the first special character."""
    url = absolute(path)
    found = (re.search(r"\{", url) if is_web(url) else _SPECIAL.search(url)) or re.search("$", url)
    assert found is not None
    return url[: found.start()].rpartition("/")[0] or "/"


def _parent(url: str) -> str:
    return str(PurePosixPath(url).parent) if not storage.is_remote(url) else _above(url)


def _above(url: str) -> str:
    return path_of(url).rstrip("/").rpartition("/")[0]
