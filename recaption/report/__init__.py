"""The report: one HTML page about a corpus, which opens with no network.

    write_report("s3://bucket/corpus", "report.html", samples=60)

Images beside their captions, rejects with examples, distributions, runs. What it shows is a keyed
random choice: the same corpus and seed give the same page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recaption import storage
from recaption.output import STDOUT, file_to_write
from recaption.storage.paths import local_path
from recaption.text import without_controls

if TYPE_CHECKING:
    from recaption.report.truth import Truth

__all__ = ["write_report"]

_NAME = "report.html"


def write_report(
    corpus: str,
    out: str = "",
    samples: int = 60,
    version: str = "",
    seed: int = 0,
    source: str = "",
    truth: Truth | None = None,
) -> str:
    """Write the page about a corpus; return its path or URL.

    `out` is a file, a folder or `-` for stdout, by default report.html in the corpus, or here where
    the corpus is remote. `samples` images are shown; `version` is a fingerprint or the start of
    one, needed where the corpus has several; another `seed` shows others. `source` is where the
    images are, needed where they are neither on this disk nor in the corpus's bucket: a corpus may
    be a stranger's, and is not taken at its word (`recaption.corpus.origin`). `truth` is what is
    known of the images: with it the page tells which captions are true. Raises RecipeError where
    there is no such corpus or version, StorageError where it cannot be read or the page not be
    written.
    """
    from recaption.corpus.damage import whole
    from recaption.report.gather import gather
    from recaption.report.page import render

    path = file_to_write(_path(corpus, out), "a report", _is_report)
    with whole(corpus):
        text = render(gather(corpus, max(0, samples), version, seed, source, truth))
    page = without_controls(text).encode("utf-8", "replace")
    if path == STDOUT:
        sys.stdout.buffer.write(page)
    else:
        storage.write_bytes(path, page)
    return path


def _is_report(head: bytes) -> bool:
    return head.lower().lstrip().startswith(b"<!doctype html") and b"caption report" in head


def _path(corpus: str, out: str) -> str:
    if not out:
        return _NAME if storage.is_remote(corpus) else storage.join(corpus, _NAME)
    is_folder = out.endswith("/") or (not storage.is_remote(out) and Path(local_path(out)).is_dir())
    return storage.join(out, _NAME) if is_folder else out
