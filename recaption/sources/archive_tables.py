"""The tables in an archive of images: each names files by their paths in it."""

from __future__ import annotations

from recaption.notices import note
from recaption.sample import Shard
from recaption.sources.base import extension_of
from recaption.sources.metadata import Metadata, Placed, open_table
from recaption.sources.table_names import name_of
from recaption.sources.table_rows import TABLE_LIMIT, is_table

_MOST_TABLES = 64  # of an archive
_HELD_LIMIT = TABLE_LIMIT  # bytes of all of them


def is_archived_table(name: str) -> bool:
    """Say whether a member is a table; a `.json` may as well be a sample's own, so it is none."""
    return is_table(name) and extension_of(name) != "json"


class ArchiveTables:
    """Gives the images of an archive their rows."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._metadata = Metadata(())
        self._count = self._bytes = 0

    def __bool__(self) -> bool:
        """Whether there is a table: then images that are not wanted are asked for, too.

        Which row an image has may depend on which images came before it.
        """
        return bool(self._metadata)

    def takes(self, name: str, size: int) -> bool:
        """Say whether there is room for a table of this size; note it where there is none."""
        self._count, self._bytes = self._count + 1, self._bytes + size
        if size <= TABLE_LIMIT and self._bytes <= _HELD_LIMIT and self._count <= _MOST_TABLES:
            return True
        note(
            "tables that cannot be read", f"{self._shard.name}/{name}: too many, or {size:,} bytes"
        )
        return False

    def add(self, name: str, raw: bytes) -> None:
        """Take in a table. Raises ValueError where a large one's index cannot be made."""
        folder = name_of(name).parts[:-1]
        table = open_table(f"{self._shard.name}/{name}", raw, [self._shard.url])
        self._metadata.add(Placed(folder, table))

    def fields(self, name: str) -> dict[str, object]:
        """Return the columns of the rows of a member."""
        return self._metadata.fields(name)

    def finish(self, samples: int) -> None:
        """Note the rows that name no image, if all of the archive's samples were asked for."""
        if self._metadata.asked == samples:
            self._metadata.finish_all()


def note_late(shard: Shard, name: str) -> None:
    """Note a table in a tar that comes behind images, which were read without it."""
    note(
        "tables in a tar behind its images, which get no rows: put them first",
        f"{shard.name}/{name}",
    )
