"""A corpus turned into a training-ready set: WebDataset, Parquet or JSON lines."""

from __future__ import annotations

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
from recaption.corpus.reader import CorpusReader
from recaption.storage.paths import TEMPORARY_SUFFIX, local_path

__all__ = ["FORMATS", "export_jsonl", "export_parquet", "export_webdataset", "run_export"]

FORMATS = ("webdataset", "parquet", "jsonl")
_TELL_EVERY = 50  # parts


def run_export(
    reader: CorpusReader, to: str, out: str, source_path: str, console: Console
) -> tuple[int, str]:
    """Export a corpus in one of FORMATS; return how many of what were written."""
    if to not in FORMATS:
        raise RecipeError(f"--to: expected {', '.join(FORMATS)}, got {to!r}{nearest(to, FORMATS)}")
    tick = _ticker(console)
    if to == "jsonl":
        return _write_jsonl(reader, out, tick), "captions"
    recipe = read_recipe(reader.corpus, reader.fingerprint)
    source = recipe.source
    if source_path:
        source = source.model_copy(update={"path": source_path, "root": ""})
    write = export_webdataset if to == "webdataset" else export_parquet
    return write(reader, source, out, tick), "images"


def _write_jsonl(reader: CorpusReader, out: str, tick: Callable[[int], None]) -> int:
    if not storage.is_remote(out):
        return _write_local_jsonl(reader, Path(local_path(out)), tick)
    with tempfile.TemporaryFile() as file:
        written = export_jsonl(reader, file, tick)
        file.seek(0)
        storage.write_bytes(out, file.read())
    return written


def _write_local_jsonl(reader: CorpusReader, path: Path, tick: Callable[[int], None]) -> int:
    """Write beside the target and rename, so that half an export never has its name."""
    beside = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            written = export_jsonl(reader, file, tick)
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
