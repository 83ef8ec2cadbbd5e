"""A Lance table: a row an image, the image as bytes, read at random without a scan."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

import pyarrow as pa

from recaption import storage
from recaption.config import RecipeError
from recaption.corpus.export.tables import LANCE, table_of
from recaption.corpus.export.walk import Walk
from recaption.storage.shown import text_without_secrets
from recaption.text import printable

_FILE_BYTES = 2**30
_MARK = next(iter(LANCE.metadata))


def export_lance(walk: Walk, out: str) -> None:
    """Write a Lance table; one that an earlier export wrote is replaced in one step."""
    lance, options = _library(), _options()
    is_there = storage.exists(out) and next(iter(storage.list_names(out)), None) is not None
    if is_there:
        _check_is_ours(lance, out, options)
    errors: list[Exception] = []
    batches = _batches(walk, errors)
    first = next(batches, None)
    if first is None:
        if errors:
            raise errors[0]
        return
    reader = pa.RecordBatchReader.from_batches(LANCE, chain([first], batches))
    try:
        table = lance.write_dataset(
            reader,
            out,
            mode="overwrite" if is_there else "create",
            max_bytes_per_file=_FILE_BYTES,
            storage_options=options,
        )
        if is_there:
            table.cleanup_old_versions(older_than=timedelta(0), delete_unverified=False)
    except (OSError, ValueError, RuntimeError) as e:
        raise errors[0] if errors else _explained(out, e) from e


def _batches(walk: Walk, errors: list[Exception]) -> Iterator[pa.RecordBatch]:
    """Yield the rows; what fails here would reach Lance as a text, so it is kept."""
    try:
        for _, images in walk.parts():
            if images:
                yield from table_of(images, LANCE).to_batches()
    except Exception as e:
        errors.append(e)
        raise


def _check_is_ours(lance: Any, out: str, options: dict[str, str] | None) -> None:
    try:
        metadata = lance.dataset(out, storage_options=options).schema.metadata or {}
    except (OSError, ValueError):
        metadata = {}
    if _MARK not in metadata:
        raise RecipeError(
            f"{out}: holds something that is no export to lance; give an empty folder or a new one"
        )


def _options() -> dict[str, str] | None:
    """Return what Lance does not take from the environment by itself, as S3 clients do."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    if not endpoint:
        return None
    return {"aws_endpoint": endpoint, "allow_http": str(endpoint.startswith("http://")).lower()}


def _explained(out: str, error: Exception) -> storage.StorageError:
    return storage.StorageError(
        f"could not write {out}: Lance said: {text_without_secrets(printable(str(error)))[:300]}"
    )


def _library() -> Any:
    try:
        import lance
    except ImportError as e:
        raise RecipeError(
            "--to lance needs the library of Lance, which is not installed: pip install"
            " 'recaption[lance]' (or pylance)"
        ) from e
    return lance
