"""Names of files: how urls are put together, taken apart and matched. Touches no storage."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

LOCAL_SCHEMES = ("", "file", "local")
_OWN_SCHEMES = (*LOCAL_SCHEMES, "s3", "s3a", "http", "https")
PUBLIC_ONLY = "#only-public"
"""Behind a url that not the user named but a list: its host must be public. No server sees it."""

TEMPORARY_SUFFIX = ".recaption-tmp"

_NAME = r"[A-Za-z][A-Za-z0-9+._-]*"
_CHAINED = re.compile(f"::{_NAME}://")  # fsspec's way to name one url inside another
_SCHEME = re.compile(f"^({_NAME})(?:://|(?:::{_NAME})++://)")
_WILDCARD = re.compile(r"[*?[]")
_FILE = re.compile(r"(?:file|local):(?:///*(?=/)|//localhost(?=/)|//|(?=/))", re.IGNORECASE)


class BadUrlError(OSError):
    """A url cannot be meant; the message says what was expected, and not what was got."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file as listed.

    `size` is in bytes, None where the store does not tell. `version` changes when the content
    does: the ETag, or the time of last change in ns of a local file; "" where unknown.
    """

    url: str
    size: int | None
    version: str


def scheme_of(url: str) -> str:
    """Return the url's scheme in lower case, "" for a plain path."""
    found = _SCHEME.match(url)
    return found.group(1).lower() if found else ""


def is_remote(url: str) -> bool:
    """Say whether the url is anything but a path on this machine's file system."""
    return scheme_of(url) not in LOCAL_SCHEMES


def is_by_driver(url: str) -> bool:
    """Say whether a driver of fsspec's is asked for a url, and not a client of ours."""
    return is_chained(url) or scheme_of(url) not in _OWN_SCHEMES


def is_chained(url: str) -> bool:
    """Say whether the url names a file inside another, as in zip://a::s3://bucket/b.zip."""
    return _CHAINED.search(url) is not None


def local_path(url: str) -> str:
    """Return the file system path of a local path or file: url; a leading ~ is expanded."""
    found = _FILE.match(url)
    return url[found.end() :] if found else os.path.expanduser(url)  # noqa: PTH111


def split_bucket(url: str) -> tuple[str, str]:
    """Split s3://bucket/key into bucket and key. Raises BadUrlError."""
    bucket, _, key = url.split("://", 1)[1].partition("/")
    if not bucket:
        raise BadUrlError("expected s3://bucket/key")
    if ":" in bucket and "@" in url:
        raise BadUrlError(
            "expected s3://bucket/key; keys belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return bucket, key


def join(base: str, *names: str) -> str:
    """Return the url of `names` below `base`; they must not lead out of it.

    Raises ValueError for an absolute name or one with `..`: names often come out of shards.
    """
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"got the name {name!r}, expected one that stays below {base!r}")
    parts = [name.strip("/") for name in names if name.strip("/")]
    top = _without_end_slash(base)
    return top + "/".join(parts) if top.endswith("://") or not base else "/".join([top, *parts])


def relative(url: str, root: str) -> str:
    """Return the name of `url` below `root`, with `/`. Raises ValueError where it is elsewhere."""
    path, top = (_canonical(text) for text in (url, root))
    if path == top:
        return ""
    if not path.startswith(top + "/"):
        raise ValueError(f"got {url!r}, expected something below {root!r}")
    return path[len(top) + 1 :]


def is_temporary(name: str) -> bool:
    """Say whether a file is what a killed local write left behind: garbage, safe to delete."""
    return name.endswith(TEMPORARY_SUFFIX)


def split_pattern(pattern: str) -> tuple[str, str]:
    """Split a glob pattern behind the last / before its first wildcard; the rest is "" if none."""
    found = _WILDCARD.search(pattern)
    if found is None:
        return pattern, ""
    cut = pattern.rfind("/", 0, found.start()) + 1
    return pattern[:cut], pattern[cut:]


def literal_start(pattern: str) -> str:
    """Return what every match of the pattern begins with."""
    found = _WILDCARD.search(pattern)
    return pattern[: found.start()] if found else pattern


def matches(name: str, pattern: str) -> bool:
    """Say whether a relative name matches: `*` within one folder, `**` across, as Python's glob.

    Wildcards at the start of a part do not match a leading dot.
    """
    return _matches(name.split("/"), pattern.split("/"))


def _matches(names: list[str], patterns: list[str]) -> bool:
    if not patterns or not names:
        return not names and all(pattern == "**" for pattern in patterns)
    pattern, name = patterns[0], names[0]
    is_hidden = name.startswith(".") and not pattern.startswith(".")
    if pattern == "**":
        return _matches(names, patterns[1:]) or (not is_hidden and _matches(names[1:], patterns))
    return not is_hidden and fnmatchcase(name, pattern) and _matches(names[1:], patterns[1:])


def _canonical(url: str) -> str:
    return _without_end_slash(url if is_remote(url) else os.path.normpath(local_path(url)))


def _without_end_slash(url: str) -> str:
    return url if url.endswith("://") else url.rstrip("/")
