"""What texts beside images say: JSON within limits, captions that are alternatives."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from recaption.notices import take_notices
from recaption.sources.fields import parse_field

PROSE = "A long description that somebody wrapped at about\neighty characters, as editors do."
ONE_TEXT = (
    "<p>A dog</p>\n<p>on grass</p>",
    "A dog &amp; a cat\nA third",
    "A dog that runs\nover the lawn",
    "a dog on grass,\na ball in its mouth",
    "What is here:\n- a dog\n- a ball",
    "Title: a dog\nAuthor: me",
    "1. a dog\n2. a ball",
)
PARAGRAPHS = "One thing.\n\nAnd another."


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "a cat on a mat\na kitten, sitting\n", "a cat on a mat"),
        ("a.TXT", "1girl, hat\r\n1girl, red hat\r\n", "1girl, hat"),
        ("a.caption", "one\rtwo", "one"),
        ("a.txt", "A cat sits there.\nIt is grey.", "A cat sits there."),
        ("a.txt", "\n one line \n", "\n one line \n"),
        ("a.txt", PROSE, PROSE),
        ("a.txt", PARAGRAPHS, PARAGRAPHS),
        *(("a.txt", text, text) for text in ONE_TEXT),
        ("a.txt", "1girl, hat,\n1girl, red hat,", "1girl, hat,"),
        ("a.txt", "A dog - brown\nA brown dog", "A dog - brown"),
        ("a.cls", "cat\ndog", "cat\ndog"),
        ("a.captions", "one\n\n two\n", ["one", "two"]),
        ("a.captions", '["one", "two\\nlines"]', ["one", "two\nlines"]),
        ("a.captions", "[photo] of a cat", ["[photo] of a cat"]),
        ("a.x.JSON", '{"captions": ["one"]}', {"captions": ["one"]}),
        ("a.json", "{broken", "{broken"),
    ],
)
def test_values(name: str, text: str, expected: object) -> None:
    assert parse_field(name, text.encode()) == expected


def test_that_lines_were_taken_for_captions_is_noted() -> None:
    take_notices()
    for name in ("a.txt", "b.txt"):
        parse_field(name, b"one\ntwo")
    (notice,) = take_notices()
    assert (notice.count, notice.example) == (2, "a.txt")


@pytest.mark.parametrize(
    "raw", [b"[" + b"{}," * 340_000 + b"{}]", b"[" * (1 << 20), b'{"":' * 250_000]
)
def test_json_that_would_be_large_in_memory_stays_text(raw: bytes) -> None:
    tracemalloc.start()
    value = parse_field("a.json", raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert value == raw.decode()
    assert peak < 4 * len(raw)
    take_notices()


def test_long_texts_in_json_are_read() -> None:
    value = {"text": "x, " * 30_000, "boxes": [[1.5, 2, 3, 4]] * 1000}
    assert parse_field("a.json", json.dumps(value).encode()) == value
