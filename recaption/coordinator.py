"""[Ray] The one actor that outlives the engines of a run: it remembers what they die of.

It counts the boots of each engine, knows which parts were under way and which requests were
tried apart when an engine's process died, and collects the figures that the progress shows.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from recaption.extent import Known, LookedInto
from recaption.notices import Notice, Notices

_IDLE_S = 20.0
_UNHEARD_S = 120.0  # for which an engine that was not heard of may still come
_POINTS = 20_000


@dataclass(slots=True)
class EngineState:
    """What is known of an engine, over the restarts of its process."""

    state: str = "starting"
    booting: int = 0
    boot_began: float = 0.0
    error: str = ""
    waiting: str = ""
    parts: set[str] = field(default_factory=set)
    idle_since: float = field(default_factory=time.monotonic)
    requests: int = 0
    captions: int = 0
    samples: int = 0
    deaths: int = 0
    reruns: int = 0


@dataclass(frozen=True, slots=True)
class ShownCaption:
    """A caption that was made just now, for a look at it."""

    sample_id: str
    style: str
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """What happened to a part before: how often it was begun, and what it died of.

    `suspects` were in the engine when its process died last; each of `convicted` was alone then.
    """

    starts: int = 0
    suspects: tuple[str, ...] = ()
    convicted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The engines as they are now.

    `waiting`: what those that boot or serve wait for; `errors`: what others were lost by.
    `samples` went through an engine's stage, whatever became of them; `known` is of the shards that
    were looked into. Seconds: for how long the first of those that boot has been at it, and how
    long the first boot took that came to its end.
    """

    ready: int = 0
    booting: int = 0
    lost: int = 0
    captions: int = 0
    requests: int = 0
    samples: int = 0
    deaths: int = 0
    reruns: int = 0
    errors: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    waiting: tuple[str, ...] = ()
    known: Known = field(default_factory=Known)
    caption: ShownCaption | None = None
    booting_s: float = 0.0
    boot_s: float = 0.0


