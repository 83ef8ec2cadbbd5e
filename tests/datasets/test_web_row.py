"""What a row of web metadata says, under whatever names its collection gives its columns."""

from __future__ import annotations

from typing import Any

import pytest

from recaption.datasets.web_row import WebRow

A = "http://example.org/a.jpg"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, WebRow()),
        ({"URL": f" {A} "}, WebRow({"url": A})),
        ({"url": "ftp://x"}, WebRow()),
        ({"url.txt": A}, WebRow({"url": A})),
        ({"Key": 17, "uid": " u "}, WebRow({"key": "17", "uid": "u"})),
        ({"SHA256": "AB"}, WebRow({"sha256": "ab"})),
        ({"id": float("inf"), "text": float("nan"), "hash": False}, WebRow()),
        ({"TEXT": " a\n cat\0 ", "similarity": "0.3"}, WebRow({}, "a cat", "similarity", 0.3)),
        ({"similarity": float("nan"), "text": 3}, WebRow()),
        ({"similarity": 1, "clip_similarity_vitl14": 0}, WebRow({}, "", "clip_similarity_vitl14")),
        ({"license": "CC BY", "license_url": "u"}, WebRow(licence="CC BY (u)")),
        ({"LICENSE": "?"}, WebRow()),
        ({"NSFW": "unlikely", "punsafe": 0.4}, WebRow()),
        ({"nsfw": 0.9}, WebRow()),
    ],
)  # fmt: skip
def test_rows(fields: dict[str, Any], expected: WebRow) -> None:
    row = WebRow.of(fields)
    assert row == expected
    assert WebRow.from_json(row.to_json()) == row
