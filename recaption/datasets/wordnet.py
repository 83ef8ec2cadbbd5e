"""What the classes of ImageNet are called: all words of a synset, and what sets it apart.

A word alone will not do: 1,444 first words of ImageNet-21K belong to several synsets, so that the
crane by the river and the one on the building site would get one name. timm brings words and
glosses of all synsets that ImageNet has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from recaption.config import RecipeError
from recaption.datasets import Table, Tables
from recaption.text import decode_text, lines_of, printable

LEMMAS = Table("lemmas", "lines `wnid TAB words` (default: timm's imagenet_synset_to_lemma.txt)")
GLOSSES = Table("definitions", "lines `wnid TAB gloss`, with lemmas (default: timm's)")

_WNID = re.compile(r"n\d{8}")


def load_names(tables: Tables) -> dict[str, str]:
    """Return the name of each synset by wnid, no two alike. Raises RecipeError."""
    given = [table.name for table in (LEMMAS, GLOSSES) if table.name in tables]
    if len(given) == 1:
        raise RecipeError(
            f"source.tables: got {given[0]} alone, expected {LEMMAS.name} and {GLOSSES.name}:"
            " words without glosses are ambiguous"
        )
    if given:
        lemmas, glosses = (_parse(tables, name) for name in given)
    else:
        lemmas, glosses = (_read(f"imagenet_synset_to_{n}.txt") for n in ("lemma", "definition"))
    return name_all(lemmas, glosses)


def load_classes(file: str) -> tuple[str, ...]:
    """Return the wnids of one of timm's lists, such as `imagenet_synsets.txt`, sorted."""
    return tuple(sorted((_folder() / file).read_text("utf-8").split()))


def name_all(lemmas: Mapping[str, str], glosses: Mapping[str, str]) -> dict[str, str]:
    """Return `words (gloss)` by wnid; what is told by neither has its WordNet number behind."""
    names = {wnid: _name(words, glosses.get(wnid, "")) for wnid, words in lemmas.items()}
    times = Counter(name.casefold() for name in names.values())
    return {
        wnid: name if glosses.get(wnid) and times[name.casefold()] == 1 else _number(name, wnid)
        for wnid, name in names.items()
    }


def _name(words: str, gloss: str) -> str:
    return f"{words} ({gloss})" if gloss else words


def _number(name: str, wnid: str) -> str:
    return f"{name} (WordNet {wnid})"


def _read(file: str) -> dict[str, str]:
    lines = (_folder() / file).read_text("utf-8").splitlines()
    return {wnid: text for wnid, _, text in (line.partition("\t") for line in lines)}


def _folder() -> Path:
    """Return timm's folder of class lists. timm itself is not imported: it would import torch."""
    spec = find_spec("timm")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place, "data", "_info")
        if (folder / "imagenet_synset_to_definition.txt").is_file():
            return folder
    got = "a timm without its class lists" if spec else "no package timm"
    raise RecipeError(
        f"source.adapter=imagenet: got {got}, expected timm 1.0 for the names of the classes:"
        f" pip install timm, or give source.tables.{LEMMAS.name} and {GLOSSES.name}"
    )


def _parse(tables: Tables, name: str) -> dict[str, str]:
    """Return the texts of a table by wnid. Raises RecipeError."""
    texts: dict[str, str] = {}
    for number, line in enumerate(lines_of(decode_text(tables.bytes_of(name))), 1):
        wnid, _, text = line.partition("\t")
        text = printable(text.replace("_", " "))
        if not _WNID.fullmatch(wnid) or not text:
            raise tables.fail(name, f"{line[:80]!r} in line {number}", "n01440764 TAB its text")
        texts[wnid] = text
    return texts
