"""Randomness as a pure function of a key, so that nothing depends on order or on who asks."""

from __future__ import annotations

import hashlib


def digest(*key: object) -> bytes:
    """Return 32 bytes that depend on the key parts and on nothing else.

    Parts are written with their length in front, so that ("ab", "c") and ("a", "bc") differ.
    """
    h = hashlib.blake2b(digest_size=32)
    for part in key:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        h.update(f"{type(part).__name__}:{len(raw)}:".encode())
        h.update(raw)
    return h.digest()


def integer(*key: object, bits: int = 63) -> int:
    """Return a uniform integer in [0, 2**bits)."""
    assert 0 < bits <= 256, bits
    return int.from_bytes(digest(*key), "big") >> (256 - bits)


def uniform(*key: object) -> float:
    """Return a uniform float in [0, 1)."""
    return integer(*key, bits=53) / 2.0**53


def hexdigest(*key: object, length: int = 16) -> str:
    """Return the first `length` hex digits (at most 64) of the key's digest."""
    return digest(*key).hex()[:length]
