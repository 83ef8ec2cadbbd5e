"""Names of shards and ids of samples: unique, safe in paths and urls, and readable.

A shard's name is its path below the source's root, percent-quoted; it keeps its extension. A
sample's id is `<shard name without .tar, .parquet, ...>/<key>`; where the key itself holds a
slash, the shard's extension stays, so that `a.tar` with `b/c` and `a/b.tar` with `c` differ.
What comes again in a shard gets `#<ordinal>` behind it, which no quoted key contains.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

import numpy as np

from recaption import keyed

SHARD_SUFFIXES = {
    ".tar": "webdataset",
    ".tar.gz": "webdataset",
    ".tgz": "webdataset",
    ".parquet": "parquet",
    ".zip": "zip",
}
"""The kind of shard that a file's ending tells."""

_HELD = 65_536  # hashes of keys in a set, which is fast; more go into an array, which is small
_LONGEST_PART = 160  # of a name, in bytes: file systems allow 255, the corpus adds to it
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f%#\\\ud800-\udfff\u2028\u2029]")
_DOTS = {"": "%2F", ".": "%2E", "..": "%2E%2E"}  # "": between two slashes
_LONGEST_KEY = 512  # characters; a name in a tar may have a million


def shard_suffix(path: str) -> str:
    """Return which of SHARD_SUFFIXES the path ends with, in lower case, or ""."""
    lower = path.lower()
    return next((suffix for suffix in SHARD_SUFFIXES if lower.endswith(suffix)), "")


def stem_of(shard: str) -> str:
    """Return the shard's name without its extension."""
    return shard[: len(shard) - len(shard_suffix(shard))]


def quote_shard(path: str) -> str:
    """Return a relative path as a shard's name: ASCII letters, digits, `.`, `_`, `-`, `/`, `%XX`.

    A leading dot or underscore of a part is quoted too: readers of Parquet folders skip those.
    """
    return "/".join(_quote_part(part) for part in path.split("/") if part not in ("", "."))


def _quote_part(part: str) -> str:
    safe = quote(part, safe="", errors="surrogatepass").replace("~", "%7E")
    if safe[0] in "._":
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe) <= _LONGEST_PART:
        return safe
    suffix = shard_suffix(part)
    start = re.sub(r"%.?$", "", safe[:112])
    return f"{start}-{keyed.hexdigest('shard', part)}{suffix}"


def quote_key(key: str) -> str:
    """Return a shard's own name for a sample as part of an id: no control characters, no `..`.

    Percent-quoting, so that two keys never get the same id.
    """
    if key.isalnum() and key.isascii():
        safe = key
    else:
        safe = _ODD.sub(lambda odd: quote(odd[0], safe="", errors="surrogatepass"), key)
        if "/" in safe or safe in _DOTS:
            safe = "/".join(_DOTS.get(part, part) for part in safe.split("/"))
    if len(safe) > _LONGEST_KEY:
        return f"{safe[: _LONGEST_KEY - 17]}-{keyed.hexdigest('key', key)}"
    return safe


def sample_id(shard: str, key: str) -> str:
    """Return the id of the sample with that key in the shard: unique in the data set."""
    return f"{shard if '/' in key else stem_of(shard)}/{quote_key(key)}"


class SeenKeys:
    """Remembers keys by 8-byte hashes, about 14 bytes each where there are many.

    A false alarm needs two keys with one hash: a chance of 3e-6 among ten million keys.
    """

    def __init__(self) -> None:
        self._new: set[bytes] = set()
        self._sorted = np.empty(0, np.uint64)

    def add(self, key: str) -> bool:
        """Remember the key; say whether it is new."""
        raw = key.encode("utf-8", "surrogatepass")
        hashed = hashlib.blake2b(raw, digest_size=8).digest()
        if hashed in self._new or self._is_sorted_in(hashed):
            return False
        self._new.add(hashed)
        if len(self._new) > max(_HELD, len(self._sorted) // 16):
            self._merge()
        return True

    def _is_sorted_in(self, hashed: bytes) -> bool:
        if not len(self._sorted):
            return False
        number = np.frombuffer(hashed, np.uint64)[0]
        at = int(self._sorted.searchsorted(number))
        return at < len(self._sorted) and bool(self._sorted[at] == number)

    def _merge(self) -> None:
        new = np.frombuffer(b"".join(self._new), np.uint64)
        self._sorted = np.sort(np.concatenate((self._sorted, new)))
        self._new = set()
