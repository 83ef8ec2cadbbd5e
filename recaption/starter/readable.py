"""What of a place can be read, where the first thing that is tried cannot."""

from __future__ import annotations

from collections.abc import Iterator

from recaption.config import RecipeError, SourceConfig
from recaption.parquet import DamagedFile, PlainFile
from recaption.sources.parquet_columns import image_columns
from recaption.starter.look import Look, look_at


def first_readable(source: SourceConfig) -> tuple[SourceConfig, Look]:
    """Look at a source, and return it so that its images can be read.

    Parquet with several columns of images gets the first of them named; where Parquet holds none
    but lies beside images, as lists of them and the corpora of earlier runs do, the images are
    meant. Raises RecipeError or StorageError.
    """
    look = look_at(source)
    if look.samples or not look.fault:
        return source, look
    for other in _others(source, look) if look.kind == "parquet" else ():
        try:
            found = look_at(other)
        except RecipeError:
            continue
        if found.samples:
            return other, found
    raise RecipeError(look.fault)


def _others(source: SourceConfig, look: Look) -> Iterator[SourceConfig]:
    try:
        with PlainFile.open(look.shards[0].url) as file:
            columns = image_columns(file.schema)
    except DamagedFile:
        columns = []
    for column in columns[:1]:
        yield source.model_copy(update={"image_column": column})
    yield source.model_copy(update={"kind": "folder"})
