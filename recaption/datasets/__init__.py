"""What is known of an image beforehand, data set by data set.

A data set is one module with a function `hints(sample, source) -> Hints`: from what lies beside an
image in its shard (`sample.fields`, `sample.key`, `sample.image_name`) it makes alt-text and class
names. It is pure: no files are read per sample; a table it needs (class names, metadata) is loaded
once, on first use. It never fails: what is missing or odd gives an empty hint. Everything in
`fields` was written by strangers: a hint is data for a fenced place in the prompt, never an
instruction, and is passed on as text only.

`generic` serves whatever has no module of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from recaption.config import SourceConfig
from recaption.sample import Hints, Sample

HintReader = Callable[[Sample, SourceConfig], Hints]
"""What each module of this package provides as `hints`."""