class Coordinator:
    """Memory of a run; one per run, called by its engines and its driver."""

    def __init__(self, engines: int) -> None:
        self._expected = engines
        self._engines: dict[str, EngineState] = {}
        self._starts: dict[str, int] = {}
        self._suspects: dict[str, tuple[str, ...]] = {}
        self._convicted: dict[str, tuple[str, ...]] = {}
        self._past = Snapshot()
        self._notices = Notices()
        self._are_all_doomed = False
        self._timeline: list[tuple[float, int]] = []
        self._looked_into = LookedInto()
        self._caption: ShownCaption | None = None
        self._boot_s = 0.0

    async def boot(self, engine: str) -> int:
        """Note that an engine is about to boot; return how many boots before it did not end."""
        state = self._of(engine)
        state.state, state.boot_began = "booting", time.monotonic()
        state.booting += 1
        return state.booting - 1

    async def boot_ended(self, engine: str, is_ready: bool) -> None:
        """Note that a boot came to its end, well or not: the engine's process survived it."""
        state = self._of(engine)
        state.booting = 0
        if is_ready:
            state.state = "ready"
            self._boot_s = self._boot_s or time.monotonic() - state.boot_began
            self._note_time()

    async def waits_for(self, engine: str, what: str) -> None:
        """Note what an engine waits for now; empty: for nothing."""
        self._of(engine).waiting = what

    async def looked_into(self, shard: str, size: int, images: float) -> None:
        """Note how many images a shard has, about."""
        self._looked_into.add(shard, size, images)

    async def report(
        self,
        engine: str,
        requests: int,
        captions: int,
        deaths: int,
        reruns: int,
        samples: int = 0,
        caption: ShownCaption | None = None,
    ) -> None:
        """Add to an engine's figures; `caption` is one of its last."""
        state = self._of(engine)
        self._caption = caption or self._caption
        state.samples += samples
        state.requests += requests
        state.captions += captions
        state.deaths += deaths
        state.reruns += reruns
        self._note_time()

    async def starts(self, part: str) -> int:
        """Return how often a part was begun and not ended."""
        return self._starts.get(part, 0)

    async def begin(self, engine: str, part: str) -> History:
        """Note that an engine begins a part; return what happened to the part before."""
        state = self._of(engine)
        state.parts.add(part)
        starts = self._starts.get(part, 0)
        self._starts[part] = starts + 1
        suspects = self._suspects.pop(part, ())
        if len(suspects) == 1:
            self._convicted[part] = (*self._convicted.get(part, ()), *suspects)
        return History(starts, suspects, self._convicted.get(part, ()))

    async def begin_reading(self, shard: str) -> int:
        """Note that a shard is being read; return how often that was begun and not ended."""
        starts = self._starts.get(shard, 0)
        self._starts[shard] = starts + 1
        return starts

    async def end_reading(self, shard: str) -> None:
        """Note that a shard was read."""
        self._starts.pop(shard, None)

    async def trying(self, part: str, jobs: tuple[str, ...]) -> None:
        """Note the requests that are tried apart now; () when they came through."""
        self._suspects[part] = jobs

    async def end(self, engine: str, part: str) -> None:
        """Note that an engine is done with a part."""
        state = self._of(engine)
        state.parts.discard(part)
        state.idle_since = time.monotonic()
        self._starts.pop(part, None)
        self._suspects.pop(part, None)
        self._convicted.pop(part, None)

    async def lost(self, engine: str, error: str, is_final: bool = False) -> bool:
        """Note that an engine gave up; return when its part should be handed back.

        True: no engine is left, the run is over. False: other engines live and have nothing to
        do, so that the part is better off in a later pass. `is_final`: what this one was lost by
        awaits those that were not heard of yet as well; one that gets no part is never heard of.
        """
        state = self._of(engine)
        state.state, state.error, state.waiting = "lost", error, ""
        self._are_all_doomed |= is_final
        since = time.monotonic()
        while True:
            states = [s.state for s in self._engines.values()]
            if all(s == "lost" for s in states):
                if self._are_all_doomed or len(states) >= self._expected:
                    return True
                if time.monotonic() - since > _UNHEARD_S:
                    return False
            if self._others_are_idle():
                return False
            await asyncio.sleep(0.5)

    async def new_pass(self, engines: int) -> None:
        """Forget engines and deaths, since so many engines are started anew; keep the figures."""
        self._past = await self.snapshot()
        self._engines.clear()
        self._starts.clear()
        self._expected = engines
        self._are_all_doomed = False

    async def note(self, notices: tuple[Notice, ...]) -> None:
        """Add to what the user should hear of."""
        self._notices.add(notices)

    async def snapshot(self) -> Snapshot:
        """Return the figures of all engines."""
        states = list(self._engines.values())
        past, now = self._past, time.monotonic()
        booting = [now - s.boot_began for s in states if s.state == "booting"]
        return Snapshot(
            ready=sum(s.state == "ready" for s in states),
            booting=sum(s.state in {"booting", "starting"} for s in states),
            lost=sum(s.state == "lost" for s in states),
            captions=past.captions + sum(s.captions for s in states),
            requests=past.requests + sum(s.requests for s in states),
            samples=past.samples + sum(s.samples for s in states),
            deaths=past.deaths + sum(s.deaths for s in states),
            reruns=past.reruns + sum(s.reruns for s in states),
            errors=tuple(sorted({s.error for s in states if s.error})),
            notices=self._notices.all(),
            waiting=tuple(sorted({s.waiting for s in states if s.waiting and s.state != "lost"})),
            known=self._looked_into.known(),
            caption=self._caption,
            booting_s=max(booting, default=0.0),
            boot_s=self._boot_s,
        )

    async def timeline(self) -> list[tuple[float, int]]:
        """Return (time in seconds, requests answered so far) as the run went, for its rate."""
        return self._timeline

    def _note_time(self) -> None:
        done = self._past.requests + sum(s.requests for s in self._engines.values())
        self._timeline.append((time.monotonic(), done))
        if len(self._timeline) > _POINTS:
            self._timeline = self._timeline[::2]

    def _of(self, engine: str) -> EngineState:
        return self._engines.setdefault(engine, EngineState())

    def _others_are_idle(self) -> bool:
        ready = [s for s in self._engines.values() if s.state == "ready"]
        now = time.monotonic()
        return bool(ready) and all(not s.parts and now - s.idle_since > _IDLE_S for s in ready)


def start_coordinator(engines: int) -> Any:
    """Start the coordinator of a run with so many engines, on the driver's node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(Coordinator).options(
        num_cpus=0, max_concurrency=1000, scheduling_strategy=here
    )
    return actor.remote(engines)
