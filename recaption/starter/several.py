"""Parquet files with several columns of images: the first is proposed."""

from __future__ import annotations

from recaption.config import RecipeError, SourceConfig
from recaption.parquet import DamagedFile, PlainFile
from recaption.sources.parquet_columns import image_columns
from recaption.starter.look import Look


def name_image_column(source: SourceConfig, look: Look) -> SourceConfig:
    """Return the source with its first column of images named. Raises RecipeError where none is."""
    columns: list[str] = []
    if look.kind == "parquet":
        try:
            with PlainFile.open(look.shards[0].url) as file:
                columns = image_columns(file.schema)
        except DamagedFile as e:
            raise RecipeError(look.fault) from e
    if not columns:
        raise RecipeError(look.fault)
    return source.model_copy(update={"image_column": columns[0]})
