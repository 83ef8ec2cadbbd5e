"""The runs of a corpus, from the summaries that they left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recaption import storage
from recaption.corpus.damage import read_json
from recaption.notices import Notice, describe_notices
from recaption.status import LIVE, is_alive

SHOWN = 25
"""Runs that the page lists, the newest."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as its summary tells."""

    run_id: str
    state: str
    parts: int
    read: int
    captions: int
    rejected: int
    failed_parts: int
    engine_deaths: int
    seconds: float
    images_per_second: float
    notices: tuple[str, ...] = ()

    @property
    def when(self) -> str:
        """When it began (UTC): its id starts with it."""
        i = self.run_id
        is_dated = len(i) > 15 and i[:8].isdigit() and i[9:15].isdigit()
        return f"{i[:4]}-{i[4:6]}-{i[6:8]} {i[9:11]}:{i[11:13]}:{i[13:15]}" if is_dated else ""


@dataclass(frozen=True, slots=True)
class Runs:
    """The newest runs of a version, and what was left out."""

    newest: tuple[Run, ...] = ()
    unreadable: tuple[str, ...] = ()
    is_cut: bool = False
    under_way: str = ""
    """What the run that is at work tells of itself."""

    @property
    def rate(self) -> float:
        """Images per second, without start and end, of the run that read the most images."""
        return max(self.newest, key=lambda r: r.read).images_per_second if self.newest else 0.0


def read_runs(corpus: str, fingerprint: str) -> Runs:
    """Read the summaries of a version's newest runs; one that cannot be read is named, no more."""
    folder = storage.join(corpus, "runs")
    found = storage.list_own(corpus, "runs")
    listed = sorted((name for name in found if name.endswith(".json")), reverse=True)
    names = [name for name in listed if not name.endswith(LIVE)]
    live = next((name for name in listed if name.endswith(LIVE)), "")
    under_way = _under_way(storage.join(folder, live)) if live else ""
    runs: list[Run] = []
    unreadable: list[str] = []
    for at, name in enumerate(names):
        if len(runs) == SHOWN or at == 8 * SHOWN:
            return Runs(tuple(runs), tuple(unreadable), is_cut=True, under_way=under_way)
        try:
            data = read_json(storage.join(folder, name))
            if data["fingerprint"] == fingerprint:
                runs.append(_run(data))
        except (ValueError, TypeError, KeyError):
            unreadable.append(name)
    return Runs(tuple(runs), tuple(unreadable), under_way=under_way)


def _under_way(url: str) -> str:
    """Return the line of a run that gave a sign of life lately, or ""."""
    try:
        beat = read_json(url)
        return f"on {beat['host']}: {beat['line']}" if is_alive(url, beat) else ""
    except (ValueError, TypeError, KeyError):
        return ""  # it has ended just now


def _run(data: dict[str, Any]) -> Run:
    return Run(
        run_id=str(data["run_id"]),
        state=str(data["state"]),
        parts=int(data["parts"]),
        read=int(data["read"]),
        captions=int(data["captions"]),
        rejected=int(data["rejected"]),
        failed_parts=len(data["failed_parts"]),
        engine_deaths=int(data["engine_deaths"]),
        seconds=float(data["seconds"]),
        images_per_second=float(data["images_per_second"]),
        notices=tuple(describe_notices(Notice(**one) for one in data.get("notices", ()))),
    )
