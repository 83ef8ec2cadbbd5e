"""Makes small corpora for the tests, without Ray: the real preparer and writer, the echo engine."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image

from recaption.answering import caption_sample
from recaption.corpus.writer import commit_part
from recaption.engines.base import CaptionEngine, EngineInfo, boot_engine
from recaption.engines.base import Job as EngineJob
from recaption.engines.driver import EngineDriver
from recaption.guard import Guard
from recaption.job import Job, open_job
from recaption.likeness import Likeness
from recaption.parts import (
    CaptionedPart,
    PreparedPart,
    Receipt,
)
from recaption.recipe_file import apply_overrides, parse_recipe
from recaption.replay import plan_replay
from recaption.sample import Caption, Reason
from recaption.summary import Tally, write_summary

Answerer = Callable[[EngineJob], list[Caption]]
"""Writes the captions of a request in place of the echo engine; may raise RequestFailed."""


_LET_THROUGH = {str(reason): "accept" for reason in Reason if reason is not Reason.EMPTY_CAPTION}
LENIENT = (f"safeguards.actions={json.dumps(_LET_THROUGH)}", "safeguards.repairs=0")
"""For tests whose captions are of one word, or of a thousand."""


def make_corpus(
    corpus: Path | str,
    shards: Path | str | list[str],
    *overrides: str,
    answer: Answerer | None = None,
    parts: int | None = None,
    limit: int | None = None,
) -> Job:
    """Caption shards (a path, a glob, a list) into a corpus; return the job that did.

    `overrides` are as on the command line (`caption.per_style=2`, `engine.args.fail_on=[id]`). Of
    captions that a test writes only empty ones are rejected, unless it sets `safeguards` itself.
    `parts` stops after that many of each shard, as a killed run would: no summary is written.
    `limit` makes a trial of it.
    """
    if answer is not None and not any(one.startswith("safeguards.") for one in overrides):
        overrides = (*overrides, *LENIENT)
    job = open_job(parse_recipe(_recipe(corpus, shards, overrides)), limit=limit)
    committed = job.ledger.committed()
    tally = Tally(parts_before=committed.count())
    for shard in job.pending(committed):
        count = job.parts_of(shard, committed)
        prepared = job.preparer.parts(shard, committed.of(shard.name), count)
        for receipt in _commit(job, prepared, answer, parts):
            tally.add(receipt)
    if parts is None:
        requests = tally.read * len(job.recipe.caption.styles)
        timeline = [(0.0, 0), (tally.seconds, requests)]
        write_summary(tally.close(job, "complete", engine_deaths=0, timeline=timeline))
    return job


def replay_corpus(
    job: Job, answer: Answerer | None = None, reasons: Iterable[Reason] = ()
) -> list[Receipt]:
    """Ask again what was rejected in a corpus, for these reasons (none given: for any)."""
    replays = plan_replay(job, job.ledger.committed(), frozenset(str(r) for r in reasons))
    return [r for one in replays for r in _commit(job, one.prepared(job.preparer), answer, None)]


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """Write a WebDataset shard of (member name, content)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, body in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return path


def jpeg(
    left: str = "red", right: str = "blue", size: tuple[int, int] = (64, 48), orientation: int = 1
) -> bytes:
    """Return a JPEG whose halves have two colours; `orientation` is its EXIF tag."""
    width, height = size
    image = Image.new("RGB", size, left)
    image.paste(Image.new("RGB", (width - width // 2, height), right), (width // 2, 0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()


def _recipe(
    corpus: Path | str, shards: Path | str | list[str], overrides: Iterable[str]
) -> dict[str, object]:
    source = shards if isinstance(shards, list) else str(shards)
    base = {
        "source": {"path": source},
        "engine": {"kind": "echo"},
        "corpus": {"path": str(corpus)},
    }
    data: dict[str, object] = apply_overrides(yaml.safe_load(yaml.safe_dump(base)), overrides)
    return data


def _commit(
    job: Job, prepared: Iterable[PreparedPart], answer: Answerer | None, parts: int | None
) -> list[Receipt]:
    receipts = []
    for part in prepared:
        receipts.append(commit_part(asyncio.run(caption_part(job, part, answer)), job.made_by))
        if parts is not None and len(receipts) >= parts:
            break
    return receipts


async def caption_part(
    job: Job, part: PreparedPart, answer: Answerer | None = None
) -> CaptionedPart:
    """Caption a part without Ray: driver, engine and safeguards are the real ones."""

    async def boot() -> CaptionEngine:
        engine = await boot_engine(job.recipe.engine, job.recipe.sampling)
        return engine if answer is None else _Scripted(engine, answer)

    driver = EngineDriver(job.recipe.engine, boot)
    likeness = Likeness.load(job.recipe.safeguards.clip)
    guard = Guard(job.recipe, job.preparer.prompts, driver.answer, likeness)
    info = await driver.start()
    samples = [await caption_sample(driver, guard, s, part.is_whole) for s in part.samples]
    await driver.close()
    return CaptionedPart(
        part.shard,
        part.part,
        tuple(samples),
        engine=info.kind,
        engine_version=info.version,
        fault=part.fault,
        retry=part.retry,
        unit=part.unit,
    )


@dataclass(frozen=True)
class _Scripted:
    """An engine whose captions the test writes."""

    engine: CaptionEngine
    write: Answerer

    @property
    def info(self) -> EngineInfo:
        return self.engine.info

    @property
    def concurrency(self) -> int:
        return self.engine.concurrency

    async def answer(self, job: EngineJob) -> list[Caption]:
        return self.write(job)

    async def close(self) -> None:
        await self.engine.close()
