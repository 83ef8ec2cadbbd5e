"""[Ray] Captioners beside the trainer: they write the captions of crops before these are needed.

They take parts in the order in which the trainer will want them, at most `recaption.ahead` images
in front of it and within the budget of captions per second, several crops of a part to a request
batch; what comes back is committed into the corpus as regions. What is there is not asked again,
and where all is there no engine starts. Whether anybody waits is the trainer's affair.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import ray
import yaml

from recaption import runtime, safeguards
from recaption.captioner import Captioner
from recaption.config import Recipe, RecipeError
from recaption.coordinator import start_coordinator
from recaption.corpus.origin import check_named
from recaption.corpus.regions import RegionLedger
from recaption.corpus.writer import Provenance
from recaption.engines.identity import model_hash
from recaption.engines.preflight import check_arguments
from recaption.fingerprint import fingerprint
from recaption.parts import CaptionedPart
from recaption.prepare import Preparer
from recaption.prompts import load_prompts
from recaption.recipe_file import parse_recipe
from recaption.storage.shown import settings_without_secrets
from recaption.text import printable
from train.board import BoardClient
from train.config import RecaptionConfig
from train.corpus_entries import CorpusEntries
from train.crop_prepare import CropPreparer, Unit, units_needed
from train.doing import doing
from train.order import Order

log = logging.getLogger(__name__)

_TICK_S = 0.1
_ANSWER_S = 5.0
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class CropJob:
    """All that the captioners of crops are told."""

    recipe: Recipe
    crops: CropPreparer
    made_by: Provenance


def crop_job(entries: CorpusEntries, run_id: str) -> CropJob:
    """Return how crops are captioned: as the recipe says that made the corpus, by our own engine.

    Raises RecipeError where that would mix another recipe's captions into it.
    """
    wanted = entries.recipe.recaption
    recipe = trusted_recipe(entries.made_by, wanted)
    check_arguments(recipe.engine)
    for table in recipe.source.tables.values() if wanted.hints else ():
        check_named(entries.corpus, table, "recaption.hints=false")
    caption = recipe.caption
    model = model_hash(recipe.engine)
    prompts = load_prompts(caption.styles, caption.templates, caption.language, caption.subject)
    now = fingerprint(recipe, f"{prompts.digest} {safeguards.digest()}", model)
    if now != entries.fingerprint:
        raise RecipeError(
            f"{entries.corpus}: its captions were made by recipe {entries.fingerprint}, its crops"
            f" would be by {now}: the model, recaption.engine or this program has changed since;"
            f" caption it anew, or set recaption.is_live=false (its engine:"
            f" {_engine_of(entries.made_by)})"
        )
    styles = wanted.styles or entries.recipe.data.styles or caption.styles
    changes = {
        "caption": caption.model_copy(update={"styles": styles, "per_style": 1}),
        "source": entries.source,
    }
    recipe = recipe.model_copy(update=changes)
    made_by = Provenance.of(
        recipe, entries.corpus, entries.dataset, model, entries.fingerprint, run_id
    )
    preparer = Preparer(recipe, prompts, entries.dataset)
    return CropJob(recipe, CropPreparer(entries, preparer), made_by)


def trusted_recipe(made: Recipe, wanted: RecaptionConfig) -> Recipe:
    """Return a corpus's recipe with what may not come from a stranger replaced by our own.

    A corpus says what is asked, and how: styles, sampling, size of images, safeguards, seed. It
    says nothing that runs or is loaded here, that is sent a key, or is read from this machine's
    disk: its whole engine section, the folder of its templates, models of similarity, its places,
    its behaviour as a run. Raises RecipeError where ours are missing.
    """
    if not wanted.engine:
        raise RecipeError(
            "recaption.engine: captioners of crops need an engine section of your own, since a"
            " corpus chooses no program, server or key here; if you trust what made this one, write"
            f" recaption.engine='{_engine_of(made)}', else set recaption.is_live=false"
        )
    if made.caption.templates and not wanted.templates:
        raise RecipeError(
            "recaption.templates: the corpus was captioned with templates of its own"
            f" ({printable(made.caption.templates)}); give the folder in which you have them"
        )
    for model in filter(None, (made.attributes.model, made.safeguards.clip.model)):
        if model not in wanted.models:
            raise RecipeError(
                f"recaption.models: the corpus's recipe loads the model {printable(model)}; if you"
                f" trust it, write recaption.models=[{printable(model)}]"
            )
    ours = {
        "engine": wanted.engine,
        "caption": made.caption.model_copy(update={"templates": wanted.templates}).model_dump(),
        "run": {},
    }
    return parse_recipe(made.model_dump() | ours, "recaption.engine", is_stored=True)


def _engine_of(made: Recipe) -> str:
    """Return what of a corpus's engine decides its captions, as it can be written in a recipe."""
    kept = settings_without_secrets(made.engine.model_dump(exclude_defaults=True))
    told = {key: kept[key] for key in ("kind", "model", "revision", "args") if key in kept}
    told = {"kind": made.engine.kind} | told
    text = yaml.safe_dump(told, default_flow_style=True, sort_keys=False, width=10**6)
    return printable(text).replace("'", '"')


