"""From texts to tokens; picklable, and without torch where the tokens are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np

_MOST_LETTERS = 64
"""Letters of a text that are looked at, for each token it may have: some have megabytes."""


@dataclass(frozen=True, slots=True)
class TextTokenizer:
    """A tokenizer of transformers by name or path; '' is that of the built-in captioner.

    It is pickled as its name and read where it is first used, once per process.
    """

    name: str
    length: int

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens (n, length), int32, and a mask (n, length), true where one is."""
        token = np.full((len(texts), self.length), self.padding, dtype=np.int32)
        mask = np.zeros((len(texts), self.length), dtype=bool)
        rows = [i for i, text in enumerate(texts) if text.strip()]
        if rows:
            found = _load(self.name)(
                [texts[i][: _MOST_LETTERS * self.length] for i in rows],
                truncation=True,
                max_length=self.length,
            )["input_ids"]
            for i, ids in zip(rows, found, strict=True):
                token[i, : len(ids)] = ids
                mask[i, : len(ids)] = True
        return token, mask

    @property
    def vocabulary(self) -> int:
        """One more than the largest token."""
        return len(_load(self.name))

    @property
    def padding(self) -> int:
        """The token that stands where none is."""
        tokenizer = _load(self.name)
        known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
        return next((token for token in known if token is not None), 0)


@lru_cache(maxsize=8)
def _load(name: str) -> Any:
    from transformers import AutoTokenizer

    if name:
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    with as_file(files("recaption.shapeworld.captioner") / "checkpoint") as folder:
        return AutoTokenizer.from_pretrained(str(folder))
