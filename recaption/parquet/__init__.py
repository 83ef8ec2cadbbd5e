"""Parquet from outside, read by what Parquet itself stores: the one door for every reader.

A Parquet file may carry Arrow's own schema beside Parquet's. What that asks for is done by the
process that reads: an extension type, at any depth, brings code of its own to the values (Ray
registers one that unpickles them). So that schema is made invisible before a value is looked at,
and what is read are Parquet's plain types: bytes, text, numbers, lists and structs of them.

`PlainFile` opens a file and yields batches, `read_table` returns a small file as one table. Both
hold the memory that a stranger's file can take within bounds, see `watch`. What pyarrow says of a
damaged file is raised as DamagedFile, in one line.
"""

from recaption.parquet.errors import DamagedFile
from recaption.parquet.file import PlainFile, read_table

__all__ = ["DamagedFile", "PlainFile", "read_table"]