@contextlib.contextmanager
def captioning(
    job: CropJob, order: Order, first: int, last: int, board: BoardClient, beside: runtime.Share
) -> Iterator[Callable[[], str]]:
    """Caption the crops of these steps beside what runs within. Needs a Ray session.

    `beside` is what that reserves. Yields what tells of the captioners. Raises RecipeError where
    the engines do not fit in as well.
    """
    entries = job.crops.entries
    with doing("looking which crops have captions"):
        units = units_needed(entries, order, first, last)
    if not units:
        yield str
        return
    ahead = max(1, entries.recipe.recaption.ahead // entries.recipe.data.batch_size)
    plan = runtime.plan_engines(job.recipe.engine, beside)
    pool = CropPool(job, units, board, ahead, plan)
    thread = threading.Thread(target=pool.run, daemon=True, name="crop captioners")
    thread.start()
    try:
        yield pool.line
    finally:
        with doing("stopping the captioners of crops"):
            pool.is_over.set()
            thread.join(timeout=30)
            pool.close()


@dataclass(slots=True)
class CropPool:
    """The engines, and the units that are on their way through them."""

    job: CropJob
    units: list[Unit]
    board: BoardClient
    ahead_steps: int
    plan: runtime.EnginePlan
    is_over: threading.Event = field(default_factory=threading.Event)
    _actors: list[Any] = field(default_factory=list)
    _flying: dict[Any, tuple[Unit, int]] = field(default_factory=dict)
    _attempts: Counter[Unit] = field(default_factory=Counter)
    _free_at: float = 0.0
    _coordinator: Any = None
    _done: int = 0
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Reserve the engines, before the trainer takes what is left."""
        engine, plan = self.job.recipe.engine, self.plan
        self._coordinator = coordinator = start_coordinator(plan.replicas)
        captioner = ray.remote(**plan.resources(), max_restarts=_ATTEMPTS)(CropCaptioner)
        options = captioner.options(max_concurrency=engine.parts_in_flight)
        prompts = self.job.crops.preparer.prompts
        self._actors = [
            options.remote(self.job.recipe, prompts, coordinator) for _ in range(plan.replicas)
        ]

    def run(self) -> None:
        """Caption all units, or until it is over; what goes wrong for good is put on the board."""
        try:
            job = ray.put(self.job)
            waiting = list(reversed(self.units))
            while (waiting or self._flying) and not self.is_over.is_set():
                while waiting and self._may_begin(waiting[-1]):
                    self._begin(job, waiting.pop())
                waiting += self._land()
        except Exception as e:
            if not self.is_over.is_set():
                why = f"the captioners of crops stopped: {runtime.root_message(e)}"
                log.warning("%s", why)
                with contextlib.suppress(Exception):
                    self.board.fail(why)

    def line(self) -> str:
        """Say how the captioners are, '' once all is captioned or where they do not answer."""
        if self._done >= len(self.units):
            return ""
        try:
            now = ray.get(self._coordinator.snapshot.remote(), timeout=_ANSWER_S)
        except (ray.exceptions.RayError, TimeoutError):
            return ""
        if not now.ready:
            why = "; ".join(now.waiting or now.errors)
            told = f"crop captioners boot, {time.monotonic() - self._started:.0f} s"
            return f"{told}: {printable(why)}" if why else told
        return f"crops captioned: {self._done:,}/{len(self.units):,} parts, {now.captions:,} texts"

    def close(self) -> None:
        """Stop the engines."""
        for actor in self._actors:
            with contextlib.suppress(Exception):
                ray.get(actor.close.remote(), timeout=30)
            with contextlib.suppress(Exception):
                ray.kill(actor)

    def _may_begin(self, unit: Unit) -> bool:
        room = len(self._actors) * self.job.recipe.engine.parts_in_flight
        if len(self._flying) >= room or time.monotonic() < self._free_at:
            return False
        return unit.step <= self.board.step() + self.ahead_steps

    def _begin(self, job: Any, unit: Unit) -> None:
        """Send a unit on its way, to the engine with the fewest; its captions use the budget."""
        load = Counter(index for _, index in self._flying.values())
        index = min(range(len(self._actors)), key=lambda i: load[i])
        # They wait for nothing and are few: without a reservation nobody can keep them out.
        prepared = _prepare.options(num_cpus=0).remote(job, unit)
        captioned = self._actors[index].caption.remote(prepared)
        self._flying[_commit.options(num_cpus=0).remote(job, captioned)] = unit, index
        rate = self.job.crops.entries.recipe.recaption.captions_per_s
        if rate:
            images = self.job.crops.entries.parts[unit.part][0]
            styles = len(self.job.recipe.caption.styles)
            self._free_at = max(self._free_at, time.monotonic()) + images * styles / rate

    def _land(self) -> list[Unit]:
        """Wait a moment; count the units that are done, return those that are tried again."""
        if not self._flying:
            time.sleep(_TICK_S)
            return []
        done, _ = ray.wait(list(self._flying), num_returns=1, timeout=_TICK_S)
        again = []
        for ref in done:
            unit, _index = self._flying.pop(ref)
            try:
                counts = ray.get(ref)
            except (ray.exceptions.RayError, ValueError) as e:
                self._attempts[unit] += 1
                if self._attempts[unit] >= _ATTEMPTS:
                    raise
                log.warning(
                    "crops of %s are tried again: %s", unit.part.name, runtime.root_message(e)
                )
                again.append(unit)
            else:
                self._done += 1
                self.board.add(counts)
        return again


class CropCaptioner(Captioner):
    """The captioner stage, called part by part."""

    async def caption(self, block: pa.Table) -> pa.Table:
        """Turn a PreparedPart into a CaptionedPart."""
        async for captioned in self(block):
            return captioned
        raise AssertionError("a part gives a part")

    async def close(self) -> None:
        """Close the engine in order."""
        await self._driver.close()


@ray.remote
def _prepare(job: CropJob, unit: Unit) -> pa.Table:
    return job.crops.prepare(unit).to_row()


@ray.remote
def _commit(job: CropJob, block: pa.Table) -> Counter[str]:
    part = CaptionedPart.from_row(block)
    if part.fault:
        raise ValueError(part.fault)
    entries = job.crops.entries
    record = RegionLedger(entries.corpus, entries.fingerprint).commit(part, job.made_by)
    return Counter({"captions of crops": record.captions, **record.rejects})


__all__ = ["CropJob", "captioning", "crop_job", "trusted_recipe"]
