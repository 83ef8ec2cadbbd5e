"""Names and ids: safe wherever they are written, and never two things under one."""

from __future__ import annotations

import random
import re
from urllib.parse import unquote

import pytest

from recaption.sources import ids
from recaption.sources.ids import SeenKeys, quote_key, quote_shard, sample_id


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("00000.tar", "00000.tar"),
        ("train/part-0_1.tar.gz", "train/part-0_1.tar.gz"),
        ("a b/ü.tar", "a%20b/%C3%BC.tar"),
        ("../x.tar", "%2E./x.tar"),
        ("./a//b.tar", "a/b.tar"),
        (".hidden/_private/~x.tar", "%2Ehidden/%5Fprivate/%7Ex.tar"),
        ("key=1,2+3@4:5#6?7*.parquet", "key%3D1%2C2%2B3%404%3A5%236%3F7%2A.parquet"),
        ("100%.tar", "100%25.tar"),
        ("a\\b\nc.tar", "a%5Cb%0Ac.tar"),
        ("caf\udce9.tar", "caf%ED%B3%A9.tar"),
    ],
)
def test_shard_names_are_safe_everywhere(path: str, name: str) -> None:
    assert quote_shard(path) == name
    assert re.fullmatch(r"[A-Za-z0-9._/%-]+", name)


def test_long_names_are_cut_and_stay_apart() -> None:
    names = {quote_shard(f"x/{'猫' * 80}{i}.tar.gz") for i in range(10)}
    assert len(names) == 10
    assert all(len(name) < 180 and name.endswith(".tar.gz") for name in names)
    keys = {quote_key("k" * 5000 + str(i)) for i in range(10)}
    assert len(keys) == 10
    assert all(len(key) <= 512 for key in keys)


@pytest.mark.parametrize(
    ("shard", "key", "expected"),
    [
        ("00000.tar", "000000012", "00000/000000012"),
        ("a/00.tar.gz", "k", "a/00/k"),
        ("p.parquet", "12", "p/12"),
        ("photos", "cat.jpg", "photos/cat.jpg"),
        ("a.tar", "b/c", "a.tar/b/c"),
        ("a/b.tar", "c", "a/b/c"),
        ("a.tar", "../x", "a.tar/%2E%2E/x"),
        ("a.tar", "..", "a/%2E%2E"),
        ("a.tar", "", "a/%2F"),
        ("a.tar", "//x", "a.tar/%2F/%2F/x"),
        ("a.tar", "x#1", "a/x%231"),
        ("a.tar", "naïve 猫", "a/naïve 猫"),
        ("a.tar", "a\tb\0\u2028", "a/a%09b%00%E2%80%A8"),
    ],
)
def test_sample_ids(shard: str, key: str, expected: str) -> None:
    assert sample_id(shard, key) == expected


def test_no_two_keys_have_one_id() -> None:
    rng = random.Random(0)
    keys = {"".join(rng.choices("ab/.#%2FE\\\n", k=rng.randrange(1, 7))) for _ in range(30_000)}
    assert len({quote_key(key) for key in keys}) == len(keys)
    assert all(".." not in quote_key(key).split("/") for key in keys)
    assert all(unquote(quote_key(key)) == key for key in keys if "/" not in key)


def test_seen_keys_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_HELD", 100)
    seen = SeenKeys()
    keys = [f"{i:09d}" for i in range(3000)]
    assert all(seen.add(key) for key in keys)
    assert not any(seen.add(key) for key in keys)
    assert seen.add("new")
    assert not seen.add("new")
