"""Parts, shards and places for the tests of the corpus, made by hand: no Ray, no engine."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from recaption import storage
from recaption.corpus.export.run import Exported, Target, run_export
from recaption.corpus.export.selection import Selection
from recaption.corpus.ledger import CommitRecord
from recaption.corpus.reader import CorpusReader
from recaption.corpus.rows import Provenance
from recaption.decode import PreparedImage
from recaption.engines.base import Job as EngineJob
from recaption.engines.base import RequestFailed
from recaption.job import Job, open_job
from recaption.parts import Answer, CaptionedPart, CaptionedSample, PreparedSample
from recaption.recipe_file import apply_overrides, parse_recipe
from recaption.sample import Caption, Hints, Part, Reason, Rejection, Request, Sample, Shard
from tests.corpora import Answerer, jpeg, make_corpus, write_tar
from tests.judging import answered

PRINT = "0123456789abcdef"
BUCKET = os.environ.get("S3_TEST_BUCKET", "")
needs_s3 = pytest.mark.skipif(
    not (os.environ.get("AWS_ENDPOINT_URL") and BUCKET),
    reason="no S3 server: AWS_ENDPOINT_URL and S3_TEST_BUCKET are not set",
)


def made_by(corpus: Path | str, run_id: str = "run-1") -> Provenance:
    """Say who made a part."""
    return Provenance(
        corpus=str(corpus),
        dataset="data",
        model="echo",
        model_revision="r1",
        model_hash="m0",
        sampling='{"temperature": 0.7}',
        fingerprint=PRINT,
        run_id=run_id,
    )


def request(style: str = "short", n: int = 2, seed: int = 100, first_slot: int = 0) -> Request:
    """Ask for `n` captions of a style."""
    return Request(style, f"say {style}", f"{style}@v1", "h0", n, seed, first_slot=first_slot)


def answer(
    *texts: str, style: str = "short", seed: int = 100, n: int | None = None, first_slot: int = 0
) -> Answer:
    """Return an answer with these captions to a request for as many (or for `n`)."""
    asked = request(style, len(texts) if n is None else n, seed, first_slot)
    captions = [Caption(t, seed + i, "stop", 5, len(t.split()), -0.5) for i, t in enumerate(texts)]
    return answered(asked, captions)


def failed(rejection: Rejection, style: str = "short", n: int = 1, first_slot: int = 0) -> Answer:
    """Return the answer to a request that failed in the end."""
    return Answer(request(style, n, first_slot=first_slot), rejection=rejection, attempts=3)


def sample(
    ordinal: int,
    *answers: Answer,
    rejection: Rejection | None = None,
    hints: Hints | None = None,
    shown: Hints | None = None,
    key: str = "",
) -> CaptionedSample:
    """Return the sample number `ordinal` with what was answered about it."""
    key = key or f"key{ordinal}"
    sha256 = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    image = PreparedImage(b"", 4, 3, 8, 6, "JPEG", sha256)
    hints = hints or Hints()
    prepared = PreparedSample(
        Sample(f"a/{key}", key, ordinal, None, image_name=f"{key}.jpg"),
        hints,
        shown or hints,
        image if answers else None,
        tuple(a.request for a in answers),
        rejection,
    )
    return CaptionedSample(prepared, answers)


def part(
    *samples: CaptionedSample, shard: str = "a.tar", index: int = 0, last: bool = True
) -> CaptionedPart:
    """Return a part on its way to the corpus."""
    return CaptionedPart(
        Shard(shard, f"/data/{shard}", "webdataset", 1000),
        Part(shard, index, last),
        samples,
        engine="echo",
        engine_version="1",
        seconds=1.5,
    )


def record(part: Part, **fields: object) -> CommitRecord:
    """Return the record of a part with one captioned sample, or with what `fields` say."""
    base = CommitRecord(
        shard=part.shard,
        index=part.index,
        is_last=part.is_last,
        read=1,
        captioned=1,
        rejected=0,
        captions=1,
        rejected_captions=0,
        rejects={},
        captions_file="",
        rejects_file="",
        attempt="x",
        run_id="run-1",
        fingerprint=PRINT,
        committed_at="2026-01-01T00:00:00+00:00",
        seconds=0.0,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def files_of(corpus: Path | str) -> list[str]:
    """Return all files below a corpus, temporary ones among them."""
    return sorted(storage.list_names(str(corpus)))


def data_files(corpus: Path | str) -> list[str]:
    """Return the data files of all versions."""
    return [name for name in files_of(corpus) if name.endswith(".parquet")]


def write_photos(folder: Path, shards: int = 2, images: int = 5, size: int = 16) -> Path:
    """Write WebDataset shards of images that all differ, with alt-text; return their folder."""
    for i in range(shards):
        write_tar(folder / f"{i:05d}.tar", _members(i, images, size))
    return folder


def _members(shard: int, images: int, size: int) -> Iterable[tuple[str, bytes]]:
    for j in range(images):
        colour = f"#{(shard * 1000 + j) * 77 % 0xFFFFFF:06x}"
        yield f"{j:04d}.jpg", jpeg(colour, "blue", (size, size))
        yield f"{j:04d}.txt", f"photo {j} of shard {shard}".encode()


def caption(
    corpus: Path | str,
    shards: Path | str,
    *overrides: str,
    answer: Answerer | None = None,
    parts: int | None = None,
) -> Job:
    """Caption shards into a corpus without Ray, as `make_corpus`; the corpus may be a url."""
    return make_corpus(cast("Path", corpus), shards, *overrides, answer=answer, parts=parts)


def open_only(corpus: Path | str, shards: Path | str, *overrides: str) -> Job:
    """Make a corpus, or open it as the next run would, and caption nothing."""
    base = {
        "source": {"path": str(shards)},
        "engine": {"kind": "echo"},
        "corpus": {"path": str(corpus)},
    }
    return open_job(parse_recipe(apply_overrides(base, overrides)))


def unless(*samples: str, empty: tuple[tuple[str, str], ...] = ()) -> Answerer:
    """Answer all but these samples; for (sample, style) in `empty` with captions of no text."""

    def answer(job: EngineJob) -> list[Caption]:
        r = job.request
        if job.sample_id in samples:
            raise RequestFailed(Reason.REQUEST_FAILED, "told to fail")
        text = "" if (job.sample_id, r.style) in empty else f"{job.sample_id} {r.style}"
        return [
            Caption(text and f"{text} {r.seed + i}", r.seed + i, "stop", 1, 2, -1.0)
            for i in range(r.n)
        ]

    return answer


def export(reader: CorpusReader, to: str, out: object, *, ext: str = "", **choice: Any) -> Exported:
    """Export a corpus; `choice` is what a Selection takes."""
    console = Console(file=io.StringIO())
    return run_export(reader, Target(to, str(out), ext=ext), Selection(**choice), console)
