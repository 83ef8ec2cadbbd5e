"""A corpus turned into a training-ready set: WebDataset, Parquet or JSON lines."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from recaption import storage
from recaption.config import RecipeError, nearest
from recaption.corpus.export.jsonl import export_jsonl
from recaption.corpus.export.with_images import export_parquet, export_webdataset
from recaption.corpus.manifest import read_recipe
from recaption.corpus.origin import source_of
from recaption.corpus.reader import CorpusReader
from recaption.output import STDOUT, file_to_write, spell
from recaption.storage.paths import TEMPORARY_SUFFIX

__all__ = ["FORMATS", "export_jsonl", "export_parquet", "export_webdataset", "run_export"]

FORMATS = ("webdataset", "parquet", "jsonl")
_TELL_EVERY = 50  # parts


def run_export(
    reader: CorpusReader, to: str, out: str, source_path: str, console: Console
) -> tuple[int, str]:
    """Export a corpus in one of FORMATS; return how many of what were written.

    Where there is nothing to write, nothing is: readers choke on empty files. Raises RecipeError or
    StorageError.
    """
    if to not in FORMATS:
        raise RecipeError(f"--to: expected {', '.join(FORMATS)}, got {to!r}{nearest(to, FORMATS)}")
    tick = _ticker(console)
    if to == "jsonl":
        return _write_jsonl(reader, out, tick), "captions"
    if out == STDOUT:
        raise RecipeError(f"--out -: {to} is a folder of files; jsonl goes to stdout")
    place = spell(source_path, "--source") if source_path else ""
    made_by = read_recipe(reader.corpus, reader.fingerprint)
    source = source_of(reader.corpus, made_by.source, place)
    write = export_webdataset if to == "webdataset" else export_parquet
    return write(reader, source, spell(out, "--out"), tick), "images"


def _write_jsonl(reader: CorpusReader, out: str, tick: Callable[[int], None]) -> int:
    path = file_to_write(out, "an export to jsonl", lambda head: head.startswith(b'{"dataset": '))
    if path == STDOUT:
        return export_jsonl(reader, sys.stdout.buffer, tick)
    if not storage.is_remote(path):
        return _write_local_jsonl(reader, Path(path), tick)
    with tempfile.TemporaryFile() as file:
        written = export_jsonl(reader, file, tick)
        file.seek(0)
        if written:
            storage.write_bytes(path, file.read())
    return written


def _write_local_jsonl(reader: CorpusReader, path: Path, tick: Callable[[int], None]) -> int:
    """Write beside the target and rename, so that half an export never has its name."""
    beside = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            written = export_jsonl(reader, file, tick)
        if written:
            beside.replace(path)
    except OSError as e:
        raise storage.explain(e, str(path), "write") from e
    finally:
        with suppress(OSError):
            beside.unlink()
    return written


def _ticker(console: Console) -> Callable[[int], None]:
    done = [0, 0]

    def tick(rows: int) -> None:
        done[0] += 1
        done[1] += rows
        if done[0] % _TELL_EVERY == 0:
            console.print(f"{done[0]:,} parts, {done[1]:,} rows")

    return tick
