"""SA-1B: pictures without any text; of the masks beside them nothing is read.

The tars hold `./sa_ID.jpg` and `./sa_ID.json`, the latter with the masks: long, and no hint.
"""

from __future__ import annotations

import re

from recaption.config import SourceConfig
from recaption.datasets import HintReader, Table, Tables
from recaption.sample import Hints, Sample

TABLES: tuple[Table, ...] = ()
SKIPPED_FIELDS = frozenset(("json",))
"""Extensions of members that are left unread."""

_NAME = re.compile(r"sa_\d{1,12}")


def sample_id(sample: Sample) -> str:
    """Return the picture's own name, `sa_223750`; "" for a file of another make."""
    stem = sample.stem
    return stem if _NAME.fullmatch(stem) else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints, of which there are none."""
    none = Hints(source="sa1b")
    return lambda sample: none
