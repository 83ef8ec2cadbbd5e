"""Keyed randomness: crops, seeds and choices of finished corpora hang on these exact values."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from recaption import keyed

KNOWN = [
    ((), "0e5751c026e543b2", 15768196490981, 0.056019887363523146),
    (("ab", "c"), "aa88ddef2b914afd", 187504815713169, 0.6661509236251436),
    (("a", "bc"), "c9d43d491bad2e2b", 221913398451117, 0.7883947661863898),
    ((1, "1", b"1"), "911f29a8fdd9e86a", 159563028954585, 0.5668817555977977),
    ((None,), "e943d7161ff77ea7", 256477580632055, 0.9111914090171619),
    ((1.5,), "e8f3f24c1944dce8", 256134439770436, 0.909972327784334),
    (("ü", "\ud800"), "5dbd9241efd9f7f5", 103068783996889, 0.36617387876308505),
]
"""Values that must never change, with any version of Python or of this package."""


@pytest.mark.parametrize(("key", "hexed", "number", "share"), KNOWN)
def test_values_never_change(
    key: tuple[object, ...], hexed: str, number: int, share: float
) -> None:
    assert keyed.hexdigest(*key) == hexed
    assert keyed.integer(*key, bits=48) == number
    assert keyed.uniform(*key) == share


def test_another_process_with_another_hash_seed_agrees() -> None:
    """Ray workers each have their own PYTHONHASHSEED: hash() would give each its own world."""
    code = "from recaption import keyed; print(keyed.hexdigest('ab', 'c'), keyed.uniform(1, '1'))"
    command, seeds = [sys.executable, "-c", code], ("0", "1")
    runs = [subprocess.run(command, env={"PYTHONHASHSEED": s}, capture_output=True) for s in seeds]
    expected = f"{keyed.hexdigest('ab', 'c')} {keyed.uniform(1, '1')}"
    assert [run.stdout.decode().strip() for run in runs] == [expected, expected]


def test_where_a_part_ends_matters() -> None:
    keys = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c")]
    assert len({keyed.digest(*key) for key in keys}) == len(keys)


def test_the_type_of_a_part_matters() -> None:
    """Seed 1 and the sample id "1" are different things, and so is the absence of one."""
    keys = [(1,), ("1",), (b"1",), (1.0,), (True,), (None,), ("None",), (), ((1,),)]
    assert len({keyed.digest(*key) for key in keys}) == len(keys)


def test_a_part_cannot_pretend_to_be_two() -> None:
    """A hostile sample id that spells the framing of two parts is still one."""
    assert keyed.digest("a", "b") != keyed.digest("astr:1:b")
    assert keyed.digest("a", "b") != keyed.digest("str:1:astr:1:b")


def test_integers_fill_their_bits_and_no_more() -> None:
    for bits in (1, 8, 48, 63, 256):
        values = [keyed.integer("bits", i, bits=bits) for i in range(400)]
        assert min(values) >= 0 and max(values) < 2**bits
        assert max(values) >= 2 ** (bits - 1), "the highest bit is never set"
    with pytest.raises(AssertionError):
        keyed.integer("bits", bits=257)


def test_uniform_is_uniform_and_below_one() -> None:
    n, bins = 20_000, 20
    values = [keyed.uniform("uniform", i) for i in range(n)]
    assert min(values) >= 0 and max(values) < 1
    counts = Counter(int(value * bins) for value in values)
    chi2 = sum((counts[b] - n / bins) ** 2 / (n / bins) for b in range(bins))
    assert chi2 < 44, "chi-square with 19 degrees of freedom: 44 is passed once in a thousand"


def test_neighbouring_keys_are_not_alike() -> None:
    """Epochs 1, 2, 3 of a sample must not give crops that drift."""
    pairs = [(keyed.uniform("epoch", i), keyed.uniform("epoch", i + 1)) for i in range(5000)]
    mean = sum((a - 0.5) * (b - 0.5) for a, b in pairs) / len(pairs)
    assert abs(mean * 12) < 0.05, "correlation of neighbours"


def test_hexdigest_has_the_length_asked_for() -> None:
    assert keyed.hexdigest("a", length=64) == keyed.digest("a").hex()
    assert keyed.hexdigest("a", length=64).startswith(keyed.hexdigest("a"))
