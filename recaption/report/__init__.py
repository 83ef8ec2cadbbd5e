"""The report: one HTML page about a corpus, which opens with no network.

    write_report("s3://bucket/corpus", "report.html", samples=60)

A gallery of images beside their captions, distributions, rejects with examples. What it shows is a
keyed random choice: the same corpus and seed give the same page.
"""

from __future__ import annotations

from pathlib import Path

from recaption import storage

__all__ = ["write_report"]

_NAME = "report.html"


def write_report(
    corpus: str, out: str = "", samples: int = 60, version: str = "", seed: int = 0
) -> str:
    """Write the page about a corpus; return its path or URL.

    `out` is a file or a folder, by default report.html in the corpus, or here where the corpus is
    remote. `samples` images are shown; `version` is a fingerprint or the start of one, needed
    where the corpus has several; another `seed` shows others. Raises RecipeError where there is
    no such corpus or version, StorageError where it cannot be read or the page not be written.
    """
    from recaption.report.gather import gather
    from recaption.report.page import render

    path = _path(corpus, out)
    page = render(gather(corpus, max(0, samples), version, seed))
    storage.write_bytes(path, page.encode("utf-8", "replace"))
    return path


def _path(corpus: str, out: str) -> str:
    if not out:
        return _NAME if storage.is_remote(corpus) else storage.join(corpus, _NAME)
    is_folder = out.endswith("/") or (not storage.is_remote(out) and Path(out).is_dir())
    return storage.join(out, _NAME) if is_folder else out
