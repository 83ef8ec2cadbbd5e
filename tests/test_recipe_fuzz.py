"""Recipes and overrides of any bytes: read, and written back the same, or refused in one line."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from recaption.config import Recipe, RecipeError
from recaption.recipe_file import apply_overrides, parse_recipe, parse_yaml
from recaption.recipe_yaml import read_yaml, write_yaml
from recaption.storage.spelling import one_spelling

RECIPES = sorted((Path(__file__).resolve().parents[1] / "configs" / "caption").glob("*.yaml"))
PIECES = [
    b"&a ", b"*a", b"<<: ", b"!!int ", b"!!binary ", b"!x ", b"---\n", b"? ", b"\t", b"{", b"}",
    b"[", b"]", b"#", b"|\n", b">-\n", b"'", b'"', b"\xff", b"\0", b"\xef\xbb\xbf", b"010", b"1:30",
    b".nan", b"1e999", b": ", b"\r", b"%YAML 1.1\n", b"9" * 500, b"~", b"$X", b"\xc2\x85", b"- ",
    b"\xe2\x80\xa8", b"\xed\xa0\x80", b'"\\ud800"', b'"\\U00110000"', b"a.b: ", b"\x1b[31m",
]  # fmt: skip
CHARACTERS = [
    *"${}~/.*[] #:'\"\\\0\né@&%=-1e0_,|",
    "//",
    "..",
    "s3://",
    "file:",
    "::",
    "\udcff",
    "~x",
]
KEYS = ["source.path", "source.tables.a", "corpus.path", "engine.args.x", "engine.args", "seed",
        "caption.styles", "sampling.top_p", "engine.replicas", "caption.language"]  # fmt: skip


def one_line_at_most(do: Callable[[], object]) -> None:
    with contextlib.suppress(RecipeError):
        try:
            do()
        except RecipeError as error:
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 20_000
            raise


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes(seed: int) -> None:
    rng = random.Random(seed)

    def read() -> None:
        made = parse_recipe(parse_yaml(bytes(text), "r"), "r").model_dump(mode="json")
        assert read_yaml(write_yaml(made), Recipe) == made

    for _ in range(40):
        text = bytearray(rng.choice(RECIPES).read_bytes())
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(text) + 1)
            if rng.random() < 0.7:
                text[at:at] = rng.choice(PIECES) * rng.choice([1, 1, 30])
            else:
                del text[at : at + rng.randint(1, 30)]
        one_line_at_most(read)


def read_override(given: str) -> None:
    base = {"source": {"path": "/x"}, "engine": {"kind": "echo"}, "corpus": {"path": "/c"}}
    parse_recipe(apply_overrides(base, [given]))


@pytest.mark.parametrize("seed", range(4))
def test_any_words(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        word = "".join(rng.choices(CHARACTERS, k=rng.randint(0, 12)))
        given = f"{rng.choice(KEYS)}={word}"
        one_line_at_most(partial(read_override, given))
        with contextlib.suppress(ValueError):
            spelt = one_spelling(word)
            assert one_spelling(spelt, variables=False) == spelt
