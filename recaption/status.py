"""What a corpus holds now: parts, samples, captions, rejects, runs."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recaption import storage
from recaption.corpus.damage import damaged, read_json, whole
from recaption.corpus.origin import source_of
from recaption.corpus.reader import CorpusReader
from recaption.notices import Notice, describe_notices
from recaption.sources import list_shards
from recaption.summary import is_over_limit
from recaption.text import printable

if TYPE_CHECKING:
    from recaption.job import Job

LIVE = ".live.json"
_ALIVE_S = 90.0
_NUMBER = (int, float)
_BEAT: dict[str, Any] = {"run_id": str, "host": str, "line": str, "time": _NUMBER}
_SUMMARY: dict[str, Any] = {
    **dict.fromkeys(("run_id", "state", "fingerprint"), str),
    **dict.fromkeys(("parts", "read", "captioned", "rejected"), int),
    "images_per_second": _NUMBER,
}
"""What is read of the files of runs."""


@dataclass(slots=True)
class Status:
    """The sums over a corpus's commit records. `shards` is None where they cannot be listed."""

    parts: int = 0
    shards_done: int = 0
    shards: int | None = None
    read: int = 0
    captioned: int = 0
    captions: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    live: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        """Samples without a caption."""
        return self.read - self.captioned


def corpus_status(reader: CorpusReader, recipe: Any = None, source: str = "") -> Status:
    """Add up a corpus. With its recipe, the shards that are pending are counted too.

    They are listed where `source` says, else where the corpus may say so itself, see `origin`.
    """
    with whole(reader.corpus):
        return _add_up(reader, recipe, source)


def _add_up(reader: CorpusReader, recipe: Any, source: str) -> Status:
    committed = reader.committed()
    status = Status(parts=committed.count())
    status.shards_done = sum(committed.is_complete(shard) for shard in committed.parts)
    for record in reader.ledger.records(committed):
        status.captions += record.captions
        status.captioned += record.recovered if record.retry else record.captioned
        if not record.retry:
            status.read += record.read
            status.rejects.update(record.rejects)
    if committed.retries:
        status.rejects = Counter(reader.rejects()["reason"].to_pylist())
    if recipe is not None:
        with suppress(ValueError):  # the images are not reachable from here
            status.shards = len(list_shards(source_of(reader.corpus, recipe.source, source)))
    status.runs, status.live = read_runs(reader.corpus)
    return status


def read_runs(corpus: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the summaries of a corpus's runs in order, and the runs that are under way."""
    folder = storage.join(corpus, "runs")
    ended: list[dict[str, Any]] = []
    live: list[dict[str, Any]] = []
    for name in sorted(storage.list_own(corpus, "runs")):
        run = _read_run(storage.join(folder, name)) if name.endswith(".json") else None
        if run is None:
            continue
        if not name.endswith(LIVE):
            ended.append(run)
        elif is_alive(storage.join(folder, name), run):
            live.append(run)
    done = {run["run_id"] for run in ended}
    return ended, [run for run in live if run["run_id"] not in done]


def was_rejected(job: Job, reject_limit: float) -> bool:
    """Say whether the last run of a job's version that read anything rejected too much of it."""
    ended, _ = read_runs(job.made_by.corpus)
    same = [run for run in ended if run["fingerprint"] == job.made_by.fingerprint and run["read"]]
    if not same:
        return False
    last = same[-1]
    return is_over_limit(last["read"], last["captioned"], last["rejected"], reject_limit)


def last_boot_s(corpus: str) -> float:
    """Return for how many seconds the engine of a corpus's last run booted; 0: not known."""
    booted = [run.get("boot_s") for run in read_runs(corpus)[0]]
    return next((float(s) for s in reversed(booted) if isinstance(s, _NUMBER) and s > 0), 0.0)


def _read_run(url: str) -> dict[str, Any] | None:
    """Return what a file tells of a run; None if it is gone since it was listed."""
    try:
        run = read_json(url)
    except storage.StorageError as e:
        if e.trouble is storage.Trouble.MISSING:
            return None
        raise
    for name, kind in (_BEAT if url.endswith(LIVE) else _SUMMARY).items():
        if not isinstance(run.get(name), kind):
            raise damaged(url, f"{name}: got {run.get(name)!r}")
    return run


def is_alive(url: str, beat: dict[str, Any]) -> bool:
    """Say whether a run gave a sign of life lately, by the clock of the store that keeps it.

    Only where the store tells no time: by the time in it, if its clock and ours are the same.
    """
    try:
        age = storage.age_s(url)
    except storage.StorageError as e:
        if e.trouble is storage.Trouble.MISSING:
            return False  # it has ended just now
        raise
    return abs(time.time() - float(beat["time"]) if age is None else age) < _ALIVE_S


def describe_status(corpus: str, fingerprint: str, status: Status) -> list[str]:
    """Tell a status in lines. Raises StorageError where its runs say what cannot be told."""
    with whole(corpus):
        return _lines(corpus, fingerprint, status)


def _lines(corpus: str, fingerprint: str, status: Status) -> list[str]:
    shards = f"{status.shards_done:,}" + (f" of {status.shards:,}" if status.shards else "")
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in sorted(status.rejects.items()))
    lines = [
        f"{corpus} (version {fingerprint})",
        f"  shards    {shards} done",
        f"  parts     {status.parts:,} committed",
        f"  samples   {status.read:,} read = {status.captioned:,} captioned"
        f" + {status.rejected:,} rejected",
        f"  captions  {status.captions:,}",
        f"  rejects   {reasons or 'none'}",
    ]
    for run in status.live:
        lines.append(f"  running   {run['run_id']} on {run['host']}: {run['line']}")
    for run in status.runs[-3:]:
        lines.append(
            f"  run       {run['run_id']} {run['state']}: {run['parts']:,} parts,"
            f" {run['images_per_second']:,.1f} images/s"
        )
        lines += [f"    note    {line}" for line in _notices_of(run)]
    return lines


def _notices_of(run: dict[str, Any]) -> list[str]:
    notices = [Notice(**notice) for notice in run.get("notices", [])]
    return [printable(line) for line in describe_notices(notices)]
