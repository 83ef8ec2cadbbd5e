"""Planning a replay: from what the records tell, with as little reading as can be."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from recaption import storage
from recaption.corpus.ledger import CommitRecord, Ledger
from recaption.job import Job
from recaption.replay import plan_replay
from recaption.sample import Part, Reason
from tests.corpora import replay_corpus
from tests.corpus.build import caption, unless, write_photos

REFUSED = "00000/0001"
SILENT = (("00000/0002", "dense"), ("00001/0004", "dense"))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Four parts: the first has rejects for two reasons, the last for one, those between none."""
    overrides = ("source.part_samples=3", "caption.styles=[short, dense]")
    photos = write_photos(tmp_path / "photos")
    return caption(tmp_path / "corpus", photos, *overrides, answer=unless(REFUSED, empty=SILENT))


def planned(job: Job, *reasons: Reason) -> list[tuple[str, int, list[str]]]:
    """Return what is to be replayed: shard, part, samples."""
    plan = plan_replay(job, job.ledger.committed(), frozenset(map(str, reasons)))
    return [(s.shard.name, i, list(part.samples)) for s in plan for i, part in s.parts.items()]


FIRST, LAST = ("00000.tar", 0), ("00001.tar", 1)
PLANS = [
    ([], [(*FIRST, [REFUSED, SILENT[0][0]]), (*LAST, [SILENT[1][0]])]),
    ([Reason.REQUEST_FAILED], [(*FIRST, [REFUSED])]),
    ([Reason.EMPTY_CAPTION], [(*FIRST, [SILENT[0][0]]), (*LAST, [SILENT[1][0]])]),
    ([Reason.TIMEOUT], []),
    ([Reason.TIMEOUT, Reason.REQUEST_FAILED], [(*FIRST, [REFUSED])]),
]


@pytest.mark.parametrize(("reasons", "plan"), PLANS)
def test_only_parts_with_such_rejects_are_planned_and_only_their_rejects_opened(
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    reasons: list[Reason],
    plan: list[tuple[str, int, list[str]]],
) -> None:
    opened, read = list[str](), storage.read_bytes

    def note_and_read(url: str, **limits: int) -> bytes:
        opened.append(url)
        return read(url, **limits)

    monkeypatch.setattr(storage, "read_bytes", note_and_read)
    assert planned(job, *reasons) == plan
    assert sum("/rejects/" in url for url in opened) == len(plan)
    assert sum("/commits/" in url for url in opened) == len(opened) - len(plan) == 4


def test_rejects_that_a_replay_took_over_are_planned(job: Job) -> None:
    """They are in its file; its record counts only what it replayed."""
    replay_corpus(job, unless(), [Reason.EMPTY_CAPTION])
    assert planned(job, Reason.EMPTY_CAPTION) == []
    assert planned(job, Reason.REQUEST_FAILED) == planned(job) == [(*FIRST, [REFUSED])]
    replay_corpus(job, unless(), [Reason.REQUEST_FAILED])
    assert planned(job) == []


def test_many_parts_are_read_at_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for storage; 100,000 of them must not wait for one another."""
    together, read = threading.Barrier(4), Ledger.read

    def meet(ledger: Ledger, part: Part, retry: int = 0) -> CommitRecord:
        together.wait(timeout=10)
        return read(ledger, part, retry)

    monkeypatch.setattr(Ledger, "read", meet)
    assert len(planned(job)) == 2
