"""What is written beside images: which alt-text and class names the generic adapter finds there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from recaption.config import SourceConfig
from recaption.datasets.generic import hints
from recaption.sample import Sample

_TELLING = re.compile(r"caption|prompt|alt|text|title|description|comment|tags", re.IGNORECASE)
_LEAST_WORDS = 2


@dataclass(frozen=True, slots=True)
class Texts:
    """Counts of samples with alt-text and class names, and the column that is to be named.

    `column` is empty where the texts are found without; `others` are columns that hold text too.
    """

    samples: int = 0
    alt_texts: int = 0
    class_names: int = 0
    column: str = ""
    others: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


def look_for_texts(samples: Sequence[Sample], source: SourceConfig) -> Texts:
    """Return what is told of these samples; images that could not be read are left out."""
    good = [sample for sample in samples if sample.rejection is None]
    known = [hints(sample, source) for sample in good]
    texts = Texts(
        samples=len(good),
        alt_texts=sum(bool(one.alt_text) for one in known),
        class_names=sum(bool(one.class_names) for one in known),
        others=tuple(_columns_of_text(good)),
        folders=tuple(sorted({_folder(sample) for sample in good} - {""})),
    )
    telling = [name for name in texts.others if _TELLING.search(name)]
    if texts.alt_texts or not telling:
        return texts
    found = [hints(s, source.model_copy(update={"alt_text_column": telling[0]})) for s in good]
    return replace(texts, column=telling[0], alt_texts=sum(bool(one.alt_text) for one in found))


def _columns_of_text(samples: Sequence[Sample]) -> list[str]:
    """Return the columns and JSON keys that hold prose in most samples, the longest first."""
    counts: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for sample in samples:
        for name, text in _values(sample):
            counts[name] += 1
            words[name] += len(text.split())
    wanted = [
        name
        for name, count in counts.items()
        if 2 * count > len(samples) and words[name] >= _LEAST_WORDS * count
    ]
    return sorted(wanted, key=lambda name: -words[name])


def _values(sample: Sample) -> Iterator[tuple[str, str]]:
    beside = sample.fields.get("json")
    for fields in (sample.fields, beside if isinstance(beside, Mapping) else {}):
        for name, value in fields.items():
            if isinstance(value, str) and "://" not in value and value[:1] not in "{[":
                yield str(name), value


def _folder(sample: Sample) -> str:
    return sample.image_name.rpartition("/")[0].rpartition("/")[2]
