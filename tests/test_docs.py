"""README and docs/ against the code: links, columns, reasons, adapters and errors."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from recaption.config import SourceConfig
from recaption.corpus.schema import CAPTIONS, REJECTS
from recaption.sample import Reason

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TEXTS = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "cluster").glob("*.md"))]
CODE_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
QUOTED = re.compile(r"`([^`]+)`")


def prose(text: Path) -> str:
    return CODE_BLOCK.sub("", text.read_text())


def anchors(text: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_every_link_leads_somewhere(text: Path) -> None:
    for target in LINK.findall(prose(text)):
        if re.match(r"https?://", target):
            continue
        place, _, anchor = target.partition("#")
        page = (text.parent / place).resolve() if place else text
        assert page.exists(), f"{text.name}: {target}: no such file"
        assert not anchor or anchor in anchors(page), f"{text.name}: {target}: no such heading"


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(LINK.findall(prose(ROOT / "README.md")))
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= {
        target.partition("#")[0] for target in linked
    }


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = (DOCS / page).read_text().split(f"\n## {heading}\n", 1)[1]
    found = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert found
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in found[0].splitlines()[2:]
    ]


def names(cell: str) -> list[str]:
    return [name.split()[0] for name in QUOTED.findall(cell)]


def test_the_page_of_the_corpus_names_every_column() -> None:
    told = rows("corpus.md", "Columns of captions")
    assert [row[0].strip("`") for row in told] == CAPTIONS.names
    for row, field in zip(told, CAPTIONS, strict=True):
        assert str(field.type).startswith(row[1].replace("\\", "").split("<")[0]), row
    own = [row[0].strip("`") for row in rows("corpus.md", "Columns of rejects")]
    assert own == [name for name in REJECTS.names if name not in CAPTIONS.names]


def test_the_page_of_troubles_tells_what_to_do_about_every_reason() -> None:
    told = [name for row in rows("troubleshooting.md", "Rejects") for name in names(row[1])]
    assert sorted(told) == sorted(str(reason) for reason in Reason)


def test_the_page_of_data_sets_names_every_adapter_and_table() -> None:
    told = {names(row[0])[0]: set(names(row[2])) for row in rows("datasets.md", "Adapters")}
    adapters = get_args(SourceConfig.model_fields["adapter"].annotation)
    assert sorted(told) == sorted(adapters)
    for adapter in adapters:
        tables = import_module(f"recaption.datasets.{adapter}").TABLES
        assert told[adapter] == {table.name for table in tables}, adapter


@cache
def said() -> str:
    """The code of all that the programs may say, texts made whole that go on over several lines."""
    files = [*(ROOT / "recaption").rglob("*.py"), *(ROOT / "train").rglob("*.py")]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text() for file in files))


def quoted_errors() -> list[str]:
    page = (DOCS / "troubleshooting.md").read_text().split("## The recipe", 1)[1]
    items = re.findall(r"^- ((?:`[^`]+`(?:, )?)+)", page.replace("\n  ", " "), re.MULTILINE)
    return [error for item in items for error in QUOTED.findall(item)]


OF_OTHERS = {"Authentication required", "No available agent"}
"""What Ray says."""


@pytest.mark.parametrize("error", quoted_errors())
def test_an_error_that_is_explained_is_one_that_is_told(error: str) -> None:
    """`…` stands for what differs; what a format string says in pieces is looked for in pieces."""
    if error in OF_OTHERS:
        return
    pieces = [piece.strip(" :;,()") for piece in error.removeprefix("note: ").split("…")]
    assert any(len(piece) > 8 for piece in pieces)
    assert [piece for piece in pieces if piece not in said()] == []
